"""What runs will take, judged by traces whose sums are known."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from factories import CASE, key, model_call, trace
from fakes import MakeFramework

from evaluator.catalog.frameworks import Framework
from evaluator.errors import Mistake
from evaluator.harness.jobs import Job
from evaluator.models import specs
from evaluator.providers.endpoint import Endpoint
from evaluator.providers.prices import PricedModel
from evaluator.suites.estimates import Amount, Estimate, Recorded, estimate, priced, spending, time_needed
from evaluator.trace import Injected, Trace, write_trace

MakeJob = Callable[..., Job]

THEN = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINI = PricedModel("openai/gpt-5-mini", "openai", "gpt-5-mini")
"""$0.25 a million prompt tokens, $0.025 from the cache, $2.00 a million completion tokens."""

MODEL = "openai/gpt-5-mini"
MILLION = 1_000_000


@pytest.fixture
def fake(make_framework: MakeFramework) -> Framework:
    return make_framework("a")


def recorded(
    root: Path, case: str, tokens: int, *, model: str = MODEL, trial: int = 1, level: int = 2, cached: int = 0
) -> Trace:
    """A run of one call of so many prompt tokens and a tenth of that in completion tokens, a second a hundred."""
    call = model_call(0.1, 0.2, 0.5, 0.6, input_tokens=tokens, output_tokens=tokens // 10, cached_tokens=cached)
    run = trace(
        key(case, trial, framework="a", model=model),
        case={**CASE, "level": level},
        model_calls=[call],
        wall_s=tokens / 100,
    )
    write_trace(root, run)
    return run


def test_a_case_that_is_recorded_takes_what_its_trials_took(fake: Framework, job: MakeJob, tmp_path: Path) -> None:
    recorded(tmp_path, "one", 100)
    recorded(tmp_path, "one", 300, trial=2)
    recorded(tmp_path, "two", 5000)
    found = estimate(MODEL, [job(fake, id="one"), job(fake, id="one", trial=2)], Recorded([tmp_path], MINI, THEN))
    assert (found.runs, found.known, found.timed, found.unknown) == (2, 2, 2, [])
    assert list(found.sources.items()) == [(f"{MODEL} in {tmp_path}, same cases", 2)]
    assert (found.calls, found.prompt_tokens, found.completion_tokens) == (Amount(2), Amount(400), Amount(40))
    assert found.wall_s == Amount(4.0)
    assert found.usd is not None and found.usd.about == pytest.approx((400 * 0.25 + 40 * 2.00) / MILLION)


def test_another_case_takes_the_mean_of_its_level_and_varies_as_they_do(
    fake: Framework, job: MakeJob, tmp_path: Path
) -> None:
    recorded(tmp_path, "one", 100)
    recorded(tmp_path, "two", 300)
    recorded(tmp_path, "hard", 9000, level=4)
    jobs = [job(fake, id=name) for name in ("three", "four")]
    found = estimate(MODEL, jobs, Recorded([tmp_path]))
    assert list(found.sources.items()) == [(f"{MODEL} in {tmp_path}, like cases", 2)]
    # Two runs of 200 each; a quarter of the drawn means is 100, a quarter 300; stretched by the root of 2 times 1 + 1.
    assert found.prompt_tokens == Amount(400, 0.0, 800.0)
    assert found.wall_s == Amount(4.0, 0.0, 8.0)
    assert found.calls == Amount(2, 2.0, 2.0) and found.usd is None


def test_where_no_two_cases_are_alike_those_of_any_level_stand_for_it(
    fake: Framework, job: MakeJob, tmp_path: Path
) -> None:
    for name, tokens, level in (("one", 100, 2), ("two", 200, 3), ("three", 600, 4)):
        recorded(tmp_path, name, tokens, level=level)
    found = estimate(MODEL, [job(fake, id="new", level=4)], Recorded([tmp_path]))
    assert list(found.sources) == [f"{MODEL} in {tmp_path}, unlike cases"]
    assert found.prompt_tokens.about == 300
    only = estimate(MODEL, [job(fake, id="new", level=4)], Recorded([tmp_path / "none", tmp_path / "other"]))
    assert (only.known, only.unknown, only.prompt_tokens) == (0, ["a tool_calling"], Amount(0))


def test_one_recorded_case_gives_no_range(fake: Framework, job: MakeJob, tmp_path: Path) -> None:
    recorded(tmp_path, "one", 100)
    assert estimate(MODEL, [job(fake, id="two")], Recorded([tmp_path])).prompt_tokens == Amount(100)


def test_another_model_says_nothing_of_time_and_its_cache_is_not_ours(
    fake: Framework, job: MakeJob, tmp_path: Path
) -> None:
    recorded(tmp_path, "one", MILLION, model="scripted", cached=MILLION)
    jobs = [job(fake, id="one")]
    found = estimate(MODEL, jobs, Recorded([tmp_path], MINI, THEN))
    assert list(found.sources) == [f"scripted in {tmp_path}, same cases"]
    assert (found.timed, found.wall_s) == (0, None)
    assert found.usd is not None and found.usd.about == pytest.approx(0.25 + 0.20)
    recorded(tmp_path, "one", MILLION, cached=MILLION)
    found = estimate(MODEL, jobs, Recorded([tmp_path], MINI, THEN))
    assert found.timed == 1
    assert found.usd is not None and found.usd.about == pytest.approx(0.025 + 0.20)


def test_models_that_answer_come_before_the_scripted_one(fake: Framework, job: MakeJob, tmp_path: Path) -> None:
    for model in ("scripted", "local", "gguf-x-1", "openai/gpt-5", "probes"):
        recorded(tmp_path, "one", 100, model=model)
    jobs = [job(fake, id="one")]
    for model in ("openai/gpt-5", "gguf-x-1", "local", "scripted"):
        assert list(estimate(MODEL, jobs, Recorded([tmp_path])).sources) == [f"{model} in {tmp_path}, same cases"]
        (tmp_path / model / "a" / "tool_calling" / "one.1.json").unlink()
    assert estimate(MODEL, jobs, Recorded([tmp_path])).known == 0


def test_the_folder_that_is_named_first_comes_first(fake: Framework, job: MakeJob, tmp_path: Path) -> None:
    own, shared = tmp_path / "own", tmp_path / "shared"
    recorded(shared, "one", 100)
    recorded(shared, "two", 700)
    recorded(own, "one", 300)
    found = estimate(MODEL, [job(fake, id="one"), job(fake, id="two")], Recorded([own, shared]))
    assert found.sources == {f"{MODEL} in {own}, same cases": 1, f"{MODEL} in {shared}, same cases": 1}
    assert found.prompt_tokens == Amount(1000)


def test_runs_that_count_for_nobody_are_no_evidence(fake: Framework, job: MakeJob, tmp_path: Path) -> None:
    run = recorded(tmp_path, "one", 100)
    write_trace(tmp_path, run.model_copy(update={"outcome": run.outcome.model_copy(update={"fault": "server"})}))
    (tmp_path / MODEL / "a" / "tool_calling" / "two.1.json").write_text("{")
    assert estimate(MODEL, [job(fake, id="one")], Recorded([tmp_path])).known == 0


def test_runs_with_a_fault_are_judged_by_those_with_the_same(fake: Framework, job: MakeJob, tmp_path: Path) -> None:
    def injected(fault: str) -> Injected:
        return Injected(fault=fault, strength="once", place="first", moment=0)

    for number, (fault, tokens) in enumerate([("slow", 100), ("slow", 300), ("reset", 9000), ("reset", 9000)]):
        run = recorded(tmp_path, f"case-{number}--{fault}-once-first", tokens, model="faults")
        write_trace(tmp_path, run.model_copy(update={"injected": injected(fault)}))
    plain = job(fake, id="new")
    one = Job(plain.framework, plain.task, plain.case, 1, injected=injected("slow"))
    assert estimate("faults", [one], Recorded([tmp_path])).prompt_tokens.about == 200


def an_estimate(**changes: object) -> Estimate:
    return Estimate(
        **{
            "runs": 200,
            "known": 200,
            "sources": {},
            "unknown": [],
            "calls": Amount(600, 500, 700),
            "prompt_tokens": Amount(1_000_000, 800_000, 1_400_000),
            "completion_tokens": Amount(200_000, 100_000, 200_000),
            "usd": None,
            "wall_s": Amount(4000, 3000, 6000),
            "timed": 200,
        }
        | changes
    )


def test_time_is_the_largest_of_what_limits_it() -> None:
    def of(**limits: float) -> tuple[Amount, str, bool]:
        time = time_needed(an_estimate(), 4, **limits)
        assert time is not None
        return time.seconds, time.because, time.at_least

    assert of() == (Amount(1000, 750, 1500), "recorded seconds, 4 at a time", False)
    assert of(rpm=60) == (Amount(1000, 750, 1500), "recorded seconds, 4 at a time", False)
    assert of(rpm=20) == (Amount(1800, 1500, 2100), "20 requests a minute", False)
    assert of(tpm=60_000) == (Amount(1200, 900, 1600), "60,000 tokens a minute", False)
    assert of(concurrency=2, rpm=20) == (Amount(2000, 1500, 3000), "recorded seconds, 2 at a time", False)
    assert of(concurrency=8) == of()


def test_without_recorded_seconds_only_a_limit_says_how_long_it_takes_at_least() -> None:
    untimed = an_estimate(wall_s=None, timed=0)
    assert time_needed(untimed, 4) is None
    time = time_needed(untimed, 4, rpm=600)
    assert time is not None and (time.seconds.about, time.at_least) == (60, True)


def server(name: str) -> specs.ModelSpec:
    return specs.ModelSpec(name, timeout_s=1, jobs=1, endpoint=Endpoint(name, "http://127.0.0.1:9/v1"))


def test_only_what_a_server_answers_and_the_list_knows_has_a_price(tmp_path: Path) -> None:
    assert priced(server(MODEL), THEN) == MINI
    assert priced(server("openai/no-such-model"), THEN) is None
    assert priced(server("mine"), THEN) is None
    assert priced(specs.resolve("scripted", None, None), THEN) is None
    assert spending(None, [server("mine")], [tmp_path]) is None
    with pytest.raises(Mistake, match=r"--max-cost: genai-prices .* has no price for ollama/x; leave it out"):
        spending(1, [server(MODEL), server("ollama/x")], [tmp_path])
    with pytest.raises(Mistake, match="--max-cost: no server is asked for scripted, so it costs nothing"):
        spending(1, [specs.resolve("scripted", None, None)], [tmp_path])


def test_before_a_command_has_made_runs_the_recorded_ones_say_what_a_round_costs(
    fake: Framework, job: MakeJob, tmp_path: Path
) -> None:
    recorded(tmp_path, "one", MILLION)
    limited = spending(1, [specs.resolve("scripted", None, None), server(MODEL)], [tmp_path])
    assert limited is not None
    usd = limited.of_round(MODEL, [job(fake, id="one"), job(fake, id="two")])
    assert usd is not None and math.isclose(usd, 2 * (0.25 + 0.20))
