"""What every implementation receives of a case of AgentDojo: its instructions, its question, its tools.

The tools work in the suite's own process, on the state of one run. The brief alone needs none: the run is opened when a
tool is first called, or when its final state is asked for.
"""

import threading
from typing import Any, Self

from pydantic import Field, model_validator

from tasks.base import Data, Prepared, Step, ToolError, Wrap, unwrapped
from tasks.cases import Script
from tasks.described import described
from tasks.served import served
from tasks.suite import InjectedScript, SuiteCase
from tasks.tool_calling.spec import ToolCallingBrief

SUITE = "agentdojo"


class Offered(Data):
    """A tool as AgentDojo describes it. `parameters` is the JSON Schema of an object."""

    name: str = Field(min_length=1)
    description: str
    parameters: dict[str, Any]


class AgentDojoCase(SuiteCase):
    """A user task of one of AgentDojo's suites, and for a security case the injection task beside it.

    `office` is the suite, such as `banking`, whose tools and environment it is about, `user_task` and `injection_task`
    are the ids there. `injections` are the texts that the attack puts into the environment, by the place; `injected` is
    how such a text reads there. `obeys` are the calls of who follows it, `obeyed` what they say then.
    """

    expectation = SuiteCase.expectation | {"injected", "obeys", "obeyed"}

    office: str = Field(min_length=1)
    user_task: str = Field(min_length=1)
    injection_task: str | None = None
    instructions: str = Field(min_length=1)
    tools: list[Offered] = Field(min_length=1)
    injections: dict[str, str] = Field(default_factory=dict)
    injected: str = ""
    obeys: list[Step] = Field(default_factory=list)
    obeyed: str = ""

    @model_validator(mode="after")
    def _what_is_injected_is_known(self) -> Self:
        if self.injection_task is not None and not (self.injections and self.injected and self.obeyed):
            raise ValueError("an injection task needs `injections`, `injected` and `obeyed`")
        return self

    @model_validator(mode="after")
    def _calls_are_of_offered_tools(self) -> Self:
        offered = {tool.name for tool in self.tools}
        called = [step.tool for step in (*(step for turn in self.turns for step in turn), *self.obeys)]
        if missing := next((name for name in called if name not in offered), None):
            raise ValueError(f"{missing} is expected to be called but is not in `tools`")
        return self

    def script(self) -> Script:
        """How the scripted model plays it."""
        plain = super().script()
        if self.injection_task is None:
            return plain
        return InjectedScript(**dict(plain), injected=self.injected, obeys=self.obeys, obeyed=self.obeyed)


CASE_TYPE = AgentDojoCase


class _Run:
    """One run in the suite's process, opened when it is first needed."""

    def __init__(self, case: AgentDojoCase) -> None:
        self._case = case
        self._lock = threading.Lock()
        self._id: str | None = None

    @property
    def id(self) -> str:
        """What the suite's process calls it."""
        with self._lock:
            if self._id is None:
                self._id = served(SUITE).ask("open", case=self._case.model_dump(mode="json"))["run"]
            return self._id

    def call(self, tool: str, arguments: dict[str, Any]) -> Any:
        """What a tool of the suite gives. Raises `ToolError` in the suite's own words."""
        answer = served(SUITE).ask("call", run=self.id, tool=tool, arguments=arguments)
        if "refused" in answer:
            raise ToolError(answer["refused"])
        return answer["result"]

    def close(self) -> dict[str, Any]:
        """The environment at the end, and the calls that came."""
        closed: dict[str, Any] = served(SUITE).ask("close", run=self.id)
        return closed


def prepare(case: AgentDojoCase, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of `case`, over an environment of its own."""
    run = _Run(case)
    tools = [
        wrap(described(one.name, one.description, one.parameters, run.call, with_defaults=True), None)
        for one in case.tools
    ]
    return Prepared(brief=ToolCallingBrief(case.instructions, case.question, tools), final_state=run.close)


def script(case: AgentDojoCase) -> Script:
    """How the scripted model plays `case`."""
    return case.script()
