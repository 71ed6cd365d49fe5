"""The pages of what frameworks can do: a table, and a page a framework with all its runs."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluator.analysis.capabilities import Cell, checks
from evaluator.analysis.graded_run import measure_run
from evaluator.catalog.capabilities import Capability, as_task
from evaluator.packs import read_packed
from evaluator.providers.names import CAPABILITIES_NAME
from evaluator.scorecard.content import Capabilities
from evaluator.site import runs
from evaluator.site.packed import Packer
from evaluator.site.render import embedded, slug
from evaluator.text import visible
from evaluator.trace import Trace
from tasks.grading import Grade

PAGE = "capabilities.html"


@dataclass(frozen=True)
class CapabilityRuns:
    """All runs of a framework; `data` is what is shown of them, as `static/run.js` reads it. `names` has what each is
    called on the page, by capability and case."""

    framework: str
    names: dict[tuple[str, str], str]
    data: str


def page_of(framework: str) -> str:
    """The page with all runs of a framework of capability tasks, as a path below the site."""
    return f"capabilities/{slug(framework)}.html"


def side_by_side(capability: str) -> str:
    """The page with a capability's modules side by side, as a path below the site."""
    return f"compare/{slug(capability)}.html"


def runs_of(root: Path, framework: str, title: str, capabilities: Mapping[str, Capability]) -> CapabilityRuns:
    """The runs of a framework below a folder of traces, as they are shown."""
    found: dict[tuple[str, str], Trace] = {}
    for one in read_packed(root, CAPABILITIES_NAME, framework):
        if isinstance(one, Trace) and one.capability is not None:
            found[one.key.task, one.key.case] = one
    packer, packed, names = Packer(), [], {}
    for name, capability in capabilities.items():
        for case in capability.cases:
            if (trace := found.get((name, case.id))) is not None:
                names[name, case.id] = slug(f"{name}-{case.id}")
                shown = _packed(packer, trace, capability, title, case.title)
                packed.append(shown | {"name": names[name, case.id]})
    return CapabilityRuns(framework, names, embedded({"shared": packer.shared, "runs": packed}))


def _packed(packer: Packer, trace: Trace, capability: Capability, title: str, what: str) -> dict[str, Any]:
    held = checks(capability, trace)
    passed = all(check.held for check in held)
    reasons = [check.reason for check in held if not check.held] or ["all is right: " + ", ".join(c.name for c in held)]
    graded = measure_run(trace, Grade(passed=passed, score=float(passed), reasons=[*reasons, *_in_words(trace)]))
    about = f"{capability.title}, when {what}"
    view = runs.view(trace, as_task(capability), graded, None, None, about)
    return packer.run(view, title) | {"about": about}


def _in_words(trace: Trace) -> list[str]:
    """What was observed of a run beside its calls, in lines."""
    assert trace.capability is not None
    record = trace.capability
    lines = []
    if len(record.parts) > 1:
        for number, part in enumerate(record.parts, start=1):
            lines.append(f"process {number}: {part.start_s:.2f} s to {part.end_s:.2f} s, {part.ended}")
    told: dict[str, list[Any]] = defaultdict(list)
    for one in record.told:
        told[one.what].append(one)
    for what, those in told.items():
        if len(those) > 3:
            lines.append(f"{what}: {len(those)} times, from {those[0].at_s:.2f} s to {those[-1].at_s:.2f} s")
        else:
            lines += [f"{what} at {one.at_s:.2f} s" + (f": {one.value}" if one.value else "") for one in those]
    lines += [
        f"the framework closed the connection at {call.left_s:.2f} s" for call in trace.chats if call.left_s is not None
    ]
    if record.frames:
        lines.append(f"{len(record.frames)} messages by the log of the server of tools")
    return [visible(line) for line in lines]


def overview(found: Capabilities, capabilities: Mapping[str, Capability]) -> dict[str, Any]:
    """What the template of the page with all frameworks needs."""
    return {
        "found": found,
        "capabilities": capabilities,
        "page_of": page_of,
        "side_by_side": side_by_side,
        "failing": [cell for cell in found.cells if cell.failing],
        "without": [cell for cell in found.cells if cell.why],
        "costs": [_costs(framework, found) for framework in found.frameworks],
        "shade": _shade,
    }


def _shade(cell: Cell) -> str:
    """The class of a cell's colour."""
    if not cell.runs:
        return "heat-none"
    return f"heat-{10 * sum(run.passed for run in cell.runs) // len(cell.runs)}"


def _costs(framework: str, found: Capabilities) -> dict[str, Any]:
    cells = [cell for cell in found.cells if cell.framework == framework]
    return {
        "framework": framework,
        "cells": cells,
        "lines": sum(cell.lines or 0 for cell in cells),
        "calls": sum(cell.calls for cell in cells),
        "tokens": sum(cell.tokens for cell in cells),
        "extras": sorted({package for cell in cells for package in cell.extras}),
    }


def of_framework(found: Capabilities, part: CapabilityRuns, capabilities: Mapping[str, Capability]) -> dict[str, Any]:
    """What the template of a framework's page needs."""
    return {
        "part": part,
        "found": found,
        "capabilities": capabilities,
        "page_of": page_of,
        "side_by_side": side_by_side,
    }
