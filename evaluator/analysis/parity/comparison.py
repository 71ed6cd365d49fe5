"""One run beside the baseline's run of the same case."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from evaluator.analysis.parity.observation import Observation, Step
from evaluator.analysis.parity.request import Difference
from evaluator.providers.names import SCRIPTED
from evaluator.trace import Key

PARTS = (
    *("system text", "user messages", "conversation", "tools", "handoff tools", "extra tools"),
    *("extra calls", "not attributed"),
)
"""Where injected tokens can lie. `conversation` is what agents and tools have said so far."""

_EXAMPLE_KEPT = 400
"""Characters of an example, of which every report shows fewer."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One run beside the baseline's. `injected` sums over `calls`, or is None where a call has no count of tokens."""

    key: Key
    calls: int
    injected: int | None
    parts: dict[str, int]
    differences: tuple[Difference, ...]


def compare(run: Observation, baseline: Observation | None) -> Comparison:
    """A run beside the baseline's run of the same case; without one, what it says by itself."""
    if baseline is None:
        every = tuple(chain.from_iterable(step.differences for step in run.steps))
        return Comparison(run.key, len(run.steps), None, {}, every)
    pairs = _pairs(run.steps, baseline.steps)
    partner = dict(pairs)
    differences: list[Difference] = []
    parts: Counter[str] = Counter()
    injected: int | None = 0
    calls = 0
    same_calls = run.made == baseline.made
    for number, step in enumerate(run.steps):
        beside = baseline.steps[partner[number]] if number in partner else None
        if beside is None and same_calls:
            example = f"call {number + 1} of {len(run.steps)} has no partner among the baseline's {len(baseline.steps)}"
            differences.append(Difference("extra call", example, step.prompt_tokens))
        else:
            differences += step.differences
        if beside is None and not same_calls:
            continue
        calls += 1
        if step.prompt_tokens is None or (beside and beside.prompt_tokens is None):
            injected = None
            continue
        more = step.prompt_tokens - ((beside.prompt_tokens or 0) if beside else 0)
        injected = None if injected is None else injected + more
        if beside is None:
            parts["extra calls"] += more
            continue
        by_part = {part: step.parts.get(part, 0) - beside.parts.get(part, 0) for part in PARTS}
        parts.update(by_part)
        parts["not attributed"] += more - sum(by_part.values())
    if same_calls:
        for number in sorted(set(range(len(baseline.steps))) - set(partner.values())):
            differences.append(Difference("fewer calls", f"call {number + 1} of the baseline has no partner"))
    elif run.key.model == SCRIPTED:
        differences.append(Difference("other tool calls", _what_differs(run.made, baseline.made)))
    for query in sorted(run.found.keys() & baseline.found.keys()):
        ours, theirs = run.found[query], baseline.found[query]
        if ours != theirs:
            name = "documents in another order" if set(ours) == set(theirs) else "other documents"
            words = f"{query}: {', '.join(ours)} in place of {', '.join(theirs)}"
            differences.append(Difference(f"changed tool result: {name}", words))
    return Comparison(run.key, calls, injected, dict(parts), tuple(differences))


def compare_all(runs: Iterable[Observation], baseline: Iterable[Observation]) -> list[Comparison]:
    """Each run beside the baseline's run of the same case and trial, where there is one."""
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


def _pairs(ours: Sequence[Step], theirs: Sequence[Step]) -> list[tuple[int, int]]:
    """The longest common subsequence of two runs' steps, as positions; of several the first."""
    a, b = [(step.agent, step.made) for step in ours], [(step.agent, step.made) for step in theirs]
    longest = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in reversed(range(len(a))):
        for j in reversed(range(len(b))):
            same = a[i] == b[j] and a[i][0] is not None
            longest[i][j] = longest[i + 1][j + 1] + 1 if same else max(longest[i + 1][j], longest[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if a[i] == b[j] and a[i][0] is not None:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif longest[i + 1][j] >= longest[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _what_differs(made: Sequence[str], expected: Sequence[str]) -> str:
    more, less = Counter(made) - Counter(expected), Counter(expected) - Counter(made)
    words = [f"also {call}" for call in more.elements()] + [f"not {call}" for call in less.elements()]
    return "; ".join(words)
