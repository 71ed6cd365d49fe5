"""Outside suites in words: tables for the terminal, and `SUITES.md`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluator.analysis.suites import Rate, Row, SuiteFound, Versus
from evaluator.catalog.suites import Suite
from evaluator.fitting import Fitted
from evaluator.scorecard.content import COMMAND, Scorecard
from evaluator.scorecard.words import count, seconds
from evaluator.stats.paired import ALPHA
from evaluator.text import bullets, escape, table, visible

_REASONS = 3
"""Of each framework, so many of the reasons that the grader gave most often."""


def rate_in_words(rate: Rate | None, *, interval: bool = False) -> str:
    """`95% (38/40)`, `99.5% (199/200)`, or with its interval `95% [84–99]`; a dash where there are no runs."""
    if rate is None:
        return "–"
    ends = f" [{100 * rate.low:.0f}–{100 * rate.high:.0f}]" if interval else f" ({rate.held}/{rate.runs})"
    share = f"{100 * rate.held / rate.runs:.1f}".removesuffix(".0")  # 199 of 200 are not all
    return f"{share}%{ends}"


def versus_in_words(versus: Versus | None) -> str:
    """The difference from the baseline in points, marked where it is told apart from none; a dash for the baseline."""
    if versus is None:
        return "–"
    points = f"{100 * versus.difference:+.1f}".replace("-", "−")
    return f"{points}*" if versus.p_value <= ALPHA else points


def about(found: SuiteFound) -> str:
    """How many cases of which categories, of which version."""
    kinds = ", ".join(f"{number} {category}" for category, number in found.cases.items())
    return f"{sum(found.cases.values())} cases ({kinds}) of version {found.version}, data {found.data}"


def told(found: SuiteFound, titles: Mapping[str, str]) -> str:
    """Whether any framework differs from the baseline, and what so many cases can show, in a sentence."""
    said = []
    for metric in found.metrics:
        if not any(metric in row.versus for row in found.rows):
            continue
        apart = [row for row in found.rows if metric in row.versus and row.versus[metric].p_value <= ALPHA]
        names = ", ".join(
            f"{titles[row.framework]} ({versus_in_words(row.versus[metric])[:-1]} points)" for row in apart
        )
        who = f"told apart from the baseline: {names}" if apart else "no framework is told apart from the baseline"
        smallest = found.smallest.get(metric)
        can = (
            f"a difference of {100 * smallest:.0f} points would be found in 80 % of all experiments"
            if smallest is not None and smallest <= 1
            else "so few cases, or such equal runs, can show no difference"
        )
        said.append(f"{metric}: {who}; {can}.")
    return " ".join(said)


def _rate_of(metric: str, row: Row) -> str:
    return rate_in_words(row.rates[metric].get(""), interval=True)


def _versus_of(metric: str, row: Row) -> str:
    return versus_in_words(row.versus.get(metric))


def reached_in_words(reached: Mapping[str, int]) -> str:
    """How many of the instructions reached the model whole, changed, or not."""
    return ", ".join(f"{number} {how}" for how, number in reached.items()) or "–"


def _reached(row: Row) -> str:
    return reached_in_words(row.reached)


_Column = tuple[str, Callable[[Row], str]]


def _columns(found: SuiteFound) -> list[_Column]:
    columns: list[_Column] = []
    for metric in found.metrics:
        columns.append((metric, partial(_rate_of, metric)))
        if any(metric in row.versus for row in found.rows):
            columns.append(("± baseline", partial(_versus_of, metric)))
    if any(row.reached for row in found.rows):
        columns.append(("reached", _reached))
    return [
        *columns,
        ("no answer", lambda row: str(row.unanswered)),
        ("calls", lambda row: count(row.calls)),
        ("tokens in", lambda row: count(row.prompt_tokens)),
        ("tokens out", lambda row: count(row.completion_tokens)),
        ("overhead", lambda row: seconds(row.overhead_s)),
        ("wall time", lambda row: seconds(row.wall_s)),
    ]


def reasons(rows: Iterable[Row], titles: Mapping[str, str]) -> list[str]:
    """The reasons that the grader gave most often, a line for those frameworks that have the same."""
    rows = list(rows)
    who: dict[tuple[tuple[str, int], ...], list[str]] = {}
    for row in rows:
        who.setdefault(row.reasons[:_REASONS], []).append(titles[row.framework])
    lines = {
        said: "every framework" if len(names) == len(rows) > 1 else ", ".join(names) for said, names in who.items()
    }
    return [f"{names}: {'; '.join(f'{n} x {reason}' for reason, n in said)}" for said, names in lines.items() if said]


def print_suites(console: Console, found: Iterable[SuiteFound], titles: Mapping[str, str]) -> None:
    """Print each suite's table, what it can tell, and the graders' most frequent reasons."""
    for one in found:
        columns = _columns(one)
        shown = Table("framework", *(name for name, _ in columns), title_justify="left", box=None)
        shown.title = f"{one.model} · {one.suite} · {about(one)}"
        for row in one.rows:
            shown.add_row(titles.get(row.framework, row.framework), *(show(row) for _, show in columns))
        console.print(Fitted(shown))
        if sentence := told(one, titles):
            console.print(Text(f"\n{sentence}"))
        for line in reasons(one.rows, titles):
            console.print(Text(visible(line)))
        if one.unjudged:
            console.print(Text(f"{one.unjudged} runs have no verdict yet: the same command asks the suite's grader"))
        for damaged in one.damaged:
            console.print(Text(visible(f"left out: {damaged.path}: {damaged.reason}")))
        console.print()


# --- SUITES.md -------------------------------------------------------------------------------

_ABOUT = """\
Cases and graders that nobody here wrote, through the same implementations as our own tasks, unchanged, or where the \
user says several things, through the module of each that holds a conversation. Each suite's own grader judges the \
runs, in its own environment, and its metrics have its own names. What was changed to make a \
suite's cases into ours, and what was left out, stands in its README; how another suite is brought in, in \
[docs/suites.md](docs/suites.md). Rates are over runs, with the 95 % interval over cases in brackets. ± baseline is \
the difference from the baseline over the same cases, in points; a star marks what is told apart from none \
(sign-flip test over cases, Holm over frameworks, 5 %). Only cases that every framework has are counted. *Reached* \
counts the runs in which a tool gave an instruction that somebody had put there: whether the model was sent it whole, \
changed, or not."""


def suites_page(scorecard: Scorecard) -> str:
    """`SUITES.md`."""
    parts = [f"<!-- generated by `{COMMAND}`; changes made by hand are lost -->", "# Outside suites", _ABOUT]
    if not scorecard.suites:
        return "\n\n".join([*parts, "Nothing is recorded yet: `uv run bakeoff run -t bfcl -m scripted`."]) + "\n"
    for suite in dict.fromkeys(suite for suite, _ in scorecard.suites):
        parts += [f"## {suite.title}", _described(suite)]
        for found in (found for of, found in scorecard.suites if of == suite):
            parts += _section(found, scorecard.titles)
        if notes := notes_on(scorecard, suite):
            parts += ["### Why", bullets(f"**{escape(title)}**: {escape(note, 1000)}" for title, note in notes)]
    return "\n\n".join(parts) + "\n"


def notes_on(scorecard: Scorecard, suite: Suite) -> list[tuple[str, str]]:
    """The deviations on a suite: the framework's title and the note."""
    return [(scorecard.titles[name], note) for _, name, of, note in scorecard.suite_notes if of == suite.name]


