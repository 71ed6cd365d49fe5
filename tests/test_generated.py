"""Generated files are those that the committed traces give."""

import json
import runpy
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from evaluator import ROOT, scorecard
from evaluator.catalog.capabilities import all_capabilities
from evaluator.catalog.frameworks import all_frameworks
from evaluator.catalog.tasks import all_tasks
from evaluator.harness.jobs import Settings
from evaluator.harness.records import Records
from evaluator.models import page as models_page
from evaluator.models import specs
from evaluator.providers.names import FAULTS_NAME
from evaluator.scorecard import claims, schema
from evaluator.suites import capabilities, faulting

pytestmark = pytest.mark.xdist_group("generated")  # one process scores all traces once


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the committed traces give."""
    folder = tmp_path_factory.mktemp("scored")
    (folder / "docs").mkdir()
    for page in ("README.md", claims.PAGE):
        (folder / page).write_bytes((ROOT / page).read_bytes())
    scorecard.score(ROOT / "traces", folder)
    return folder


@pytest.mark.parametrize("name", [*schema.DOCUMENTS, scorecard.MARKDOWN_NAME, "README.md", claims.PAGE])
def test_a_generated_file_is_up_to_date(name: str, scored: Path) -> None:
    message = f"{name} is out of date: run `uv run bakeoff score`"
    assert (scored / name).read_bytes() == (ROOT / name).read_bytes(), message


def test_the_committed_runs_with_faults_are_those_that_would_be_made_now() -> None:
    spec = specs.resolve(FAULTS_NAME, None, None)
    settings = Settings(model=spec, timeout_s=spec.timeout_s, jobs=faulting.AT_ONCE)
    records = Records(settings, specs.digest(spec, Console(quiet=True)))
    missing = records.missing(faulting.jobs(all_frameworks().values(), all_tasks()), ROOT / "traces")
    names = [f"{job.framework.name}/{job.task.name}/{job.name}" for job in missing]
    assert not names, f"{len(names)} are out of date: run `uv run bakeoff run -m faults --traces traces`"


def test_the_committed_runs_of_capability_tasks_are_those_that_would_be_made_now() -> None:
    settings = capabilities.settings()
    records = Records(settings, specs.digest(settings.model, Console(quiet=True)))
    asked = capabilities.jobs(all_frameworks().values(), all_capabilities().values())
    names = [f"{job.framework.name}/{job.task.name}/{job.name}" for job in records.missing(asked, ROOT / "traces")]
    assert not names, f"{len(names)} are out of date: run `uv run bakeoff run -m capabilities --traces traces`"


def test_the_page_of_models_is_up_to_date() -> None:
    message = f"docs/models.md is out of date: run `{models_page.COMMAND}`"
    assert models_page.PAGE.read_text(encoding="utf-8") == models_page.page(), message


@pytest.mark.parametrize("name", schema.DOCUMENTS)
def test_a_schema_is_up_to_date(name: str) -> None:
    message = f"{schema.file(name).name} is out of date: run `{schema.COMMAND}`"
    assert schema.file(name).read_bytes() == schema.content(name), message


@pytest.mark.parametrize("name", schema.DOCUMENTS)
def test_a_document_has_its_schema(name: str) -> None:
    published = json.loads(schema.file(name).read_bytes())
    jsonschema.Draft202012Validator.check_schema(published)
    content = json.loads((ROOT / name).read_bytes())
    errors = jsonschema.Draft202012Validator(published).iter_errors(content)
    assert [f"{error.json_path}: {error.message[:200]}" for error in errors] == []


def test_the_picture_of_the_architecture_is_up_to_date() -> None:
    drawing = runpy.run_path(str(ROOT / "docs" / "architecture.py"))
    message = f"{drawing['PICTURE'].name} is out of date: run `{drawing['COMMAND']}`"
    assert drawing["PICTURE"].read_text(encoding="utf-8") == drawing["drawn"](), message


def test_the_scorecard_fits_on_a_few_pages() -> None:
    lines = (ROOT / scorecard.MARKDOWN_NAME).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 250
