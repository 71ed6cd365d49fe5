"""What each framework can do, as its metadata say: `pytest -m "approval and crewai"`.

A case that is not right must be explained by a deviation, with `capability:<case>` among its `differences`; a case that
is explained must not be right.
"""

from pathlib import Path

import pytest
from rich.console import Console

from evaluator import ROOT
from evaluator.analysis.capabilities import Cell, gather
from evaluator.catalog.capabilities import Capability, all_capabilities
from evaluator.catalog.frameworks import Framework, all_frameworks, implements
from evaluator.pytest_plugin import marks_of
from evaluator.suites import capabilities

FRAMEWORKS, CAPABILITIES = all_frameworks(), all_capabilities()

PAIRS = [
    pytest.param(framework, capability, marks=marks_of(framework, capability.name), id=f"{name}-{capability.name}")
    for name, framework in FRAMEWORKS.items()
    for capability in CAPABILITIES.values()
    if implements(framework, capability.name)
]


def explained(framework: Framework, capability: Capability) -> set[str]:
    """The cases that are not right by what the framework's metadata say."""
    return {case for one in framework.deviations if one.task == capability.name for case in one.cases}


def as_written(cell: Cell, framework: Framework, capability: Capability) -> None:
    assert len(cell.runs) == len(capability.cases)
    why = {run.case: run.reasons for run in cell.failing}
    assert set(why) == explained(framework, capability), f"{why}; {framework.folder / 'pyproject.toml'}"


@pytest.mark.capabilities
@pytest.mark.parametrize(("framework", "capability"), PAIRS)
def test_made_anew_it_does_what_is_written(framework: Framework, capability: Capability, tmp_path: Path) -> None:
    asked = capabilities.jobs([framework], [capability])
    capabilities.make(asked, capabilities.settings(), tmp_path, False, Console(stderr=True), print)
    as_written(gather(tmp_path, [framework], {capability.name: capability}).cells[0], framework, capability)


@pytest.mark.parametrize("framework", [pytest.param(one, id=name) for name, one in FRAMEWORKS.items()])
def test_what_is_recorded_is_what_is_written(framework: Framework) -> None:
    found = gather(ROOT / "traces", [framework], CAPABILITIES)
    for cell in found.cells:
        if cell.lines is None:
            assert cell.why, f"{framework.name} has no {cell.capability}, and does not say why"
        else:
            as_written(cell, framework, CAPABILITIES[cell.capability])
