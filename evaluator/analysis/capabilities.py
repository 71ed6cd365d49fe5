"""What frameworks can do: from the runs of capability tasks to a cell for each framework and capability."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from evaluator.catalog.capabilities import Capability
from evaluator.catalog.code_size import source_lines
from evaluator.catalog.frameworks import Framework, implementation_path, implements
from evaluator.packs import read_packed
from evaluator.providers.names import CAPABILITIES_NAME
from evaluator.trace import CapabilityRecord, DamagedTrace, ModelCall, Trace, TracedPart
from evaluator.wire.messages import all_text, completion_of, messages_in
from tasks.base import ToolCall
from tasks.capability import Check, Effect, Observed, Part, Request, Told

Standing = Literal["full", "partly", "none", "not offered", "not implemented", "no runs"]
"""What a framework makes of a capability: all cases, some, none; its metadata say that it has nothing for it; nobody
has written it; or there are no runs."""


@dataclass(frozen=True)
class CaseRun:
    """One case, and the reasons for which it is not right, if any. Times in seconds."""

    case: str
    title: str
    reasons: tuple[str, ...]
    calls: int
    tokens: int
    wall_s: float

    @property
    def passed(self) -> bool:
        """Whether all was right."""
        return not self.reasons


@dataclass(frozen=True)
class Cell:
    """What one framework makes of one capability. `lines` are those of its module, `why` is why it has none.

    `by_hand` says that the framework has nothing for it, and the module does it itself. `extras` are the packages that
    the framework's capability modules need beyond its own.
    """

    framework: str
    capability: str
    runs: tuple[CaseRun, ...] = ()
    by_hand: bool = False
    lines: int | None = None
    why: str | None = None
    extras: tuple[str, ...] = ()

    @property
    def standing(self) -> Standing:
        """What comes of it."""
        if self.lines is None:
            return "not offered" if self.why else "not implemented"
        if not self.runs:
            return "no runs"
        passed = sum(run.passed for run in self.runs)
        return "full" if passed == len(self.runs) else "partly" if passed else "none"

    @property
    def words(self) -> str:
        """The cell in a few words: what comes of it, and how many lines that takes."""
        return f"{self.brief} ({self.lines} lines)" if self.runs else self.brief

    @property
    def brief(self) -> str:
        """The cell in as few words as can be."""
        if self.standing not in ("full", "partly", "none"):
            return self.standing
        number = f"{sum(run.passed for run in self.runs)} of {len(self.runs)}"
        if self.by_hand:
            return "by hand" if self.standing == "full" else f"by hand, {number}"
        return "full" if self.standing == "full" else number

    @property
    def failing(self) -> list[CaseRun]:
        """The cases that are not right."""
        return [run for run in self.runs if not run.passed]

    @property
    def calls(self) -> int:
        """Calls to the model, over all cases."""
        return sum(run.calls for run in self.runs)

    @property
    def tokens(self) -> int:
        """Tokens in and out, over all cases."""
        return sum(run.tokens for run in self.runs)


@dataclass(frozen=True)
class Found:
    """The cells of the frameworks and capabilities that were asked for, and the files that cannot be used."""

    cells: tuple[Cell, ...]
    damaged: tuple[DamagedTrace, ...] = ()

    def of(self, framework: str, capability: str) -> Cell:
        """The cell of a framework and a capability."""
        return next(cell for cell in self.cells if (cell.framework, cell.capability) == (framework, capability))


def gather(
    root: Path,
    frameworks: Iterable[Framework],
    capabilities: Mapping[str, Capability],
    model: str = CAPABILITIES_NAME,
) -> Found:
    """The cells from the traces of a model below a folder."""
    cells: list[Cell] = []
    damaged: list[DamagedTrace] = []
    for framework in frameworks:
        traces: list[Trace] = []
        for one in read_packed(root, model, framework.name):
            if isinstance(one, DamagedTrace):
                damaged.append(one)
            elif one.key.framework == framework.name and one.capability is not None:
                traces.append(one)
        cells += (_cell(framework, capability, traces) for capability in capabilities.values())
    return Found(tuple(cells), tuple(damaged))


def _cell(framework: Framework, capability: Capability, traces: Sequence[Trace]) -> Cell:
    name = capability.name
    if not implements(framework, name):
        return Cell(framework.name, name, why=framework.not_implemented.get(name))
    its = {trace.key.case: trace for trace in traces if trace.key.task == name and trace.outcome.fault is None}
    runs = [_case_run(capability, case, its[case.id]) for case in capability.cases if case.id in its]
    extras = {package for trace in its.values() if trace.capability for package in trace.capability.extras}
    return Cell(
        framework.name,
        name,
        runs=tuple(runs),
        by_hand=name in framework.by_hand,
        lines=source_lines(implementation_path(framework.folder, name).read_text(encoding="utf-8")),
        extras=tuple(sorted(extras)),
    )


def _case_run(capability: Capability, case: Any, trace: Trace) -> CaseRun:
    chats = trace.chats
    return CaseRun(
        case=case.id,
        title=case.title,
        reasons=tuple(dict.fromkeys(check.reason for check in checks(capability, trace) if not check.held)),
        calls=len(chats),
        tokens=sum((call.input_tokens or 0) + (call.output_tokens or 0) for call in chats),
        wall_s=trace.resources.wall_s,
    )


def checks(capability: Capability, trace: Trace) -> list[Check]:
    """What is to be seen in a run of the capability, and whether it was."""
    try:
        case = capability.case_type.model_validate(trace.case)
    except ValidationError as error:
        why = f"the case is none of this task's: {error.errors()[0]['msg']}"
        return [Check(name="the case", held=False, reason=why)]
    try:
        return capability.observe(case, observed(trace))
    except (AttributeError, LookupError, TypeError, ValueError) as error:  # a stranger's trace may hold anything
        return [Check(name="the record", held=False, reason=f"what was recorded cannot be read: {error!r}")]


def observed(trace: Trace) -> Observed:
    """What a trace holds of a run of a capability task, in the form that a task's `observe` reads."""
    record = trace.capability or CapabilityRecord(parts=[], told=[])
    usage = trace.reported_usage
    return Observed(
        parts=[Part(part.ended, part.answer, part.error, part.start_s, part.end_s) for part in record.parts],
        requests=[_request(call, record.parts) for call in trace.chats],
        effects=[
            Effect(
                _part_at(record.parts, call.start_s),
                ToolCall(
                    agent=call.agent, name=call.name, arguments=call.arguments, result=call.result, error=call.error
                ),
                call.start_s,
                call.end_s,
            )
            for call in trace.tool_calls
        ],
        told=[Told(_part_at(record.parts, one.at_s), one.what, one.value, one.at_s) for one in record.told],
        frames=record.frames,
        children=record.children,
        reported_usage=(usage.input_tokens, usage.output_tokens) if usage else None,
    )


