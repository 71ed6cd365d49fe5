"""Generated files are those that the committed traces give."""

import json
import runpy
from pathlib import Path

import jsonschema
import pytest

from evaluator import ROOT, scorecard
from evaluator.providers import page as endpoints_page
from evaluator.scorecard import schema


@pytest.mark.parametrize("name", [scorecard.JSON_NAME, scorecard.MARKDOWN_NAME, "README.md"])
def test_a_generated_file_is_up_to_date(name: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes((ROOT / "README.md").read_bytes())
    scorecard.score(ROOT / "traces", tmp_path)
    message = f"{name} is out of date: run `uv run bakeoff score`"
    assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes(), message


def test_the_page_of_endpoints_is_up_to_date() -> None:
    message = f"docs/models.md is out of date: run `{endpoints_page.COMMAND}`"
    assert endpoints_page.PAGE.read_text(encoding="utf-8") == endpoints_page.page(), message


def test_the_schema_of_the_scorecard_is_up_to_date() -> None:
    message = f"{schema.FILE.name} is out of date: run `{schema.COMMAND}`"
    assert schema.FILE.read_bytes() == schema.content(), message


def test_the_scorecard_has_its_schema() -> None:
    published = json.loads(schema.FILE.read_bytes())
    jsonschema.Draft202012Validator.check_schema(published)
    content = json.loads((ROOT / scorecard.JSON_NAME).read_bytes())
    errors = jsonschema.Draft202012Validator(published).iter_errors(content)
    assert [f"{error.json_path}: {error.message[:200]}" for error in errors] == []


def test_the_picture_of_the_architecture_is_up_to_date() -> None:
    drawing = runpy.run_path(str(ROOT / "docs" / "architecture.py"))
    message = f"{drawing['PICTURE'].name} is out of date: run `{drawing['COMMAND']}`"
    assert drawing["PICTURE"].read_text(encoding="utf-8") == drawing["drawn"](), message
