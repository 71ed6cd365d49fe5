"""The published documents: `scorecard.json`, and beside it the pairs of frameworks and the runs that failed.

The models here are all there is to say of their form: `as_json` fills and dumps them, and the schemas that
`schema` writes are theirs. In all of them times are seconds, and null is what was not observed.
"""

from collections.abc import Callable, Container
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, WithJsonSchema, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from evaluator.analysis.capabilities import Standing
from evaluator.analysis.faults.judged import End
from evaluator.analysis.history import Standing as HistoryStanding
from evaluator.analysis.metrics import METRICS
from evaluator.analysis.models import METRICS as MODEL_METRICS
from evaluator.analysis.pairs import Verdict
from evaluator.analysis.references import Kind as ReferenceKind
from evaluator.faults.table import Layer
from evaluator.scorecard.content import SETUP_FIELDS
from evaluator.trace import Fault
from tasks.grading import KINDS

SCHEMA_VERSION = 3
"""Of all documents together. A number more whenever a name in one goes, or comes to mean something else."""

Number = Annotated[int | float, WithJsonSchema({"type": "number"})]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """Every name is required, and no other is allowed."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


T = TypeVar("T", bound=Part)


class Document(Part):
    """What every file begins with. `schema` goes up when a name goes or changes its meaning, not for new names."""

    generated_by: str
    schema_version: int = Field(alias="schema", json_schema_extra={"const": SCHEMA_VERSION})


# --- scorecard.json --------------------------------------------------------------------------


def _with_metrics(names: Container[str], *, after: str) -> Callable[[type[T]], type[T]]:
    """Adds a number for each of the `METRICS` named, behind the field `after`."""
    numbers: dict[str, Any] = {
        metric.name: (Number | None, Field(description=f"{metric.meaning}; in {metric.unit}"))
        for metric in METRICS
        if metric.name in names
    }

    def decorate(part: type[T]) -> type[T]:
        fields = {name: (field.annotation, field) for name, field in part.model_fields.items()}
        place = list(fields).index(after) + 1
        ordered: dict[str, Any] = dict([*[*fields.items()][:place], *numbers.items(), *[*fields.items()][place:]])
        return cast(type[T], create_model(part.__name__, __base__=(Part,), __doc__=part.__doc__, **ordered))

    return decorate


_ALL = [metric.name for metric in METRICS]
_OF_REFERENCES = ("cases", "runs", "passed", "pass_rate", "mean_score")

PassHat = Annotated[list[Share], Field(description="pass^1, pass^2, … as far as every case has trials")]
FailureKinds = Annotated[
    dict[str, Count],
    Field(
        description="in how many failed runs each kind of reason occurs",
        json_schema_extra={"propertyNames": {"enum": list(KINDS)}},
    ),
]


class LevelRow(Part):
    """The runs of one level: over how many cases, how many, how many passed, and passed / runs."""

    level: Annotated[int, Field(ge=1, le=4)]
    cases: Count
    runs: Count
    passed: Count
    pass_rate: Share


class ComponentRow(Part):
    """A part of the grade: in how many runs it has checks, in how many of these all held, and held / runs."""

    part: str
    runs: Count
    held: Count
    share: Share


LevelRows = Annotated[list[LevelRow], Field(description="runs of cases that have no level are not in it")]


class JudgeRow(Part):
    """What a judge says of the runs of a cell, beside the rules.

    It was asked about `verdicts` and `no_verdict`; `unanswered` are wrong without asking, and the rest of the `runs` is
    not judged yet.
    """

    judge: str
    runs: Count
    verdicts: Count
    right: Count
    unanswered: Count
    no_verdict: Count
    right_share: Share | None = Field(description="right / (verdicts + unanswered)")
    right_low: Share | None = Field(description="lower end of its 95 % interval over the cases")
    right_high: Share | None = Field(description="upper end")
    agreement: Share | None = Field(description="share of the verdicts that say what the rules say")
    kappa: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        description="Cohen's kappa of judge and rules; null where both say the same word to everything"
    )


Judges = Annotated[
    list[JudgeRow],
    Field(description="what judges say, where there are verdicts", exclude_if=lambda judges: not judges),
]


@_with_metrics(_ALL, after="framework_versions")
class Cell(Part):
    """One framework on one task and model."""

    framework: str
    task: str
    model: str
    framework_versions: list[str]
    pass_hat: PassHat
    failure_kinds: FailureKinds
    judges: Judges = []
    pass_rate_by_level: LevelRows
    components: list[ComponentRow]


@_with_metrics(_ALL, after="framework_versions")
class Total(Part):
    """One framework over all tasks, on one model. Of times it has the geometric means of those of the tasks."""

    framework: str
    model: str
    framework_versions: list[str]
    pass_hat: PassHat
    failure_kinds: FailureKinds
    judges: Judges = []
    pass_rate_by_level: LevelRows


@_with_metrics(_OF_REFERENCES, after="task")
class ReferenceRow(Part):
    """A floor or the ceiling: what an agent gets that does nothing of use, or the gold outcome.

    It is no framework and nobody ran it: it is computed over the cases of the cells and totals of its model and task,
    each of which counts once.
    """

    kind: ReferenceKind
    meaning: str
    model: Annotated[str | None, Field(description="null: on the cases of `models`")]
    task: Annotated[str | None, Field(description="null: over all tasks")]
    pass_rate_by_level: LevelRows
    components: list[ComponentRow]


@_with_metrics(MODEL_METRICS, after="model")
class ModelRow(Part):
    """One model with one framework, or with null with all of those compared."""

    framework: str | None
    model: str


class CaseName(Part):
    """A case of a task."""

    task: str
    case: str


class VarianceShare(Part):
    """A share of the variance, with its 95 % interval."""

    estimate: Number
    low: Number
    high: Number


class VarianceShares(Part):
    """What explains the variance between runs, by source; null where it cannot be given: `in_words` says why."""

    score: dict[str, VarianceShare] | None
    passed: dict[str, VarianceShare] | None


class Models(Part):
    """Several models beside one another, all on the same cases."""

    models: list[str]
    frameworks: list[str]
    frameworks_left_out: list[str]
    cases: list[CaseName]
    trials: Count | None = Field(description="of each run, as far as the variance shares count them")
    rows: list[ModelRow]
    variance_shares: VarianceShares
    in_words: str


class Rates(Part):
    """Prices in US dollars for a million tokens; `higher_above` so many prompt tokens there is another."""

    prompt: Number
    cached: Number | None
    completion: Number
    higher_above: int | None


class OtherModel(Part):
    """A model that the runs were priced on."""

    name: str
    provider: str
    entry: str
    usd_per_million_tokens: Rates | None


class Cost(Part):
    """The mean cost of a run in US dollars: without a prompt cache, and with the model's own."""

    usd_mean_uncached: Number | None
    usd_mean_cached: Number | None