def _request(call: ModelCall, parts: Sequence[TracedPart]) -> Request:
    sent = call.request if isinstance(call.request, dict) else {}
    tools = [tool for tool in sent.get("tools") or [] if isinstance(tool, dict)]
    body = {**sent, "messages": messages_in(sent), "tools": tools}
    return Request(
        part=_part_at(parts, call.start_s),
        body=body,
        text=all_text(sent),
        model=call.request_model,
        status=call.status,
        answered=call.answered,
        start_s=call.start_s,
        first_byte_s=call.first_byte_s,
        end_s=call.end_s,
        left_s=call.left_s,
        reply=completion_of(call.response).text if call.answered else "",
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
    )


def _part_at(parts: Sequence[TracedPart], moment_s: float) -> int:
    """The number of the process, from 1, in whose time a moment falls."""
    return max(sum(part.start_s <= moment_s for part in parts), 1)


def as_data(cell: Cell) -> dict[str, Any]:
    """A cell as the published document has it."""
    return {
        "framework": cell.framework,
        "capability": cell.capability,
        "standing": cell.standing,
        "by_hand": cell.by_hand,
        "lines": cell.lines,
        "why": cell.why,
        "model_calls": cell.calls,
        "tokens": cell.tokens,
        "extra_packages": list(cell.extras),
        "cases": [
            {
                "case": run.case,
                "title": run.title,
                "passed": run.passed,
                "reasons": list(run.reasons),
                "model_calls": run.calls,
                "tokens": run.tokens,
                "wall_s": run.wall_s,
            }
            for run in cell.runs
        ],
    }
