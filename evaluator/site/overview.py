"""What the overview says: the matrix, and in words what a newcomer wants to know first."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from evaluator.analysis.metrics import Value
from evaluator.analysis.pairs import PASS_RATE, Pair
from evaluator.analysis.parity.report import per_call
from evaluator.catalog.frameworks import BASELINE
from evaluator.providers.names import PROBES_NAME, SCRIPTED, is_real
from evaluator.scorecard import Cell, ReferenceRow, Scorecard, breakdown, count, seconds
from evaluator.scorecard.breakdown import Breakdown
from evaluator.scorecard.letters import detectable, pairs_of
from evaluator.scorecard.words import amount, not_implemented
from evaluator.site import costs
from evaluator.site.costs import Costs
from evaluator.site.drawing import Chart
from evaluator.site.render import slug


@dataclass(frozen=True)
class Column:
    """A column of the matrix: the metric that it shows and sorts by, and which end comes first."""

    title: str
    metric: str
    show: Callable[[Value], str]
    lowest_first: bool = True


COLUMNS = (
    Column("wall p50", "wall_s_p50", seconds),
    Column("overhead p50", "overhead_s_p50", seconds),
    Column("injected / call", "injected_tokens_per_call", per_call),
    Column("prompt tokens", "prompt_tokens_mean", count),
    Column("completion tokens", "completion_tokens_mean", count),
    Column("model calls", "model_calls_mean", count),
    Column("source lines", "source_lines", count),
)


@dataclass(frozen=True)
class Selection:
    """One model and task (None for all tasks): their cells, what these cost and say in words, and all their pairs.

    `references` are the floors and the ceiling beside the cells; `levels` and `components` are tables of both, where
    there is something to show.
    `not_implemented` says who does not implement the task, where that is so.
    """

    model: str
    task: str | None
    cells: tuple[Cell, ...]
    references: tuple[ReferenceRow, ...]
    levels: Breakdown | None
    components: Breakdown | None
    costs: Costs | None
    statements: tuple["Statement", ...]
    pairs: tuple[Pair, ...]
    not_implemented: str | None


@dataclass(frozen=True)
class Statement:
    """A question that a newcomer has, the answer in a few words, and what it rests on."""

    question: str
    answer: str
    because: str


def chart_file(selection: Selection, chart: Chart) -> str:
    """Where a plot lies, as a path below the site."""
    return f"charts/{slug(selection.model)}/{slug(selection.task) if selection.task else 'all'}/{chart.name}.svg"


def real_first(model: str) -> tuple[bool, bool, str]:
    """To sort models by: real ones, then those that play what is expected or recorded, and the probes last."""
    return model == PROBES_NAME, not is_real(model), model


def selections(card: Scorecard) -> list[Selection]:
    """Every model with each of its tasks, all tasks first. A real model comes before the scripted one."""
    found = []
    for model in sorted(card.models, key=real_first):
        of_model = [cell for cell in card.cells if cell.model == model]
        for task in (None, *dict.fromkeys(cell.task for cell in of_model)):
            cells = tuple(cell for cell in (*card.totals, *of_model) if (cell.model, cell.task) == (model, task))
            pairs = pairs_of(card, model, task)
            said = tuple(statements(cells, pairs, card.titles))
            found.append(
                Selection(
                    model=model,
                    task=task,
                    cells=cells,
                    references=tuple(card.references_of(model, task)),
                    levels=breakdown.levels(card, model, task),
                    components=breakdown.components(card, model, task),
                    costs=costs.of_cells(cells, card.repricing),
                    statements=said,
                    pairs=tuple(pairs),
                    not_implemented=not_implemented(card, model, task),
                )
            )
    return found


def statements(cells: Sequence[Cell], pairs: Sequence[Pair], title: Mapping[str, str]) -> list[Statement]:
    """What the cells of one model and task say of tokens, time and correctness; `pairs` are their comparisons."""
    frameworks = [cell for cell in cells if cell.framework != BASELINE]
    return [
        *_most_tokens(cells, frameworks, title),
        *_fastest(cells, frameworks, pairs, title),
        *_correctness(cells, pairs, title),
    ]


def _most_tokens(cells: Sequence[Cell], frameworks: Sequence[Cell], title: Mapping[str, str]) -> list[Statement]:
    known = _sorted(frameworks, "injected_tokens_per_call")
    if not known:
        return []
    most, least = known[-1], known[0]
    because = f"Prompt tokens in every model call, beyond the fewest that say what the task asks for; n = {_n(most)}."
    if most is not least:
        because += f" The least: {title[least.framework]}, {per_call(least.metrics['injected_tokens_per_call'])}."
    for own in (cell for cell in _sorted(cells, "injected_tokens_per_call") if cell.framework == BASELINE):
        because += f" Without a framework: {per_call(own.metrics['injected_tokens_per_call'])}."
    more = per_call(most.metrics["injected_tokens_per_call"])
    return [Statement("Which framework adds the most tokens?", f"{title[most.framework]}, {more} a call", because)]


def _fastest(
    cells: Sequence[Cell], frameworks: Sequence[Cell], pairs: Sequence[Pair], title: Mapping[str, str]
) -> list[Statement]:
    known = _sorted(frameworks, "overhead_s_p50")
    if not known:
        return []
    best, worst = known[0], known[-1]
    because = (
        "Median time of a run that is not the model's, the tools' or the gateway's, over several tasks the geometric "
        f"mean of their medians; n = {_n(best)}."
    )
    ties = [title[cell.framework] for cell in known[1:] if _tie("overhead_s", best, cell, pairs)]
    if ties:
        because += f" A tie with it, as far as these cases can tell: {', '.join(ties)}."
    if best is not worst:
        because += f" The slowest: {title[worst.framework]}, {seconds(worst.metrics['overhead_s_p50'])}."
    if untimed := [title[cell.framework] for cell in frameworks if cell.metrics["overhead_s_p50"] is None]:
        because += f" Recorded apart from the others, and so without a time here: {', '.join(untimed)}."
    for cell in cells:
        if cell.framework == BASELINE:
            because += f" Without a framework: {seconds(cell.metrics['overhead_s_p50'])}."
    answer = f"{title[best.framework]}, {seconds(best.metrics['overhead_s_p50'])}"
    return [Statement("Which is fastest beyond the model?", answer, because)]


def _tie(metric: str, one: Cell, other: Cell, pairs: Iterable[Pair]) -> bool:
    both = {one.framework, other.framework}
    return any(
        pair.metric == metric and {pair.framework, pair.against} == both and pair.verdict == "tie" for pair in pairs
    )


def _correctness(cells: Sequence[Cell], pairs: Iterable[Pair], title: Mapping[str, str]) -> list[Statement]:
    question = "Do the differences in correctness mean anything?"
    if not cells:
        return []
    if cells[0].model == SCRIPTED:
        passed, runs = (sum(int(cell.metrics[name] or 0) for cell in cells) for name in ("passed", "runs"))
        because = (
            "The scripted model plays each case perfectly from what it is sent: it shows whether an implementation "
            "carries everything through, and says nothing about how a real model copes."
        )
        return [Statement(question, f"There is nothing to compare: {passed} of {runs} runs pass", because)]
    compared = [pair for pair in pairs if pair.metric == PASS_RATE.name]
    if not compared:
        return [Statement(question, "There is nothing to compare", "No two frameworks ran the same cases.")]
    how = (
        f"Every two frameworks were compared on the same cases (n = {max(pair.cases for pair in compared)}), with a "
        "sign-flip test and Holm's correction for all pairs and tasks."
    )
    seen = detectable(PASS_RATE, compared)
    if seen is not None:
        limit = f"Differences of less than about {amount(PASS_RATE, seen, sign=False)} would likely go unseen."
    elif {cell.metrics["pass_rate"] for cell in cells} in ({0.0}, {1.0}):
        limit = "Every run came out alike, so none of them can differ."
    else:
        limit = "So few cases can show no difference at all, so this is no proof that there is none."
    apart = [pair for pair in compared if pair.verdict != "tie"]
    if not apart:
        return [Statement(question, "No, these cases cannot tell the frameworks apart", f"{how} {limit}")]
    pairs_said = [f"{title[pair.framework]} is {pair.verdict} than {title[pair.against]}" for pair in apart]
    shown = "; ".join(pairs_said[:3]) + (f"; and {len(apart) - 3} more" if len(apart) > 3 else "")
    answer = f"Yes, for {len(apart)} of {len(compared)} pairs of frameworks"
    return [Statement(question, answer, f"{how} {shown}. All others tie. {limit}")]


def _sorted(cells: Sequence[Cell], metric: str) -> list[Cell]:
    """The cells that have the metric, the lowest first."""
    return sorted((cell for cell in cells if cell.metrics[metric] is not None), key=lambda c: c.metrics[metric] or 0)


def _n(cell: Cell) -> str:
    return f"{cell.metrics['runs']} runs"
