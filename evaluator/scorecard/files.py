"""Writes a scorecard's files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluator.analysis.repricing import DEFAULT_MODELS
from evaluator.catalog.frameworks import IMPLEMENTATIONS
from evaluator.catalog.tasks import Task
from evaluator.scorecard.as_json import to_json
from evaluator.scorecard.build import build
from evaluator.scorecard.content import JSON_NAME, MARKDOWN_NAME, Scorecard
from evaluator.scorecard.markdown import to_markdown
from evaluator.scorecard.readme import README_BEGIN, readme_section, splice


def score(
    traces: Path,
    out: Path,
    *,
    tasks: Mapping[str, Task] | None = None,
    implementations: Path = IMPLEMENTATIONS,
    prices: Sequence[str] = DEFAULT_MODELS,
) -> Scorecard:
    """Build the scorecard of all traces below `traces` and write its files into `out`.

    The summary goes into `out/README.md` where that has the markers. Raises `ValueError` where it
    has only one of them, `OSError` where a file cannot be written, `PriceError` for `prices` that are not known.
    """
    scorecard = build(traces, tasks=tasks, implementations=implementations, prices=prices)
    readme = out / "README.md"
    files = {out / JSON_NAME: to_json(scorecard), out / MARKDOWN_NAME: to_markdown(scorecard)}
    if readme.exists() and README_BEGIN in (text := readme.read_text(encoding="utf-8")):
        files[readme] = splice(text, readme_section(scorecard))
    out.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        _write_whole(path, content)
    return scorecard


def _write_whole(path: Path, content: str) -> None:
    """Write the file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(content, encoding="utf-8", newline="\n")
    temporary.replace(path)