class PricedRow(Part):
    """One framework on one task and model, or with null over all tasks, and its `costs` by other model.

    `priced` of the `runs` have tokens that are known; the means are over these.
    """

    model: str
    framework: str
    task: str | None
    runs: Count
    priced: Count
    prompt_tokens: Number | None
    completion_tokens: Number | None
    costs: dict[str, Cost]


class OtherModels(Part):
    """What the runs would have cost on other models. `rates_at` is the time of the newest run."""

    price_list: str
    models: list[OtherModel]
    rates_at: str
    rows: list[PricedRow]


class MetricRow(Part):
    """What a value of cells and totals means."""

    name: str
    meaning: str
    unit: str
    better: Literal["lower", "higher", None]


class ComparedRow(Part):
    """A metric of pairs. A relative difference is that of geometric means, 0.25 being 25 % more."""

    name: str
    title: str
    relative: bool
    better: Literal["lower", "higher"]


class Difference(Part):
    """A kind of difference from the task's spec, and the deviations that explain it."""

    name: str
    runs: Count
    tokens_per_call: Number | None
    explained: bool
    deviations: list[Count]
    example: str


class ParityRow(Part):
    """What differs on the wire from the task's spec, for one framework on one task and model.

    `calls` are the chat calls that could be compared, of `calls_made`; tokens are means for one of them.
    """

    model: str
    framework: str
    task: str
    runs: Count
    calls: Count
    calls_made: Count
    injected_tokens_per_call: Number | None
    injected_tokens_per_call_by_part: dict[str, Number | None]
    explained: Count
    unexplained: Count
    differences: list[Difference]


class BehaviourRow(Part):
    """What a framework did when a model misbehaved on purpose."""

    probe: str
    task: str
    framework: str
    words: str
    acceptable: bool
    quote: str


class DamagedFile(Part):
    """A file among the traces that was left out, and why."""

    path: str
    reason: str


