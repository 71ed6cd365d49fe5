"""Outside suites: their import from their own packages, their cases as runs, and what their graders say of them."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

import orjson
from rich.console import Console

from evaluator import files
from evaluator.catalog.folders import suite_names
from evaluator.catalog.frameworks import Framework
from evaluator.catalog.suites import Suite, all_suites, as_task
from evaluator.errors import Failure, Mistake, error_in_words
from evaluator.harness import stopping
from evaluator.harness.engine import LOCAL, Engine
from evaluator.harness.environments import is_current, provision
from evaluator.harness.jobs import Settings, in_rounds
from evaluator.harness.limiter import RateLimits
from evaluator.harness.limits import MAX_SUITE_CALLS
from evaluator.harness.plans import Plan, Standing, make
from evaluator.harness.process import sweep_scratch
from evaluator.harness.progress import UnderWay
from evaluator.harness.records import bring_up, exclusive
from evaluator.harness.runner import ModelGoneError
from evaluator.harness.spending import Spending
from evaluator.models.specs import ModelSpec, computed_here
from evaluator.packs import pack
from evaluator.providers.names import OBEYING, SCRIPTED
from evaluator.stores import Store, Traces, store_of
from evaluator.suites.planning import BUDGET, NO_BUDGET, seconds_of
from evaluator.trace import DamagedTrace, Trace, model_folder, read_trace, trace_files
from evaluator.wire.reasoning import without_reasoning
from tasks.base import Outcome, ToolCall
from tasks.cases import Case
from tasks.served import Served, SuiteError
from tasks.suite import SuiteCase, Verdict

SEED = 1
ALL = "all"
"""What stands for all cases of the categories that were asked for."""

CASES = 20
"""How many cases are run unless the user says otherwise."""


@dataclass(frozen=True)
class Limits:
    """What the user said of the cases that are drawn and of how runs are made.

    `cases` is how many of each suite, None all. `budget_s` is None where there is none; without `max_model_calls` that
    is left to the suite. What else is None is left to the model, and so is the budget unless `has_budget`. `rates` are
    the limits of the model's endpoint.
    """

    cases: int | None
    seed: int
    trials: int
    jobs: int | None
    timeout_s: float | None
    max_model_calls: int | None
    has_budget: bool
    budget_s: float | None
    rates: RateLimits | None = None

    @staticmethod
    def of(
        cases: str | None = None,
        *,
        seed: int | None = None,
        trials: int | None = None,
        jobs: int | None = None,
        timeout_s: float | None = None,
        max_model_calls: int | None = None,
        budget: str | None = None,
        rates: RateLimits | None = None,
    ) -> "Limits":
        """From what was typed. Raises `Mistake`."""
        if cases is not None and cases != ALL and not (cases.isdecimal() and int(cases)):
            raise Mistake(f"--cases {cases!r}: of outside suites a number of cases, or {ALL!r}")
        return Limits(
            cases=None if cases == ALL else int(cases or CASES),
            seed=SEED if seed is None else seed,
            trials=trials or 1,
            jobs=jobs,
            timeout_s=timeout_s,
            max_model_calls=max_model_calls,
            has_budget=budget is not None,
            budget_s=seconds_of(budget or NO_BUDGET),
            rates=rates,
        )


@dataclass(frozen=True)
class Chosen:
    """A suite, and the categories of it that were asked for; all where none is named."""

    suite: Suite
    categories: tuple[str, ...] = ()


def of_suites(listed: str | None) -> bool:
    """Whether a list of tasks with commas names outside suites. Raises `Mistake` where it names others, too."""
    names = [name.partition(":")[0] for name in (listed or "").split(",") if name]
    suites = {*names} & {*suite_names()}
    if suites and suites != {*names}:
        raise Mistake(f"-t {listed}: outside suites are run apart from others")
    return bool(suites)


def chosen(names: Iterable[str]) -> list[Chosen]:
    """The suites that names such as `bfcl` and `bfcl:multiple` stand for. Raises `Mistake`."""
    there_are = all_suites()
    found: dict[str, list[str]] = {}
    for name in names:
        suite, colon, category = name.partition(":")
        if suite not in there_are:
            raise Mistake(f"there is no suite {suite!r}; there are {', '.join(there_are)}")
        found.setdefault(suite, []).append(category if colon else "")
    return [
        Chosen(there_are[name], () if "" in categories else tuple(dict.fromkeys(categories)))
        for name, categories in found.items()
    ]


def alike(asked: Iterable[Chosen]) -> list[list[Chosen]]:
    """The suites whose runs can be in one plan, in order: those with the same limits, which are played alike."""
    groups: dict[tuple[bool, int | None], list[Chosen]] = {}
    for one in asked:
        groups.setdefault((one.suite.holds_conversations, one.suite.max_model_calls), []).append(one)
    return [*groups.values()]


# --- import ----------------------------------------------------------------------------------


def import_suites(suites: Iterable[Suite], console: Console, say: Callable[[str], None]) -> None:
    """Install the packages of those that are not imported yet, and read their cases. Raises `Mistake`, `Failure`."""
    for suite in suites:
        if is_current(suite) and suite.is_imported:
            continue
        with UnderWay(console) as under_way:
            with under_way.doing(f"{suite.name}: installing {suite.package} {suite.version} and what it needs"):
                stopping.run(provision(suite, say))
            with under_way.doing(f"{suite.name}: reading its cases"):
                _read_cases(suite)
        say(f"{suite.title}: {suite.imported} cases")


def _read_cases(suite: Suite) -> None:
    inside = Served(suite.name)
    try:
        cases = inside.ask("cases")
    except SuiteError as error:
        raise Failure(str(error)) from None
    finally:
        inside.close()
    case_type = as_task(suite).case_type
    lines = [
        orjson.dumps(case_type.model_validate(case).model_dump(mode="json", exclude_defaults=True)) for case in cases
    ]
    suite.cases.parent.mkdir(parents=True, exist_ok=True)
    files.write_whole(suite.cases, b"\n".join([*lines, b""]))


# --- runs ------------------------------------------------------------------------------------


def sample(cases: Iterable[SuiteCase], number: int, seed: int) -> list[SuiteCase]:
    """Up to `number` of the cases, drawn evenly over their categories, in turn; the same for the same seed.

    Which cases are drawn first does not depend on how many are: a larger sample has the smaller one within it.
    """
    of_kind: dict[str, list[SuiteCase]] = {}
    for case in sorted(cases, key=lambda case: hashlib.sha256(f"{seed} {case.id}".encode()).digest()):
        of_kind.setdefault(case.kind, []).append(case)
    in_turn = chain.from_iterable(zip_longest(*(of_kind[kind] for kind in sorted(of_kind))))
    return [case for case in in_turn if case is not None][:number]


def drawn(asked: Sequence[Chosen], limits: Limits) -> dict[str, list[SuiteCase]]:
    """The cases of each suite by its name. Raises `Mistake`."""
    found: dict[str, list[SuiteCase]] = {}
    for one in asked:
        cases: list[SuiteCase] = as_task(one.suite).load()
        kinds = sorted({case.kind for case in cases})
        if unknown := [kind for kind in one.categories if kind not in kinds]:
            raise Mistake(f"{one.suite.name} has no category {unknown[0]!r}; it has {', '.join(kinds)}")
        wanted = [case for case in cases if not one.categories or case.kind in one.categories]
        found[one.suite.name] = sample(wanted, len(wanted) if limits.cases is None else limits.cases, limits.seed)
    return found


def in_words(drawn: Mapping[str, Sequence[SuiteCase]]) -> str:
    """The cases of each suite by category: `bfcl: 2 multiple, 2 parallel`."""
    numbers = {name: sorted(Counter(case.kind for case in cases).items()) for name, cases in drawn.items()}
    return "; ".join(f"{name}: {', '.join(f'{n} {kind}' for kind, n in of)}" for name, of in numbers.items())


def planned(
    spec: ModelSpec,
    frameworks: Iterable[Framework],
    asked: Sequence[Chosen],
    cases: Mapping[str, Sequence[Case]],
    limits: Limits,
) -> Plan:
    """The runs of these cases of suites that are `alike` against a model, in rounds of one case with every framework.

    A model that is computed here has the budget of any run unless the user gave one. Raises `Mistake` for a model that
    plays something else.
    """
    if spec.played is not None and spec.name not in (SCRIPTED, OBEYING):
        raise Mistake(f"-m {spec.name} is not for outside suites; -m {SCRIPTED} and -m {OBEYING} play their cases")
    budget_s = limits.budget_s if limits.has_budget or not computed_here(spec) else seconds_of(BUDGET)
    tasks = [(as_task(one.suite), cases[one.suite.name]) for one in asked]
    return Plan(settings(spec, asked[0].suite, limits), in_rounds(frameworks, tasks, limits.trials), budget_s)


def settings(spec: ModelSpec, suite: Suite, limits: Limits) -> Settings:
    """The limits of runs of a suite's cases, and the model as it answers these."""
    return Settings(
        model=replace(spec, for_suites=True, for_conversations=suite.holds_conversations),
        timeout_s=limits.timeout_s or spec.timeout_s,
        jobs=limits.jobs or spec.jobs,
        max_model_calls=limits.max_model_calls or suite.max_model_calls or MAX_SUITE_CALLS,
        limits=limits.rates if spec.endpoint else None,
    )


