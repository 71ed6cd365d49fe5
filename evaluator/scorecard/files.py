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
from evaluator.scorecard.claims import CLAIMS_BEGIN, CLAIMS_END, PAGE, claims_section
from evaluator.scorecard.content import HISTORY_PAGE, MARKDOWN_NAME, SUITES_PAGE, Scorecard
from evaluator.scorecard.history import history_page
from evaluator.scorecard.markdown import to_markdown
from evaluator.scorecard.readme import README_BEGIN, README_END, readme_section, splice
from evaluator.scorecard.suites import suites_page


def score(
    traces: Path,
    out: Path,
    *,
    tasks: Mapping[str, Task] | None = None,
    implementations: Path = IMPLEMENTATIONS,
    prices: Sequence[str] = DEFAULT_MODELS,
) -> Scorecard:
    """Build the scorecard of all traces below `traces` and write its files into `out`, all or none.

    The summary goes into `out/README.md`, and what is said of frameworks into `out/docs/capabilities.md`, where these
    have the markers. Raises `Mistake` where it
    has only one of them or cannot be read, and for `prices` that are not known; `OSError` where a file cannot be
    written.
    """
    scorecard = build(traces, tasks=tasks, implementations=implementations, prices=prices)
    contents = {out / name: content for name, content in documents(scorecard).items()}
    contents[out / MARKDOWN_NAME] = to_markdown(scorecard)
    contents[out / HISTORY_PAGE] = history_page(scorecard)
    contents[out / SUITES_PAGE] = suites_page(scorecard)
    for page, section, begin, end in (
        (out / "README.md", readme_section, README_BEGIN, README_END),
        (out / PAGE, claims_section, CLAIMS_BEGIN, CLAIMS_END),
    ):
        if page.exists():
            contents |= _with_section(page, section(scorecard), begin, end)
    files.write_all_whole(contents)
    return scorecard


def _with_section(page: Path, section: str, begin: str, end: str) -> dict[Path, str]:
    """A file with a section of the scorecard's, by its path; nothing where it does not ask for it. Raises `Mistake`."""
    try:
        text = files.read_bytes(page).decode()
        return {page: splice(text, section, begin, end)} if begin in text else {}
    except OSError as error:
        raise Mistake(f"{page}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Mistake(f"{page}: is not UTF-8: {error.reason}") from None
    except ValueError as error:
        raise Mistake(f"{page}: {error}") from None