class UnsoundRun(Part):
    """A run that counts for no framework, since the model's server, the harness or the machine ended it."""

    model: str
    framework: str
    task: str
    case: str
    trial: int
    fault: Fault
    error: str


class DeviationRow(Part):
    """What the framework forces to be different, in one task or (null) in all."""

    number: Count
    task: str | None
    note: str


class FrameworkRow(Part):
    """A framework, and what must be known of its implementations."""

    name: str
    title: str
    homepage: str | None
    by_hand: list[str]
    deviations: list[DeviationRow]
    not_implemented: dict[str, str | None] = Field(
        default={},
        description="the tasks that it does not implement, and why, if it is said",
        exclude_if=lambda tasks: not tasks,
    )


Setup = Annotated[
    dict[str, list[Any]],
    Field(
        description="every value of each set-up field that occurs in the traces",
        json_schema_extra={"propertyNames": {"enum": [*SETUP_FIELDS, "dates"]}},
    ),
]


class Companion(Part):
    """A document beside this one, and the digest of the file that belongs to it."""

    file: str
    sha256: str


class Companions(Part):
    """The documents beside this one."""

    pairs: Companion
    failures: Companion
    faults: Companion
    capabilities: Companion
    history: Companion
    suites: Companion


class ScorecardDocument(Document):
    """`scorecard.json`: every cell with every metric, and what explains them.

    Times are seconds, shares lie between 0 and 1, and null is what was not observed.
    """

    cells: list[Cell]
    totals: list[Total]
    references: list[ReferenceRow] = Field(description="what the cells are read against; in no ranking and no pair")
    models: Models | None
    other_models: OtherModels | None
    metrics: list[MetricRow]
    compared: list[ComparedRow]
    parity: list[ParityRow]
    behaviours: list[BehaviourRow]
    damaged: list[DamagedFile]
    unsound: list[UnsoundRun]
    setups: dict[str, Setup] = Field(description="for each model")
    frameworks: list[FrameworkRow]
    price_list: str | None = Field(description="where the costs on the models that were used come from")
    notes: list[str]
    files: Companions


# --- scorecard.pairs.json --------------------------------------------------------------------


class PairRow(NamedTuple):
    """One pair of frameworks in one metric, on one model."""

    model: str
    task: Annotated[str | None, Field(description="null: over all tasks")]
    metric: Annotated[str, Field(description="one of `compared` in scorecard.json")]
    framework: str
    against: Annotated[str, Field(description="the other framework")]
    cases: Count
    runs: Annotated[Count, Field(description="runs of the same case and trial (of times: and sitting) that both have")]
    difference: Annotated[Number, Field(description="what `framework` has more: a share, or relative")]
    low: Annotated[Number | None, Field(description="lower end of its 95 % interval, a cluster bootstrap over cases")]
    high: Annotated[Number | None, Field(description="upper end")]
    p: Annotated[Share, Field(description="p-value of the sign-flip test over cases")]
    p_holm: Annotated[
        Share | None,
        Field(description="after Holm's correction over all pairs and tasks of a metric and model; null: in no family"),
    ]
    detectable: Annotated[
        Number | None, Field(description="the smallest difference found in 80 % of experiments, and above the floor")
    ]
    noise_floor: Annotated[
        Number | None,
        Field(description="what chance makes the baseline's own trials differ; relative ones compare by logarithms"),
    ]
    verdict: Verdict

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """With the name of each value, which a row does not have itself."""
        row = handler.resolve_ref_schema(handler(core))
        for name, value in zip(cls._fields, row["prefixItems"], strict=True):
            value["title"] = name
        return row


class PairsDocument(Document):
    """`scorecard.pairs.json`: every two frameworks beside one another, over all tasks and in each.

    Each row has the values of `columns`, in their order.
    """

    columns: list[str] = Field(json_schema_extra={"const": list(PairRow._fields)})
    rows: list[PairRow]


# --- scorecard.failures.json -----------------------------------------------------------------


class FailedRun(Part):
    """A run that did not pass, and why."""

    model: str
    framework: str
    task: str
    case: str
    trial: Count
    reasons: list[str]


class FailuresDocument(Document):
    """`scorecard.failures.json`: the runs that did not pass."""

    failures: list[FailedRun]


# --- scorecard.faults.json -------------------------------------------------------------------