def run(
    plans: Sequence[Plan],
    store: Store,
    rerun: bool,
    console: Console,
    say: Callable[[str], None],
    spending: Spending | None = None,
    engine: Engine = LOCAL,
) -> list[Standing]:
    """Make the runs that are not recorded yet, have them judged, and put them into few files.

    `spending` is there where that is limited. What was made is judged and packed also where this is stopped. Raises
    `stopping.Stopped`, `Mistake`, `Failure`.
    """
    standings = [Standing(plan, spending) for plan in plans]
    root = store.folder
    with exclusive(root):
        sweep_scratch()
        bring_up(store, [plan.model for plan in plans], console)
        try:
            for one in standings:
                try:
                    make(one, store, rerun, console, say, lambda standing: None, engine)
                finally:
                    with (
                        UnderWay(console) as under_way,
                        under_way.doing(f"{one.plan.model}: asking the suites' graders"),
                    ):
                        judge(store, one.plan.model)
                        if not store.elsewhere:
                            pack(root, one.plan.model)
        except ModelGoneError as gone:
            raise Failure(f"{gone}; what was made is kept, and the same command goes on from here") from None
        except OSError as error:
            raise Failure(
                f"{error_in_words(error)}; what was made is kept, and the same command goes on from here"
            ) from None
    return standings


