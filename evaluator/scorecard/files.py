"""Writes a scorecard's files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluator import files
from evaluator.analysis.repricing import DEFAULT_MODELS
from evaluator.catalog.frameworks import IMPLEMENTATIONS
from evaluator.catalog.tasks import Task
from evaluator.errors import Mistake
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

    The summary goes into `out/README.md` where that has the markers. Raises `Mistake` where it
    has only one of them or cannot be read, and for `prices` that are not known; `OSError` where a file cannot be
    written.
    """
    scorecard = build(traces, tasks=tasks, implementations=implementations, prices=prices)
    readme = out / "README.md"
    contents = {out / name: content for name, content in documents(scorecard).items()}
    contents[out / MARKDOWN_NAME] = to_markdown(scorecard)
    if readme.exists():
        contents |= _with_section(readme, scorecard)
    files.write_all_whole(contents)
    return scorecard


def _with_section(readme: Path, scorecard: Scorecard) -> dict[Path, str]:
    """The file with the scorecard's summary, by its path; nothing where it does not ask for it. Raises `Mistake`."""
    try:
        text = files.read_bytes(readme).decode()
        return {readme: splice(text, readme_section(scorecard))} if README_BEGIN in text else {}
    except OSError as error:
        raise Mistake(f"{readme}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Mistake(f"{readme}: is not UTF-8: {error.reason}") from None
    except ValueError as error:
        raise Mistake(f"{readme}: {error}") from None