def _described(suite: Suite) -> str:
    return (
        f"[{suite.package}]({suite.homepage}) {suite.version}, {suite.licence}. Served by the modules of "
        f"`{suite.implemented_by}`. What was changed and left out: [tasks/{suite.name}](tasks/{suite.name}/README.md)."
    )


def _section(found: SuiteFound, titles: Mapping[str, str]) -> list[str]:
    columns = _columns(found)
    overall = table(
        ["framework", *(name for name, _ in columns)],
        [[titles[row.framework], *(show(row) for _, show in columns)] for row in found.rows],
    )
    parts = [f"### `{found.model}`", f"{about(found)}.", overall, escape(told(found, titles), 2000)]
    for metric in found.metrics:
        kinds = [kind for kind in found.cases if any(kind in row.rates[metric] for row in found.rows)]
        if len(kinds) > 1:
            parts += [f"{metric.capitalize()} by category:", _by_category(found.rows, metric, kinds, titles)]
    if why := reasons(found.rows, titles):
        parts += ["What the grader said most often:", bullets(escape(line, 600) for line in why)]
    return [part for part in parts if part]


def _by_category(rows: Sequence[Row], metric: str, kinds: Sequence[str], titles: Mapping[str, str]) -> str:
    return table(
        ["framework", *kinds],
        [[titles[row.framework], *(rate_in_words(row.rates[metric].get(kind)) for kind in kinds)] for row in rows],
    )
