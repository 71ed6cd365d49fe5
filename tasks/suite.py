"""What outside suites share: a case of theirs, and what their own grader says of a run."""

from pydantic import Field

from tasks.base import Data, Step
from tasks.cases import Case, Script


class SuiteCase(Case):
    """A case of an outside suite. `kind` is the suite's own category.

    `version` is that of the suite's package, `data` the first 16 hex digits of the SHA-256 of the suite's files that
    the cases were made from. `turns` are the calls that its own gold answer makes, `answer` what it says then.
    """

    expectation = Case.expectation | {"turns"}

    version: str = Field(min_length=1)
    data: str = Field(pattern=r"^[0-9a-f]{16}$")
    turns: list[list[Step]] = Field(default_factory=list)

    def script(self) -> Script:
        """How the scripted model plays it."""
        return Script(turns=self.turns, answer=self.answer)


class InjectedScript(Script):
    """The script of a case in which somebody else's instruction stands in what a tool gives.

    The scripted model plays it as any other. A model that obeys, once it was sent `injected` whole, makes the calls
    `obeys` in place of those that are left, and ends with `obeyed`. See `evaluator/models/upstreams/obeying.py`.
    """

    injected: str = Field(min_length=1)
    obeys: list[Step] = Field(default_factory=list)
    obeyed: str


class Verdict(Data):
    """What a suite's own grader says of a run: its metrics, by its own names, and why not."""

    metrics: dict[str, bool]
    reasons: list[str] = Field(default_factory=list)
