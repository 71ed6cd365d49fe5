"""What a scorecard holds."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from evaluator.analysis.breakdown import Component, LevelRate
from evaluator.analysis.capabilities import Cell as CapabilityCell
from evaluator.analysis.faults.pairs import FaultPair
from evaluator.analysis.faults.rows import Row, Total
from evaluator.analysis.gather import Unsound
from evaluator.analysis.graded_run import GradedRun
from evaluator.analysis.history import HistoryOf
from evaluator.analysis.judge import Figures, Judgement
from evaluator.analysis.metrics import Value
from evaluator.analysis.models import ModelComparison
from evaluator.analysis.pairs import Pair
from evaluator.analysis.parity import Parity
from evaluator.analysis.references import Reference
from evaluator.analysis.repricing import Repricing
from evaluator.analysis.suites import SuiteFound
from evaluator.catalog.code_size import CodeSize
from evaluator.catalog.suites import Suite
from evaluator.models.template import sentences
from evaluator.probes.behaviours import Behaviour
from evaluator.providers.names import GGUF_PREFIX, LOCAL, LOCAL_HALF_B
from evaluator.trace import Key

COMMAND = "uv run bakeoff score"
JSON_NAME = "scorecard.json"
PAIRS_NAME = "scorecard.pairs.json"
FAILURES_NAME = "scorecard.failures.json"
FAULTS_NAME = "scorecard.faults.json"
CAPABILITIES_NAME = "scorecard.capabilities.json"
HISTORY_NAME = "scorecard.history.json"
SUITES_NAME = "scorecard.suites.json"
DOCUMENT_NAMES = (
    *(JSON_NAME, PAIRS_NAME, FAILURES_NAME, FAULTS_NAME, CAPABILITIES_NAME),
    *(HISTORY_NAME, SUITES_NAME),
)
MARKDOWN_NAME = "SCORECARD.md"
HISTORY_PAGE = "HISTORY.md"
SUITES_PAGE = "SUITES.md"

SETUP_FIELDS = {
    "cpu": "CPU",
    "cpu_cores": "CPU cores",
    "platform": "platform",
    "python": "Python",
    "harness_version": "bakeoff",
    "git_commit": "commit",
    "git_dirty": "uncommitted changes",
    "model_digest": "model digest",
    "temperature": "temperature",
    "max_model_calls": "model calls at most",
    "timeout_s": "time-out in s",
    "jobs": "runs at a time",
    "event_loop": "event loop",
}
"""What of a run's set-up is shown with the results, and in which words."""

NEWER_SETUP_FIELDS = frozenset({"event_loop"})
"""Those of them that older traces lack. A model none of whose traces has one is shown without it."""

_ABOUT_MODEL = {
    "scripted": (
        "A deterministic model without latency of its own. Every case can be passed, so a failure lies in what the "
        "framework or the implementation carries through, and nearly all of the wall time is overhead. Its tokens are "
        "those of the o200k_base tokenizer."
    ),
    "local": (
        "A language model of 1.5 billion parameters on a CPU. Its pass rates say how well *this model* copes with "
        "what each framework sends it; they say nothing about which framework is best with a larger one. "
        "Its server keeps the prompts used last, so model time depends on the order of the runs: the frameworks take "
        "turns in coming first."
    ),
    "local-0.5b": (
        "A language model of half a billion parameters on a CPU, of the same family as `local`, with the same chat "
        "template and settings. It is there to be compared with `local`: what changes from one to the other is the "
        "model, not the framework."
    ),
    "replay": (
        "Recorded responses of an earlier model, played again to what is here now. Model time is the recorded one; "
        "overhead, tools, gateway and embeddings were measured anew, and wall time is their sum. A run that asks for "
        "anything that was not recorded, or leaves a recorded response unasked for, counts as failed."
    ),
}
"""What a reader must know of a model, as Markdown."""