class FaultOfTable(Part):
    """A fault that was put into runs on purpose: what happens, and what a good framework does."""

    name: str
    layer: Layer
    happens: str
    wanted: str


class FaultFigures(Part):
    """Of some runs with faults: how they ended, and what those took that recovered, beyond the undisturbed run."""

    passing: Count = Field(description="runs in which the fault came once or twice")
    recovered: Count = Field(description="those of them that ended right")
    lasting: Count = Field(description="runs in which the fault always came")
    ended_well: Count = Field(description="those that ended right, with an error, or admitting that they failed")
    ends: dict[str, Count] = Field(json_schema_extra={"propertyNames": {"enum": list(get_args(End))}})
    done_twice: Count = Field(description="side effects that happened more often than without the fault")
    extra_calls: Number | None
    extra_tokens: Number | None
    extra_s: Number | None


class FaultRow(FaultFigures):
    """One framework with one fault. `hardened` is with the framework's own means against faults."""

    framework: str
    hardened: bool
    fault: str
    told: str = Field(description="the first words that the model was told about it")
    error: str = Field(description="of the first run that ended with one")


class FaultTotal(FaultFigures):
    """One framework with all faults, and with those of each layer."""

    framework: str
    hardened: bool
    layers: dict[Layer, FaultFigures]
    beside: FaultFigures | None = Field(description="the same runs with the modules that hardened ones stand beside")
    lines: Count | None = Field(description="of the hardened modules")
    lines_beside: Count | None = Field(description="of the modules that these stand beside")


class FaultPairRow(Part):
    """Two frameworks, or a framework's hardened modules and its others: who recovers from more of the faults that pass.

    A draw is a fault, strength, task and case. `p_holm` is null where the test could show nothing.
    """

    framework: str
    hardened: bool
    against: str
    against_hardened: bool
    draws: Count
    runs: Count
    difference: Number
    low: Number
    high: Number
    p: Share
    p_holm: Share | None
    verdict: Verdict


class FaultNoteRow(Part):
    """Why a framework makes of some faults what it does."""

    number: Count
    framework: str
    task: str | None
    faults: list[str]
    note: str


class FaultsDocument(Document):
    """`scorecard.faults.json`: what the frameworks made of faults that were put into their runs on purpose."""

    faults: list[FaultOfTable]
    totals: list[FaultTotal]
    rows: list[FaultRow]
    pairs: list[FaultPairRow]
    notes: list[FaultNoteRow]


# --- scorecard.capabilities.json -------------------------------------------------------------


class CapabilityCaseRow(Part):
    """One case of a capability task, with one framework."""

    case: str
    title: str
    passed: bool
    reasons: list[str] = Field(description="why it is not right")
    model_calls: Count
    tokens: Count
    wall_s: Number


class CapabilityCellRow(Part):
    """What one framework makes of one capability."""

    framework: str
    capability: str
    standing: Standing
    by_hand: bool = Field(description="the framework has nothing for it, and its users write it themselves")
    lines: Count | None = Field(description="source lines of the module")
    why: str | None = Field(description="why there is no module")
    model_calls: Count
    tokens: Count
    extra_packages: list[str] = Field(description="what capability modules need beyond the framework's packages")
    cases: list[CapabilityCaseRow]


class CapabilityNoteRow(Part):
    """Why a framework does a capability as it does."""

    number: Count
    framework: str
    capability: str
    note: str


class CapabilitiesDocument(Document):
    """`scorecard.capabilities.json`: what the frameworks can do, by runs that were observed from outside."""

    capabilities: dict[str, str]
    cells: list[CapabilityCellRow]
    notes: list[CapabilityNoteRow]


# --- scorecard.history.json ------------------------------------------------------------------


class HistoryTaskRow(Part):
    """How the runs of a task ended at a release."""

    task: str
    runs: Count
    passed: Count
    as_today: bool = Field(description="at least those pass that do with what is locked, and none ended with an error")
    why: str | None = Field(description="what most of those say that ended with an error, or else of those that fail")


class HistoryFiguresRow(Part):
    """What runs cost at a release."""

    task: str = Field(description="a task, or `all tasks`")
    metrics: dict[str, Number | None] = Field(description="as in `scorecard.json`")
    baseline: dict[str, Number | None] = Field(description="the same of the baseline, in the same sitting")
    injected: dict[str, float] = Field(description="injected tokens a call, by part of the request")


