"""Writes a scorecard's files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluator.analysis.repricing import DEFAULT_MODELS
from evaluator.catalog.frameworks import IMPLEMENTATIONS
from evaluator.catalog.tasks import Task
from evaluator.scorecard.as_json import documents
from evaluator.scorecard.build import build
from evaluator.scorecard.content import MARKDOWN_NAME, Scorecard
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
    """Build the scorecard of all traces below `traces` and write its files into `out`, all or none.

    The summary goes into `out/README.md` where that has the markers. Raises `ValueError` where it
    has only one of them, `OSError` where a file cannot be written, `PriceError` for `prices` that are not known.
    """
    scorecard = build(traces, tasks=tasks, implementations=implementations, prices=prices)
    readme = out / "README.md"
    files = {out / name: content for name, content in documents(scorecard).items()}
    files[out / MARKDOWN_NAME] = to_markdown(scorecard)
    if readme.exists() and README_BEGIN in (text := readme.read_text(encoding="utf-8")):
        files[readme] = splice(text, readme_section(scorecard))
    out.mkdir(parents=True, exist_ok=True)
    _write_whole(files)
    return scorecard


def _write_whole(files: Mapping[Path, str]) -> None:
    """Write all of the files or none: each is whole on the disk before the first takes its place."""
    written: dict[Path, Path] = {}
    try:
        for path, content in files.items():
            written[path] = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            written[path].write_text(content, encoding="utf-8", newline="\n")
        for path, temporary in written.items():
            temporary.replace(path)
    finally:
        for temporary in written.values():
            temporary.unlink(missing_ok=True)