_ABOUT_A_FILE = (
    "A GGUF file of whoever ran it, named by it and the beginning of its SHA-256. It was run as `local` is, but with "
    "the chat template that is inside the file."
)


def about_model(name: str, outdated: Container[str] = ()) -> str:
    """What a reader must know of a model, as Markdown; empty where there is nothing to say.

    Of the `outdated` ones today's template says nothing.
    """
    if name.startswith(GGUF_PREFIX):
        return _ABOUT_A_FILE
    added = _added_by_the_harness(name, outdated) if name in (LOCAL, LOCAL_HALF_B) else []
    return " ".join([*([_ABOUT_MODEL[name]] if name in _ABOUT_MODEL else []), *added])


def _added_by_the_harness(name: str, outdated: Container[str]) -> list[str]:
    """What the chat template of an embedded model says itself: no framework has sent it."""
    if name in outdated:
        return ["Its chat template is the harness's own; template, engine or settings have changed since these runs."]
    said = sentences()
    return [
        "Its chat template is the harness's own: it ends a system message that offers tools with how to call them, "
        f"follows the first results of tools with “{said['after_results']}”, and later ones with "
        f"“{said['after_more_results']}” (docs/models.md has it all)."
    ]


@dataclass(frozen=True)
class Cell:
    """One framework × task, or with `task` None one framework over all tasks, on one model.

    `pass_hat` has pass^1, pass^2, … as far as there are trials. `failure_kinds` has in how many failed
    runs each kind of reason occurs. `code` is the size of the code that ran, where it is known. `levels` has the pass
    rate by level, as far as levels are known, and `components` how often the parts of a task's grade held; over all
    tasks there are none, for each task has its own. `judges` has what each judge says of the runs, where any does.
    """

    model: str
    framework: str
    task: str | None
    framework_versions: tuple[str, ...]
    metrics: dict[str, Value]
    pass_hat: tuple[float, ...]
    failure_kinds: dict[str, int]
    code: CodeSize | None
    levels: tuple[LevelRate, ...] = ()
    components: tuple[Component, ...] = ()
    judges: tuple[Figures, ...] = ()


@dataclass(frozen=True)
class ReferenceRow:
    """A floor or the ceiling on the cases of the cells beside it: each counts once, whatever the trials.

    `model` is None on the cases that several models were asked, `task` is None over all tasks. `metrics` has those of
    correctness alone: nobody ran it, so it took no time and no tokens, and has no interval.
    """

    reference: Reference
    model: str | None
    task: str | None
    metrics: dict[str, Value]
    levels: tuple[LevelRate, ...]
    components: tuple[Component, ...]