# --- verdicts --------------------------------------------------------------------------------


def judge(traces: Traces, model: str) -> None:
    """Ask each suite's own grader about the single traces of a model that have no verdict. Raises `Failure`."""
    store, inside = store_of(traces), dict[str, Served]()
    try:
        for path in trace_files(model_folder(store.folder, model)):
            trace = read_trace(path)
            if isinstance(trace, DamagedTrace) or trace.verdict is not None or trace.outcome.fault is not None:
                continue
            suite = trace.key.task
            if suite not in inside:
                inside[suite] = Served(suite)
            store.update(trace.model_copy(update={"verdict": verdict_on(trace, inside[suite])}))
    except SuiteError as error:
        raise Failure(str(error)) from None
    finally:
        for one in inside.values():
            one.close()


def verdict_on(trace: Trace, inside: Served) -> Verdict:
    """What the suite's own grader says of a run, which it is also told how it ended. Raises `SuiteError`."""
    calls = sorted(trace.tool_calls, key=lambda call: call.start_s)
    outcome = Outcome(
        answer=without_reasoning(trace.outcome.answer),
        tool_calls=[ToolCall(**call.model_dump(exclude={"start_s", "end_s"})) for call in calls],
        final_state=trace.outcome.final_state,
    )
    ended = {"ended": trace.outcome.ended, "error": trace.outcome.error}
    said = inside.ask("judge", case=trace.case, outcome=outcome.model_dump(mode="json") | ended)
    return Verdict.model_validate(said)