class HistoryCellRow(Part):
    """Today's code of a framework with the packages of a release."""

    framework: str
    at: str = Field(
        description="a day as of which packages were taken, a version, or `locked`; `code-` and a month is "
        "the code of that month with the packages that are locked"
    )
    day: str
    version: str | None
    standing: HistoryStanding = Field(description="whether it runs as it does with the packages that are locked")
    not_installed: str | None = Field(description="why the packages cannot be installed")
    tasks: list[HistoryTaskRow]
    packages: Count | None
    installed_mb: Number | None
    import_s: Number | None
    import_times: Number | None = Field(description="`import_s` as a multiple of the baseline's in the same sitting")
    figures: list[HistoryFiguresRow] = Field(description="of the tasks whose runs came out as with what is locked")


class HistoryOfRow(Part):
    """Over which releases a framework's code runs."""

    framework: str
    runs_back_to: str | None = Field(description="`at` of the oldest release from which on today's code runs")
    breaks_at: str | None = Field(description="`at` of the youngest on which it does not")
    tasks: dict[str, str | None] = Field(description="the same as `runs_back_to`, for the module of each task")
    code_back_to: str | None = Field(description="the oldest month whose code still runs, of those that are kept")


class HistoryDriftRow(Part):
    """One thing that is sent otherwise."""

    part: str = Field(description="of the request, or how runs end")
    what: str
    runs: dict[str, Count] = Field(description="that show it, by task")
    calls: Count
    tokens: Number | None = Field(description="what it adds to one of these calls, where that can be told apart")
    tools: list[str] = Field(description="that it is about")
    diff: list[str] = Field(description="of an example, as a unified diff")


class HistoryChangeRow(Part):
    """What a framework sends differently at a release than at the one before it."""

    framework: str
    before: str
    after: str
    packages: str = Field(description="which have other versions")
    runs: Count = Field(description="that were compared: those of tasks whose runs come out as today at both")
    tokens_a_call_before: Number
    tokens_a_call_after: Number
    changes: list[HistoryDriftRow]


class HistoryDocument(Document):
    """`scorecard.history.json`: the frameworks over a year of releases, with the scripted model."""

    frameworks: list[HistoryOfRow]
    cells: list[HistoryCellRow]
    changes: list[HistoryChangeRow]


# --- scorecard.suites.json -------------------------------------------------------------------


class SuiteRateRow(Part):
    """In how many runs a metric held."""

    metric: str = Field(description="by the suite's own name")
    category: str | None = Field(description="by the suite's own name; null is all of them together")
    held: Count
    runs: Count
    low: Share = Field(description="of the 95 % interval over cases")
    high: Share


class SuiteVersusRow(Part):
    """A framework beside the baseline, over the same cases."""

    metric: str
    difference: float = Field(description="mean difference of the shares, between -1 and 1")
    p_value: Share = Field(description="of a sign-flip test over cases, adjusted for all frameworks (Holm)")


class SuiteFrameworkRow(Part):
    """What one framework makes of a suite. Times are medians over runs, tokens and calls are means."""

    framework: str
    versions: list[str]
    rates: list[SuiteRateRow]
    versus_baseline: list[SuiteVersusRow]
    unanswered: Count = Field(description="runs that ended without an answer")
    calls: Number
    prompt_tokens: Number
    completion_tokens: Number
    wall_s: Number
    overhead_s: Number
    reasons: dict[str, Count] = Field(description="which reasons the suite's grader gave, and how often")
    reached: dict[str, Count] = Field(
        description="of the runs in which a tool gave an instruction that somebody had put there: how many models were "
        "sent it whole, changed, or not"
    )
    around: dict[str, Count] = Field(description="what stood around the tool's result then, and how often")


class SuiteRow(Part):
    """One suite on one model, over the cases that every framework has."""

    suite: str
    title: str
    package: str
    version: str
    licence: str
    data: str = Field(description="first 16 hex digits of the SHA-256 of the suite's files that cases were made from")
    model: str
    cases: dict[str, Count] = Field(description="by category")
    smallest_difference: dict[str, Number | None] = Field(
        description="by metric, that from the baseline which is found in 80 % of all experiments of so many cases"
    )
    left_out: Count = Field(description="runs of cases that not every framework has, or of other versions")
    frameworks: list[SuiteFrameworkRow]


class SuitesDocument(Document):
    """`scorecard.suites.json`: cases and graders that nobody here wrote, through the same implementations."""

    suites: list[SuiteRow]