@dataclass(frozen=True)
class Failure:
    """A run that did not pass, and why."""

    key: Key
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Damaged:
    """A file among the traces that was left out, by its path below the folder of traces, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class FrameworkNotes:
    """What a reader must know about a framework's implementations.

    Deviations are (number, task, note), without a task where they hold for all; those on faults are elsewhere.
    `not_implemented` has the tasks that it does not implement, each with the reason if there is one.
    """

    title: str
    homepage: str | None
    by_hand: tuple[str, ...]
    deviations: tuple[tuple[int, str | None, str], ...]
    not_implemented: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True)
class FaultNote:
    """Why a framework makes of some faults what it does: one of its deviations."""

    number: int
    framework: str
    task: str | None
    faults: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Faults:
    """What the frameworks made of faults that were put in on purpose.

    `rows` has each framework and fault, `totals` each framework, and `pairs` compares them; in all of them `hardened`
    modules stand apart. `lines` has of each framework with such modules the lines of code of these, and of the modules
    that they stand beside. `notes` are in the order of the frameworks.
    """

    rows: tuple[Row, ...]
    totals: tuple[Total, ...]
    pairs: tuple[FaultPair, ...]
    lines: dict[str, tuple[int, int]]
    notes: tuple[FaultNote, ...] = ()

    def notes_on(self, framework: str, fault: str) -> list[int]:
        """The numbers of the notes on what a framework makes of a fault."""
        return [one.number for one in self.notes if one.framework == framework and fault in one.faults]


@dataclass(frozen=True)
class Capabilities:
    """What the frameworks can do: a cell for each framework and capability task, in the order of both.

    `titles` are those of the tasks. `notes` are deviations: their number, framework, task, and the note. `claims` are
    what is said of frameworks elsewhere: the framework, the feature, and the task that shows it, if one does.
    """

    titles: dict[str, str]
    cells: tuple[CapabilityCell, ...]
    notes: tuple[tuple[int, str, str, str], ...] = ()
    claims: tuple[tuple[str, str, str | None], ...] = ()

    @property
    def frameworks(self) -> list[str]:
        """The frameworks that have cells."""
        return list(dict.fromkeys(cell.framework for cell in self.cells))

    def of(self, framework: str, capability: str) -> CapabilityCell:
        """The cell of a framework and a capability."""
        return next(one for one in self.cells if (one.framework, one.capability) == (framework, capability))

    def notes_on(self, framework: str, capability: str) -> list[tuple[int, str]]:
        """The notes on what a framework makes of a capability: number and text."""
        return [(number, note) for number, name, task, note in self.notes if (name, task) == (framework, capability)]


@dataclass(frozen=True)
class Scorecard:
    """Cells sorted by model, task and framework (the baseline first), and what explains them.

    `references` are what the cells are read against: they are no frameworks, and are in no ranking and no pair.
    `comparison` is there where several real models were asked the same cases. `repricing` has what the
    runs would have cost on other models, if any were named. `pairs` has the frameworks compared in pairs,
    one model after the other. `parities` has what differs on the wire, for each cell that could be
    compared, in the order of the cells. `behaviours` has what the frameworks did when probed. `setups`
    has for each model the values of every set-up field that occurs in its traces. `price_list` says
    where the costs on the models that were used come from, if there are any. `runs` are those that the
    cells are computed from, and `judgements` what judges said of them. `outdated_models` are those embedded models
    whose runs were recorded with other weights, engine, settings or another chat template than today's. `faults` and
    `capabilities` are there where runs with faults, or of capability tasks, were made. `history` has the frameworks at
    many releases, where such cells were made, `suites` what came of the cases of outside suites, by suite and model;
    `suite_notes` are the deviations on them: their number, framework, suite, and the note.
    """

    cells: tuple[Cell, ...]
    totals: tuple[Cell, ...]
    references: tuple[ReferenceRow, ...]
    comparison: ModelComparison | None
    repricing: Repricing | None
    pairs: tuple[Pair, ...]
    parities: tuple[Parity, ...]
    behaviours: tuple[Behaviour, ...]
    failures: tuple[Failure, ...]
    damaged: tuple[Damaged, ...]
    unsound: tuple[Unsound, ...]
    setups: dict[str, dict[str, list[Any]]]
    frameworks: dict[str, FrameworkNotes]
    price_list: str | None
    notes: tuple[str, ...]
    runs: tuple[GradedRun, ...]
    judgements: tuple[Judgement, ...] = ()
    outdated_models: tuple[str, ...] = ()
    faults: Faults | None = None
    capabilities: Capabilities | None = None
    history: tuple[HistoryOf, ...] = ()
    suites: tuple[tuple[Suite, SuiteFound], ...] = ()
    suite_notes: tuple[tuple[int, str, str, str], ...] = ()

    @property
    def models(self) -> list[str]:
        """The models that have cells."""
        return list(self.setups)

    def references_of(self, model: str | None, task: str | None) -> list[ReferenceRow]:
        """The floors and the ceiling beside the cells of one model and task."""
        return [row for row in self.references if (row.model, row.task) == (model, task)]

    @property
    def titles(self) -> dict[str, str]:
        """What each framework is called."""
        return {name: notes.title for name, notes in self.frameworks.items()}
