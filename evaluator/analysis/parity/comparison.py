"""One run beside the canonical requests of its steps."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from evaluator.analysis.parity.observation import Observation
from evaluator.analysis.parity.request import Difference
from evaluator.trace import Key

PARTS = ("system text", "user messages", "conversation", "tools", "handoff tools", "extra tools", "extra calls")
"""Where injected tokens can lie. `conversation` is what agents and tools have said so far."""

_EXAMPLE_KEPT = 400
"""Characters of an example, of which every report shows fewer."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One run beside the canonical requests of its steps. `injected` sums over `calls`, of the `made` ones."""

    key: Key
    made: int
    calls: int
    injected: int
    parts: dict[str, int]
    differences: tuple[Difference, ...]


def compare(run: Observation, baseline: Observation | None = None) -> Comparison:
    """What differs in a run, and its injected tokens.

    The documents that a search finds are in no spec: they are compared with those of the `baseline`'s run of the same
    case where that is given, and nothing else is.
    """
    differences: list[Difference] = []
    parts: Counter[str] = Counter()
    for number, step in enumerate(run.steps, start=1):
        if step.agent is not None and step.follows_the_answer:
            tokens = sum(step.parts.values())
            example = f"call {number} of {len(run.steps)} follows the answer, and led to no tool call"
            differences.append(Difference("extra call", example, tokens))
            parts["extra calls"] += tokens
            continue
        differences += step.differences
        if step.agent is not None:
            parts.update({part: step.parts.get(part, 0) - step.canonical.get(part, 0) for part in PARTS})
    differences += [Difference("fewer calls", words) for words in run.skipped]
    if run.unlike_script:
        differences.append(Difference("other tool calls", run.unlike_script))
    if baseline is not None:
        differences += _other_documents(run, baseline)
    calls = sum(step.agent is not None for step in run.steps)
    return Comparison(run.key, run.chats, calls, sum(parts.values()), dict(parts), tuple(differences))


def _other_documents(run: Observation, baseline: Observation) -> Iterator[Difference]:
    for query in sorted(run.found.keys() & baseline.found.keys()):
        ours, theirs = run.found[query], baseline.found[query]
        if ours != theirs:
            name = "documents in another order" if set(ours) == set(theirs) else "other documents"
            words = f"{query}: {', '.join(ours)} in place of {', '.join(theirs)}"
            yield Difference(f"changed tool result: {name}", words)


def compare_all(runs: Iterable[Observation], baseline: Iterable[Observation]) -> list[Comparison]:
    """Each run, beside the baseline's run of the same case and trial where there is one."""
    partners = {(one.key.case, one.key.trial): one for one in baseline}
    return [compare(run, partners.get((run.key.case, run.key.trial))) for run in runs]


def condensed(comparison: Comparison) -> Comparison:
    """As much of it as `summarise` needs: of each difference the first example, cut, and the tokens of all."""
    first: dict[str, Difference] = {}
    for one in comparison.differences:
        if (before := first.get(one.name)) is None:
            first[one.name] = Difference(one.name, " ".join(one.example.split())[:_EXAMPLE_KEPT], one.tokens)
        elif one.tokens is not None:
            first[one.name] = Difference(one.name, before.example, (before.tokens or 0) + one.tokens)
    return replace(comparison, differences=tuple(first.values()))
