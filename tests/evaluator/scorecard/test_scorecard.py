import hashlib
import io
import json
import os
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from factories import CASE, key, model_call, setup, trace
from folders import PYPROJECT, make_framework
from played import Change, changed, played, system
from rich.console import Console

from evaluator import scorecard
from evaluator.analysis import gather
from evaluator.analysis.metrics import METRICS
from evaluator.analysis.models import in_words
from evaluator.catalog.digests import implementation_digest, lock_digest, task_digest
from evaluator.catalog.frameworks import read_framework
from evaluator.catalog.tasks import all_tasks
from evaluator.models.embedded import embedded_digest
from evaluator.models.template import sentences
from evaluator.packs import pack
from evaluator.providers.prices import price_list
from evaluator.scorecard import schema, words
from evaluator.scorecard.content import about_model
from evaluator.trace import Injected, ReportedUsage, Trace, trace_path, write_trace
from evaluator.wire.tokens import count_tokens

IMPLEMENTATION = '"""Docstring."""\n\nasync def run(brief, model):\n    return "Hello."\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two frameworks, `baseline` and `x`."""
    for name in ("baseline", "x"):
        folder = make_framework(tmp_path, name, PYPROJECT.replace('task = "handoff"', 'task = "tool_calling"'))
        (folder / "tool_calling.py").write_text(IMPLEMENTATION)
    return tmp_path


def score(project: Path) -> scorecard.Scorecard:
    return scorecard.score(project / "traces", project, implementations=project / "implementations")


def digests(project: Path, framework: str) -> dict[str, str]:
    found = read_framework(project / "implementations" / framework)
    return {
        "implementation_digest": implementation_digest(found, "tool_calling"),
        "lock_digest": lock_digest(found.environment),
        "task_digest": task_digest(all_tasks()["tool_calling"]),
    }


def make_traces(project: Path) -> list[Trace]:
    made = []
    for framework in ("x", "baseline"):
        for case in ("a", "b", "c"):
            for trial in (1, 2):
                made.append(trace(key(case, trial, framework=framework), **digests(project, framework)))
    made.append(trace(key("d", framework="x"), answer="Goodbye.", **digests(project, "x")))
    made.append(trace(key("e", framework="x"), ended="error", error="ValueError: <b>|no|</b>", **digests(project, "x")))
    made.append(trace(key("f", framework="x"), ended="timeout", model_calls=[], **digests(project, "x")))
    made.append(trace(key("a", framework="x", model="ollama/qwen3"), **digests(project, "x")))
    return made


def write_all(project: Path, traces: list[Trace]) -> None:
    for one in traces:
        write_trace(project / "traces", one)


def written(project: Path) -> list[bytes]:
    return [(project / name).read_bytes() for name in (*schema.DOCUMENTS, "SCORECARD.md")]


def document(project: Path, name: str = "scorecard.json") -> Any:
    return json.loads((project / name).read_text())


def cells_of(project: Path, part: str = "cells") -> dict[tuple[str, str], dict[str, Any]]:
    content = document(project)
    return {(cell["model"], cell["framework"]): cell for cell in content[part]}


def test_the_same_traces_give_the_same_bytes(project: Path) -> None:
    traces = make_traces(project)
    write_all(project, traces)
    score(project)
    first = written(project)
    score(project)
    assert written(project) == first
    shutil.rmtree(project / "traces")
    random.Random(1).shuffle(traces)
    write_all(project, traces)
    score(project)
    assert written(project) == first
    assert not list(project.glob(".*"))


def test_cells_and_totals(project: Path) -> None:
    write_all(project, make_traces(project))
    built = score(project)
    assert [(cell.model, cell.framework) for cell in built.cells] == [
        ("ollama/qwen3", "x"),
        ("scripted", "baseline"),
        ("scripted", "x"),
    ]
    cell = cells_of(project)["scripted", "x"]
    assert (cell["task"], cell["cases"], cell["runs"], cell["passed"]) == ("tool_calling", 6, 9, 6)
    assert (cell["errors"], cell["timeouts"], cell["source_lines"]) == (1, 1, 2)
    own = {"framework", "task", "model", "framework_versions", "pass_hat", "failure_kinds", "pass_rate_by_level"}
    assert set(cell) == own | {"components"} | {metric.name for metric in METRICS}
    assert cell["failure_kinds"]["ended by the time-out"] == 1
    total = cells_of(project, "totals")["scripted", "x"]
    assert total == {name: value for name, value in cell.items() if name not in ("task", "components")}
    assert built.notes == ()


REFUSED = {**CASE, "question": "Buy it.", "facts": [], "stance": "refuse", "answer": "Sorry, I cannot buy anything."}
"""A case that an agent passes that refuses everything."""


def test_floors_and_ceiling_stand_on_the_cases_that_were_run_each_once(project: Path) -> None:
    for framework, cases in (("baseline", ("a", "b", "c")), ("x", ("c", "refused"))):
        for case in cases:
            for trial in (1, 2):
                content = REFUSED if case == "refused" else {**CASE, "level": 3}
                run = trace(key(case, trial, framework=framework), case=content, answer=str(content["answer"]))
                write_trace(project / "traces", run)
    built = score(project)
    found = document(project)["references"]
    of_task = [row for row in found if row["task"] == "tool_calling"]
    assert [(row["kind"], row["cases"], row["runs"], row["passed"]) for row in of_task] == [
        ("floor", 4, 4, 1),
        ("floor", 4, 4, 0),
        ("ceiling", 4, 4, 4),
    ]
    assert of_task[2]["pass_rate_by_level"] == [
        {"level": 2, "cases": 1, "runs": 1, "passed": 1, "pass_rate": 1.0},
        {"level": 3, "cases": 3, "runs": 3, "passed": 3, "pass_rate": 1.0},
    ]
    totals = [row for row in found if row["task"] is None]
    metrics = ("model", "kind", "cases", "passed", "pass_rate", "mean_score", "pass_rate_by_level")
    assert [[row[name] for name in metrics] for row in totals] == [[row[name] for name in metrics] for row in of_task]
    assert {pair.framework for pair in built.pairs} | {pair.against for pair in built.pairs} == {"baseline", "x"}
    assert len(built.totals) == 2
    cell = cells_of(project)["scripted", "x"]
    assert [(row["level"], row["cases"], row["runs"]) for row in cell["pass_rate_by_level"]] == [(2, 1, 2), (3, 1, 2)]
    facts = next(row for row in cell["components"] if row["part"] == "facts")
    assert (facts["runs"], facts["held"], facts["share"]) == (4, 4, 1.0)


def test_models_are_compared_beside_the_floors_of_the_same_cases(project: Path) -> None:
    for model, cases in (("large", "ab"), ("small", "bc")):
        for case in cases:
            write_trace(project / "traces", trace(key(case, model=model)))
    built = score(project)
    assert [row.metrics["cases"] for row in built.references_of(None, None)] == [1, 1, 1]
    said = " ".join(printed(built).split())
    assert "ceiling:" in said.split("Models, on the same 1 cases")[1]


def test_runs_without_a_level_are_in_no_rate_by_level_and_a_note_says_so(project: Path) -> None:
    case = {name: value for name, value in CASE.items() if name != "level"}
    write_trace(project / "traces", trace(key("a"), case=case))
    write_trace(project / "traces", trace(key("b")))
    built = score(project)
    [cell] = built.cells
    assert [(one.level, one.runs) for one in cell.levels] == [(2, 1)] and cell.metrics["runs"] == 2
    assert [note for note in built.notes if "level" in note] == [
        "scripted: 1 runs are of cases that have no level, and so are in no pass rate by level"
    ]


def test_a_case_that_its_own_answer_does_not_pass_is_named(project: Path) -> None:
    write_trace(project / "traces", trace(key("wrong"), case={**CASE, "answer": "Goodbye."}))
    write_trace(project / "traces", trace(key("right")))
    notes = score(project).notes
    assert [note for note in notes if "gold" in note] == [
        "the gold outcome does not pass these cases: tool_calling/wrong"
    ]


def test_levels_and_components_are_columns_where_not_all_passed(project: Path) -> None:
    write_trace(project / "traces", trace(key("a"), answer="Goodbye."))
    write_trace(project / "traces", trace(key("b"), case={**CASE, "level": 3}))
    built = score(project)
    text = scorecard.to_markdown(built)
    header = next(line for line in text.splitlines() if line.startswith("| framework | passed tool"))
    columns = header.strip("| ").split(" | ")
    row = next(line for line in text.splitlines() if line.startswith("| X ")).strip("| ").split(" | ")
    shown = dict(zip(columns, row, strict=False))
    assert (shown["level 2"], shown["level 3"], shown["tool\\_calling facts"]) == ("0/1", "1/1", "1/2")
    said = " ".join(printed(built).split())
    assert "passed runs by level" in said and "each component" in said
    write_trace(project / "traces", trace(key("a")))
    assert "level 2 |" not in scorecard.to_markdown(score(project))


def test_only_the_runs_to_keep(project: Path) -> None:
    write_all(project, make_traces(project))
    built = scorecard.build(
        project / "traces" / "scripted",
        implementations=project / "implementations",
        keep=lambda key: key.framework == "x",
    )
    assert [(cell.model, cell.framework) for cell in built.cells] == [("scripted", "x")]
    assert list(built.frameworks) == ["x"]
    assert built.damaged == ()


def test_several_real_models_are_compared(project: Path) -> None:
    for framework in ("baseline", "x"):
        for case in "abcdefghijkl":
            # The larger model is right; the other is only where the case is the first.
            write_trace(project / "traces", trace(key(case, framework=framework, model="large")))
            answer = "Hello." if case == "a" else "Goodbye."
            write_trace(project / "traces", trace(key(case, framework=framework, model="small"), answer=answer))
    built = score(project)
    content = document(project)["models"]
    assert content["models"] == ["large", "small"]
    assert [row["passed"] for row in content["rows"]] == [12, 1, 12, 1, 24, 2]
    said = content["in_words"]
    assert "Here the model matters more than the framework" in said
    section = (
        (project / "SCORECARD.md").read_text().partition("## Framework or model?")[2].partition("## Model large")[0]
    )
    titled = in_words(built.comparison, built.titles) if built.comparison else ""
    assert said != titled and "This covers the models large, small with the frameworks X, X." in titled
    assert scorecard.escape(titled, limit=2000) in section and "The cases are 12 of tool\\_calling." in section
    assert "| model | " in section and "variance in passing" in section
    assert "| remainder |" in section and "| chance |" not in section
    assert "Here the model matters more than the framework" in scorecard.readme_section(built)
    assert "This covers the models large, small with the frameworks" in scorecard.readme_section(built)
    console = Console(file=io.StringIO(), width=100)
    scorecard.print_scorecard(console, built)
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "Models, on the same 12 cases" in printed and titled in " ".join(printed.split())


def test_one_real_model_is_not_compared(project: Path) -> None:
    write_all(project, make_traces(project))
    assert score(project).comparison is None
    assert document(project)["models"] is None
    assert "Framework or model" not in (project / "SCORECARD.md").read_text()


def test_costs_come_with_their_price_list(project: Path) -> None:
    write_trace(project / "traces", trace(key("a", model="openai/gpt-5-mini")))
    score(project)
    content = document(project)
    assert content["price_list"].startswith("genai-prices ")
    assert content["cells"][0]["cost_usd_mean"] == pytest.approx(100 * 0.25e-6 + 10 * 2e-6)
    write_trace(project / "traces", trace(key("a", model="openai/no-such-model"), model_calls=[]))
    shutil.rmtree(project / "traces" / "openai" / "gpt-5-mini")
    score(project)
    content = document(project)
    assert content["price_list"] is None and content["cells"][0]["cost_usd_mean"] is None


def test_what_the_runs_would_have_cost_on_other_models(project: Path) -> None:
    call = model_call(0.1, 0.2, 0.5, 0.6, input_tokens=10_000, output_tokens=1000, cached_tokens=4000)
    write_trace(project / "traces", trace(key("a", model="mine"), model_calls=[call]))
    write_trace(project / "traces", trace(key("b", framework="x", model="mine"), model_calls=[]))
    built = scorecard.score(
        project / "traces", project, implementations=project / "implementations", prices=("openai/gpt-5-mini",)
    )
    content = document(project)["other_models"]
    # 10 000 * $0.25 + 1000 * $2 for a million, and $0.025 for each that was cached
    assert content["rows"][0]["costs"] == {
        "openai/gpt-5-mini": {"usd_mean_uncached": 0.0045, "usd_mean_cached": 0.0036}
    }
    assert content["price_list"] == price_list()
    assert "on other models" not in (project / "SCORECARD.md").read_text()
    console = Console(file=io.StringIO(), width=100)
    scorecard.print_scorecard(console, built)
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "mine · what 1,000 runs would have cost on other models" in printed and "4.5 (3.6)" in printed
    assert price_list() in printed


def test_without_prices_named_nothing_is_said_of_other_models(project: Path) -> None:
    write_trace(project / "traces", trace(key("a")))
    scorecard.score(project / "traces", project, implementations=project / "implementations", prices=())
    assert document(project)["other_models"] is None


def test_failures_have_reasons(project: Path) -> None:
    write_all(project, make_traces(project))
    score(project)
    failures = document(project, "scorecard.failures.json")["failures"]
    reasons = {(failure["case"], failure["trial"]): failure["reasons"] for failure in failures}
    assert set(reasons) == {("d", 1), ("e", 1), ("f", 1)}
    assert reasons["e", 1][0] == "ended with an error: ValueError: <b>|no|</b>"
    assert reasons["f", 1][0] == "ended by the time-out"


def test_damaged_traces_are_named_and_the_rest_is_scored(project: Path) -> None:
    good = make_traces(project)
    write_all(project, good)
    before = score(project)
    root = project / "traces"
    whole = trace_path(root, good[0].key).read_text()
    folder = root / "scripted" / "x" / "tool_calling"
    unknown_task = good[0].model_copy(update={"key": good[0].key.model_copy(update={"task": "no_task"})})
    (folder / "z1.1.json").write_text(whole[: len(whole) // 2])
    (folder / "z2.1.json").write_text(whole.replace('"wall_s": 1.0', '"wall_s": "long"'))
    unknown_kind = whole.replace('"trial": 1', '"trial": 9').replace("no_call", "no_kind")
    trace_path(root, good[0].key.model_copy(update={"trial": 9})).write_text(unknown_kind)
    (folder / "z4.1.json").write_text(whole)
    write_trace(root, unknown_task)
    write_trace(root, trace(key("a", framework="gone")))
    after = score(project)
    reasons = [damaged.reason for damaged in after.damaged]
    assert len(reasons) == 6
    for damaged in after.damaged:
        assert not Path(damaged.path).is_absolute()
    assert any(re.match(r"line \d+: not valid JSON", reason) for reason in reasons)
    assert any(reason.startswith("resources.wall_s: ") for reason in reasons)
    assert any(reason.startswith("case.kind: ") for reason in reasons)
    assert f"key: this is a run of scripted/x/tool_calling/{good[0].key.case}.1.json" in reasons
    assert "key.task: there is no task 'no_task'" in reasons
    assert "key.framework: there is no framework 'gone'" in reasons
    assert after.cells == before.cells
    assert "6 files are not scored" in (project / "SCORECARD.md").read_text()


@pytest.mark.parametrize("stranger", ["aaa", "zz/scripted", "scripted/a"])
def test_a_run_counts_where_its_path_says_and_nowhere_else(project: Path, stranger: str) -> None:
    write_all(project, make_traces(project))
    before = score(project)
    shutil.copytree(project / "traces" / "scripted" / "x", project / "traces" / stranger / "x")
    after = score(project)
    assert len(after.damaged) == 9
    assert all(damaged.reason.startswith("key: this is a run of scripted/x/") for damaged in after.damaged)
    assert after.cells == before.cells


@pytest.mark.parametrize("fault", ["server", "harness", "machine"])
def test_a_run_that_ended_by_another_fault_counts_for_no_framework(project: Path, fault: str) -> None:
    traces = make_traces(project)
    write_all(project, traces)
    before = score(project)
    extra = traces[0].model_copy(update={"key": traces[0].key.model_copy(update={"trial": 7})})
    outcome = extra.outcome.model_copy(update={"ended": "error", "error": "no power", "fault": fault})
    write_trace(project / "traces", extra.model_copy(update={"outcome": outcome}))
    after = score(project)
    assert after.cells == before.cells and after.damaged == before.damaged
    [unsound] = after.unsound
    assert (unsound.key, unsound.fault, unsound.error) == (extra.key, fault, "no power")
    assert f"1 runs ended by the fault of the {fault}, and count for no framework (x: 1)" in "".join(after.notes)


def _after_waiting(one: Trace, seconds: float) -> Trace:
    """The same run, in which the first model call waited so long for a limit, and all else came so much later."""
    first = one.model_calls[0]
    begin = {name: getattr(first, name) + seconds for name in ("sent_s", "first_byte_s", "received_s", "end_s")}
    calls = [first.model_copy(update={**begin, "waited_s": seconds})]
    times = ("start_s", *begin)
    for call in one.model_calls[1:]:
        calls.append(call.model_copy(update={name: getattr(call, name) + seconds for name in times}))
    tools = [
        call.model_copy(update={"start_s": call.start_s + seconds, "end_s": call.end_s + seconds})
        for call in one.tool_calls
    ]
    resources = one.resources.model_copy(update={"wall_s": one.resources.wall_s + seconds})
    return one.model_copy(update={"model_calls": calls, "tool_calls": tools, "resources": resources})


def test_what_runs_waited_for_limits_is_said_and_is_in_no_figure(project: Path) -> None:
    traces = [one for one in make_traces(project) if one.model_calls]
    write_all(project, traces)
    before = score(project)
    write_all(project, [_after_waiting(one, 60.0) for one in traces[:3]])
    after = score(project)
    for old, new in zip(before.cells, after.cells, strict=True):
        assert new.metrics == pytest.approx(old.metrics)
    [note] = set(after.notes) - set(before.notes)
    count = sum(one.key.model == traces[0].key.model for one in traces)
    assert note == (
        f"{traces[0].key.model}: 3 of {count} runs waited for limits of the model's server, 60.0 s in the median and "
        "60.0 s at most; no time has that in it"
    )


def test_the_schemas_hold_for_any_scorecard(project: Path) -> None:
    def problems(name: str, content: object) -> list[str]:
        errors = jsonschema.Draft202012Validator(schema.schema(name)).iter_errors(content)
        return sorted(error.json_path for error in errors)

    def all_problems() -> list[str]:
        return [problem for name in schema.DOCUMENTS for problem in problems(name, document(project, name))]

    score(project)
    assert all_problems() == []
    write_all(project, make_traces(project))
    (project / "traces" / "scripted" / "x" / "tool_calling" / "z.1.json").write_text("{")
    (project / "implementations" / "x" / "tool_calling.py").write_text("changed = True\n")
    score(project)
    content, pairs = document(project), document(project, "scorecard.pairs.json")
    assert content["damaged"] and content["notes"] and pairs["rows"]
    assert all_problems() == []
    content["cells"][0]["more"] = content["cells"][0]["failure_kinds"]["no kind"] = pairs["rows"][0][0] = 1
    pairs["rows"][1].append(1)
    content["setups"]["scripted"]["no field"] = []
    del content["notes"], pairs["columns"][0]
    expected = ["$", "$.cells[0]", "$.cells[0].failure_kinds", "$.setups.scripted"]
    assert problems("scorecard.json", content) == expected
    assert problems("scorecard.pairs.json", pairs) == ["$.columns", "$.rows[0][0]", "$.rows[1]"]


def test_the_scorecard_names_the_files_beside_it(project: Path) -> None:
    write_all(project, make_traces(project))
    score(project)
    files = document(project)["files"]
    assert [one["file"] for one in files.values()] == [
        "scorecard.pairs.json",
        "scorecard.failures.json",
        "scorecard.faults.json",
        "scorecard.capabilities.json",
        "scorecard.history.json",
        "scorecard.suites.json",
    ]
    for one in files.values():
        assert hashlib.sha256((project / one["file"]).read_bytes()).hexdigest() == one["sha256"]


def test_the_files_are_written_together_or_not_at_all(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score(project)
    before = written(project)
    write_all(project, make_traces(project))
    write_bytes = Path.write_bytes

    def full(path: Path, *args: Any, **options: Any) -> int:
        if path.name.startswith(".SCORECARD.md"):
            raise OSError(28, "No space left on device")
        return write_bytes(path, *args, **options)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        score(project)
    assert written(project) == before
    assert not list(project.glob(".*"))


def test_any_number_of_processes_gives_the_same_bytes(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_compared(project, "differences = ['added system text']")
    write_all(project, make_traces(project))
    (project / "traces" / "scripted" / "x" / "tool_calling" / "z.1.json").write_text("{")
    monkeypatch.setattr(gather, "_WORTH_PROCESSES", 0)

    def content(processes: int) -> dict[str, str]:
        built = scorecard.build(project / "traces", implementations=project / "implementations", processes=processes)
        return scorecard.documents(built)

    assert content(3) == content(1)


def test_a_task_that_a_framework_lacks_is_not_implemented(project: Path) -> None:
    write_trace(project / "traces", trace(key("a")))
    write_trace(project / "traces", trace(key("a", framework="x")))
    assert score(project).frameworks["x"].not_implemented == (("handoff", None), ("rag_qa", None))
    before = (project / "SCORECARD.md").read_text()
    assert "Not implemented" not in before, "nobody ran the tasks that it lacks"
    (project / "implementations" / "baseline" / "handoff.py").write_text(IMPLEMENTATION)
    write_trace(project / "traces", played("handoff", "direct-outage", framework="baseline"))
    score(project)
    [row] = [line for line in (project / "SCORECARD.md").read_text().splitlines() if line.startswith("| X <sup>2")]
    assert "| not implemented | 1/1 |" in row
    folder = project / "implementations" / "x"
    (folder / "tool_calling.py").unlink()
    with (folder / "pyproject.toml").open("a") as file:
        file.write("[tool.bakeoff.not_implemented]\ntool_calling = 'its tools are <none>'\n")
    built = score(project)
    content = json.loads((project / "scorecard.json").read_text())
    assert content["frameworks"][1]["not_implemented"]["tool_calling"] == "its tools are <none>"
    errors = jsonschema.Draft202012Validator(schema.schema("scorecard.json")).iter_errors(content)
    assert [error.message for error in errors] == []
    page = (project / "SCORECARD.md").read_text()
    lacks = "Not implemented, and so not in their figures over all tasks: "
    lacks += "handoff by X; tool_calling by X (its tools are <none>)."
    assert scorecard.escape(lacks) in page and scorecard.escape(lacks) in scorecard.readme_section(built)
    console = Console(file=io.StringIO(), width=100)
    scorecard.print_scorecard(console, built)
    assert isinstance(console.file, io.StringIO)
    assert lacks in " ".join(console.file.getvalue().split())


def test_a_case_that_cannot_be_played(project: Path) -> None:
    step = {"tool": "get_order", "arguments": {"order_id": "no such order"}}
    case = {**trace().case, "kind": "one_call", "turns": [[step]]}
    bad = trace(**digests(project, "x")).model_copy(update={"case": case})
    write_all(project, [bad, trace(key("b"), **digests(project, "baseline"))])
    built = score(project)
    assert [damaged.path for damaged in built.damaged] == ["scripted/baseline/tool_calling/greeting.1.json"]
    assert "an expected call fails: There is no order" in built.damaged[0].reason
    assert len(built.cells) == 1


def test_what_was_recorded_with_another_model_of_the_same_name(project: Path) -> None:
    runs = [
        trace(key(model=model), **(digests(project, "baseline") | {"model_digest": digest}))
        for model, digest in (("local", "older"), ("local-0.5b", embedded_digest("local-0.5b")), ("ollama/m", "any"))
    ]
    write_all(project, runs)
    built = score(project)
    assert built.outdated_models == ("local",)
    assert "local: recorded with other weights, engine, settings or another chat template than today's" in built.notes
    assert sentences()["after_results"] in about_model("local-0.5b", built.outdated_models)
    assert sentences()["after_results"] not in about_model("local", built.outdated_models)


def test_what_has_changed_since_the_runs(project: Path) -> None:
    write_all(project, make_traces(project))
    (project / "implementations" / "x" / "tool_calling.py").write_text("changed = True\n")
    (project / "implementations" / "baseline" / "uv.lock").open("a").write("\n")
    built = score(project)
    assert cells_of(project)["scripted", "x"]["source_lines"] is None
    assert cells_of(project)["scripted", "baseline"]["source_lines"] == 2
    assert built.notes == (
        "the implementation has changed since these runs: ollama/qwen3/x/tool_calling, scripted/x/tool_calling",
        "the lock has changed since these runs: scripted/baseline/tool_calling",
    )


def test_broken_metadata_costs_only_the_metadata(project: Path) -> None:
    write_all(project, make_traces(project))
    (project / "implementations" / "x" / "pyproject.toml").write_text("[tool.bakeoff]\n")
    built = score(project)
    assert built.frameworks["x"].title == "x"
    assert built.notes[0] == "implementations/x/pyproject.toml: tool.bakeoff.title: Field required"
    assert cells_of(project)["scripted", "x"]["passed"] == 6


def test_notes_about_tokens(project: Path) -> None:
    counted = [model_call(0, 0, 1, 1, usage_source="counted")]
    unknown = [model_call(0, 0, 1, 1, input_tokens=None, usage_source=None)]
    write_all(
        project,
        [
            trace(key("a"), model_calls=counted, **digests(project, "baseline")),
            trace(key("b"), model_calls=unknown, **digests(project, "baseline")),
        ],
    )
    notes = score(project).notes
    assert len(notes) == 2
    assert notes[0].startswith("scripted: in 1 of 2 runs the gateway counted")
    assert notes[1].startswith("scripted: 1 of 2 runs have no token count")


def test_markdown(project: Path) -> None:
    write_all(project, make_traces(project))
    score(project)
    text = (project / "SCORECARD.md").read_text()
    assert text.startswith("<!-- generated by `uv run bakeoff score`")
    [row] = [line for line in text.splitlines() if line.startswith("| X <sup>2</sup> | 6/9 | 6/9 | ")]
    assert " | 67% [" in row
    assert "3 of 15 runs failed, for these reasons (a run can have several): " in text
    assert "ended by the time-out (1)" in text
    assert "ValueError" not in text  # single failures are on the site and in scorecard.failures.json
    assert "1. X, tool\\_calling: The specialist" in text
    assert "## Model ollama/qwen3" in text and "1 of 1 runs passed." in text
    assert "| model | CPU | CPU cores |" in text and text.count("| A CPU | 2 | Linux | 3.11.7 |") == 2
    assert text.count("| 2025-01-02 |\n") == 2
    assert "| X | – | – | 100% (k = 2) |" not in text and "100% (k = 2) |" in text
    assert str(project) not in text
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("| ")]
    assert len(tables) == 5
    for lines in tables:
        assert len({line.replace("\\|", "").count("|") for line in lines}) == 1, lines


def test_more_runs_make_no_longer_page(project: Path) -> None:
    def lines() -> int:
        return len(scorecard.to_markdown(score(project)).splitlines())

    write_all(project, make_traces(project))
    before = lines()
    for number in range(20):
        run = key(f"case-{number}", framework="x")
        write_trace(project / "traces", trace(run, ended="error", error=f"{number}", **digests(project, "x")))
    assert lines() == before


def test_a_sentence_names_a_few_pairs_that_differ(project: Path) -> None:
    for name in ("w", "y", "z"):
        (make_framework(project, name) / "tool_calling.py").write_text(IMPLEMENTATION)
    for case in range(40):
        for framework in ("baseline", "w", "x", "y", "z"):
            answer = "Hello." if framework == "x" else "Goodbye."
            write_trace(project / "traces", trace(key(f"c{case}", framework=framework), answer=answer))
    said = words.correctness(score(project), "scripted")
    assert said and said.startswith("Over 40 cases in pass rate X higher than X; ")
    assert said.count("than") == 3 and "; and 1 more; all others tie" in said


def test_the_readme_says_of_which_levels_the_cases_are(project: Path) -> None:
    write_all(project, make_traces(project))
    card = score(project)
    levels = iter([1, 2, 2])
    cases = {run.key.case for run in card.runs}
    of_case = dict(zip(sorted(cases), levels, strict=False))
    runs = tuple(replace(run, level=of_case.get(run.key.case, 3)) for run in card.runs)
    told = words.levels(replace(card, runs=runs), "scripted")
    assert told.startswith("1 case of level 1, 2 of level 2 and ")
    assert "on 1 case of level " in scorecard.readme_section(card)
    assert words.levels(replace(card, runs=(replace(runs[0], level=None),)), "scripted") == ""


def test_the_event_loop_is_shown_where_a_trace_says_it(project: Path) -> None:
    one, other = trace(key("a"), **digests(project, "baseline")), trace(key("b"), **digests(project, "baseline"))
    write_all(project, [one])
    score(project)
    files = written(project)
    assert b"event_loop" not in files[0] and b"event loop" not in files[-1]
    write_all(project, [other.model_copy(update={"setup": other.setup.model_copy(update={"event_loop": "uvloop"})})])
    score(project)
    assert json.loads(written(project)[0])["setups"]["scripted"]["event_loop"] == [None, "uvloop"]
    assert b"| unknown, uvloop |" in written(project)[-1]


def test_text_about_a_model_stands_with_that_model_only(project: Path) -> None:
    today = digests(project, "baseline") | {"model_digest": embedded_digest("local")}
    write_all(project, [trace(key(model="local"), **today)])
    score(project)
    text = (project / "SCORECARD.md").read_text()
    assert "1.5 billion" in text
    assert "deterministic model" not in text
    assert sentences()["after_results"] in text and sentences()["after_more_results"] in text


NICE = "Be nice & <b>brief</b>."


ADD_NICE = system(lambda text: f"{text}\n\n{NICE}")


def write_compared(project: Path, deviation: str, change: Change = ADD_NICE) -> None:
    """Two plain runs of the baseline and two changed ones of x, whose deviation number 2 is as given."""
    text = PYPROJECT.partition("[[tool")[0] + f"[[tool.bakeoff.deviations]]\nnote = 'It adds that.'\n{deviation}"
    (project / "implementations" / "x" / "pyproject.toml").write_text(text)
    for case in ("stock-and-quote", "two-orders"):
        for framework in ("baseline", "x"):
            run = played("tool_calling", case, framework=framework)
            if framework == "x":
                run = changed(run, change)
                run.reported_usage = ReportedUsage(input_tokens=300, output_tokens=40)
            write_trace(project / "traces", run.model_copy(update={"setup": setup(**digests(project, framework))}))


def test_injected_tokens_and_explained_differences(project: Path) -> None:
    write_compared(project, "differences = ['added system text']")
    built = score(project)
    cells = cells_of(project)
    own = cells["scripted", "baseline"]["injected_tokens_per_call"]
    injected = cells["scripted", "x"]["injected_tokens_per_call"]
    assert own > 0 and injected - own == pytest.approx(count_tokens(NICE), abs=2)
    assert cells["scripted", "x"]["compared_calls"] == cells["scripted", "x"]["model_calls"] == 4
    assert (cells["scripted", "x"]["differences_explained"], cells["scripted", "x"]["differences_unexplained"]) == (
        1,
        0,
    )
    [baseline, x] = document(project)["parity"]
    assert (baseline["framework"], baseline["differences"]) == ("baseline", [])
    [difference] = x["differences"]
    assert (difference["name"], difference["runs"], difference["deviations"]) == ("added system text", 2, [2])
    assert x["injected_tokens_per_call"] == injected
    assert (x["calls"], x["calls_made"]) == (4, 4)
    assert built.notes == ()
    text = (project / "SCORECARD.md").read_text()
    tokens = f"+{injected:.1f}".removesuffix(".0")
    part = f"+{difference['tokens_per_call']:.1f}".removesuffix(".0")
    # The baseline has that title here, too.
    [baselines, row] = [line for line in text.splitlines() if line.startswith("| X | tool\\_calling |")]
    assert baselines.endswith("| none |")
    assert row.startswith(f"| X | tool\\_calling | {tokens} | 4/4 | ")
    assert f"system text {part}" in row and row.endswith("| added system text (2) |")
    assert "2. X, all tasks: It adds that." in text
    assert "| X <sup>2</sup> |" in text


def test_an_unexplained_difference_stands_out(project: Path) -> None:
    write_compared(project, "differences = ['changed *']")
    score(project)
    assert cells_of(project)["scripted", "x"]["differences_unexplained"] == 1
    assert "| **unexplained: added system text** |" in (project / "SCORECARD.md").read_text()


def test_the_footprint_is_that_of_the_scripted_runs_and_says_what_was_not_seen(project: Path) -> None:
    weights = {"packages": 14, "installed_mb": 1234.5, "memory_after_import_mb": 61.7}
    write_all(
        project,
        [
            trace(key("a"), resources=weights, **digests(project, "baseline")),
            trace(key("a", framework="x", model="ollama/qwen3"), resources=weights, **digests(project, "x")),
        ],
    )

    def part() -> str:
        return scorecard.to_markdown(score(project)).partition("## Size and footprint")[2].partition("\n## ")[0].strip()

    assert "runs with the model scripted" in part()
    assert "| X 1.0 | 2 | 0 | 0 | 0 | 14 | 1,234 | 500 ms | 61.7 | 50 |" in part()  # the baseline has that title, too
    assert part().endswith("| X 1.0 | 2 | 0 | 0 | 0 | – | – | – | – | – |")
    write_all(project, [trace(key("a", framework="x"), **digests(project, "x"))])
    assert part().endswith("| X 1.0 | 2 | 0 | 0 | 0 | – | – | 500 ms | – | 50 |")


def test_parity_is_shown_for_the_scripted_model_only(project: Path) -> None:
    for framework in ("baseline", "x"):
        write_trace(project / "traces", played("tool_calling", "two-orders", framework=framework, model="my-model"))
    score(project)
    assert cells_of(project)["my-model", "x"]["injected_tokens_per_call"] > 0
    assert "## What differs on the wire" not in (project / "SCORECARD.md").read_text()


def test_injected_tokens_need_no_runs_of_the_baseline(project: Path) -> None:
    write_trace(project / "traces", played("tool_calling", "two-orders"))
    score(project)
    alone = cells_of(project)["scripted", "x"]["injected_tokens_per_call"]
    write_trace(project / "traces", changed(played("tool_calling", "two-orders", framework="baseline"), ADD_NICE))
    score(project)
    assert cells_of(project)["scripted", "x"]["injected_tokens_per_call"] == alone > 0


def test_calls_that_cannot_be_compared_are_told_beside_those_that_could(project: Path) -> None:
    run = played("tool_calling", "two-orders")
    failed = run.model_calls[0].model_copy(update={"status": 429, "error": "rate limit"})
    run.model_calls.insert(0, failed)
    write_trace(project / "traces", run)
    score(project)
    cell = cells_of(project)["scripted", "x"]
    assert (cell["compared_calls"], cell["model_calls"]) == (2, 3)
    assert "| 2/3 |" in (project / "SCORECARD.md").read_text()


def test_a_run_that_cannot_be_compared_still_counts(project: Path) -> None:
    run = played("tool_calling", "two-orders")
    run.model_calls[0].request = "no request"
    write_trace(project / "traces", run.model_copy(update={"setup": setup(**digests(project, "x"))}))
    [note] = score(project).notes
    assert note.startswith("scripted/x/tool_calling/two-orders.1.json: cannot be compared with the spec: Attribute")
    cell = cells_of(project)["scripted", "x"]
    assert (cell["runs"], cell["injected_tokens_per_call"], cell["differences_explained"]) == (1, None, None)


def test_what_the_frameworks_say_of_themselves(project: Path) -> None:
    write_compared(project, "")
    score(project)
    cell = cells_of(project)["scripted", "x"]
    wire = cell["prompt_tokens_mean"]
    assert cell["prompt_tokens_discrepancy"] == pytest.approx(300 / wire - 1, rel=1e-4)
    text = (project / "SCORECARD.md").read_text()
    percent = f"{100 * (300 / wire - 1):+.1f} %".replace("-", "−")
    own = f"{100 * (40 / cell['completion_tokens_mean'] - 1):+.1f} %".replace("-", "−")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| X ") and "% [" in line]
    assert [row[-1].strip(" |") for row in rows] == ["–", f"{percent}, {own}"]  # the baseline, and x


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "–"), (0, "exact"), (0.0, "exact"), (-0.335, "−33.5 %"), (26.0, "+2600.0 %")]
)
def test_discrepancy(value: float | None, shown: str) -> None:
    assert scorecard.discrepancy(value) == shown


def test_no_traces(project: Path) -> None:
    built = score(project)
    assert built.cells == ()
    assert "There are no traces to score." in (project / "SCORECARD.md").read_text()


def test_readme(project: Path) -> None:
    write_all(project, make_traces(project))
    readme = project / "README.md"
    readme.write_text("# Mine\n")
    score(project)
    assert readme.read_text() == "# Mine\n"
    readme.write_text("# Mine\n<!-- scorecard:begin -->\nold\n<!-- scorecard:end -->\nmine\n")
    score(project)
    text = readme.read_text()
    assert text.startswith("# Mine\n<!-- scorecard:begin -->\n<!-- generated by ")
    assert text.endswith("<!-- scorecard:end -->\nmine\n")
    assert "\nold\n" not in text
    assert "| framework | passed (ollama/qwen3) | overhead p50 (scripted) | " in text
    rows = [line for line in text.splitlines() if line.startswith("| X ")]
    assert [row.split(" | ")[1] for row in rows] == ["–", "1/1"]  # the baseline, and x
    assert [line.split(" | ")[1] for line in text.splitlines() if line.startswith("| *")] == ["0/1", "0/1", "1/1"]
    assert len(text.splitlines()) < 22
    score(project)
    assert readme.read_text() == text
    readme.write_text("<!-- scorecard:begin -->")
    with pytest.raises(ValueError, match=r"README\.md: needs the markers"):
        score(project)


def printed(built: scorecard.Scorecard, width: int = 100, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=width, **options)
    scorecard.print_scorecard(console, built)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_terminal(project: Path) -> None:
    write_all(project, make_traces(project))
    built = score(project)
    text = printed(built)
    assert "6/9" in text and "67% [" in text and "…" not in text
    assert "67% [" in printed(built, width=80) and "…" not in printed(built, width=80)
    assert "3 of 16 runs failed:" in text
    assert "1 × scripted x tool_calling: ended by the time-out" in text
    assert "\x1b" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100
    assert "\x1b[" in printed(built, force_terminal=True)


def test_terminal_shows_a_dozen_kinds_of_failure(project: Path) -> None:
    for number in range(20):
        run = key(f"case-{number}", framework="x")
        write_trace(project / "traces", trace(run, ended="error", error=f"[bold]{number}", **digests(project, "x")))
    text = printed(score(project))
    assert text.count("ended with an error: [bold]") == 12
    assert "… and 8 more: see scorecard.failures.json" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0.00123, "1.2 ms"),
        (0.00996, "10 ms"),
        (0.25, "250 ms"),
        (0.9996, "1.00 s"),
        (9.999, "10.0 s"),
        (75.25, "75.2 s"),
    ],
)
def test_seconds(value: float | None, shown: str) -> None:
    assert scorecard.seconds(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(None, "–"), (3, "3"), (2.25, "2.2"), (99.96, "100"), (1234.5, "1,234")])
def test_count(value: float | None, shown: str) -> None:
    assert scorecard.count(value) == shown


def test_escape() -> None:
    assert scorecard.escape("a\n b") == "a b"
    assert scorecard.escape("x" * 400) == "x" * 299 + "…"
    assert scorecard.escape("<script>[a](b)|`") == "&lt;script&gt;\\[a\\](b)\\|\\`"


# --- behaviours ------------------------------------------------------------------------------


def probed(framework: str, **outcome: Any) -> Trace:
    """A run of the probe whose model says nothing."""
    [case] = [case for case in all_tasks()["tool_calling"].probes if case.id == EMPTY_CONTENT[0]]
    run = key(case.id, framework=framework, model="probes")
    calls = [model_call(0.1, 0.2, 0.3, 0.4), model_call(0.5, 0.6, 0.7, 0.8)]
    made = trace(run, model_calls=calls, **{"answer": "", **outcome})
    changes = {
        "case": json.loads(case.model_dump_json(exclude_defaults=True)),
        "resources": made.resources.model_copy(update={"cpu_s": 0.1}),
    }
    return made.model_copy(update=changes)


EMPTY_CONTENT = ("empty_content", "tool_calling")
WORDS = "the model is asked once more, the answer is empty"


def test_behaviours_are_told_beside_the_scores_and_count_in_none(project: Path) -> None:
    write_all(project, make_traces(project))
    before = score(project)
    write_all(project, [probed("baseline"), probed("x")])
    card = score(project)
    assert (card.cells, card.totals, card.failures) == (before.cells, before.totals, before.failures)
    assert [(one.framework, one.words) for one in card.behaviours] == [("baseline", WORDS), ("x", WORDS)]
    text = (project / "SCORECARD.md").read_text()
    assert f"All do the same in empty\\_content ({WORDS})." in text
    assert len(document(project)["behaviours"]) == 2


def test_behaviours_that_differ_name_their_frameworks(project: Path) -> None:
    write_all(project, [probed("baseline"), probed("x", ended="error", error="<b>|Silence: ")])
    score(project)
    text = (project / "SCORECARD.md").read_text()
    [row] = [line for line in text.splitlines() if line.startswith("| empty\\_content")]
    assert f"| {WORDS} | X: the model is asked once more, the run ends with" in row
    assert "There are no traces" not in text and "<b>" not in text


def test_times_are_those_of_runs_that_were_recorded_together(project: Path) -> None:
    traces = [
        trace(key(case, framework=framework), wall_s=wall_s, **digests(project, framework))
        for framework, wall_s in (("baseline", 1.0), ("x", 2.0))
        for case in "abcdef"
    ]
    elsewhere = {**digests(project, "x"), "cpu": "Another CPU"}
    traces[-2:] = [trace(key(case, framework="x"), wall_s=9.0, **elsewhere) for case in "ef"]
    write_all(project, traces)
    built = score(project)
    found = cells_of(project)["scripted", "x"]
    assert (found["runs"], found["passed"], found["wall_s_p50"], found["overhead_s_p50"]) == (6, 6, 2.0, 1.5)
    [wall] = [pair for pair in built.pairs if (pair.metric, pair.task) == ("wall_s", None)]
    assert (wall.cases, wall.difference) == (4, 1.0)
    [passed] = [pair for pair in built.pairs if (pair.metric, pair.task) == ("pass_rate", None)]
    assert passed.cases == 6
    assert [note for note in built.notes if "one sitting" in note] == [
        "scripted: times compare only within one sitting, in which the frameworks take turns on one machine; no time "
        "counts of the cases and trials that were recorded partly in one sitting and partly in another: 2 of "
        "tool_calling"
    ]
    write_all(project, [trace(key(case, framework="x"), wall_s=9.0, **elsewhere) for case in "abcd"])
    built = score(project)
    assert cells_of(project)["scripted", "x"]["wall_s_p50"] is None
    assert cells_of(project)["scripted", "baseline"]["wall_s_p50"] == 1.0
    assert not [pair for pair in built.pairs if pair.metric == "wall_s"]
    [note] = [note for note in built.notes if "one sitting" in note]
    assert note.endswith("no time is given of x/tool_calling, recorded apart from the others")
    together = {"sitting": "s", "cpu": "Another CPU"}
    write_all(
        project,
        [
            trace(key(case, framework=framework), wall_s=wall_s, **digests(project, framework), **together)
            for framework, wall_s in (("baseline", 3.0), ("x", 9.0))
            for case in "ef"
        ],
    )
    write_all(project, [trace(key(case, framework="x"), **digests(project, "x")) for case in "abcd"])
    built = score(project)
    assert cells_of(project)["scripted", "x"]["wall_s_p50"] == 1.0
    assert not [note for note in built.notes if "one sitting" in note]


def test_it_is_computed_where_the_system_does_not_say_which_cores_are_free(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    write_all(project, make_traces(project))
    assert score(project).runs


# --- faults ----------------------------------------------------------------------------------


def with_fault(framework: str, fault: str = "status_500", strength: str = "once", **changes: Any) -> Trace:
    injected = Injected.model_validate({"fault": fault, "strength": strength, "place": "first", "moment": 0, "came": 1})
    made = trace(key(f"{fault}-{strength}", framework=framework, model="faults"), **changes)
    return made.model_copy(update={"injected": injected, "case": CASE})


def test_what_came_of_faults_stands_beside_the_scores_and_counts_in_none(project: Path) -> None:
    write_all(project, make_traces(project))
    before = score(project)
    wrong = with_fault("x", answer="One moment.")
    stays = with_fault("x", strength="always", ended="error", answer="", error="Boom")
    hardened = with_fault("x").model_copy(update={"hardened": True})
    hardened = hardened.model_copy(update={"key": hardened.key.model_copy(update={"case": "status_500--hardened"})})
    write_all(project, [with_fault("baseline"), wrong, stays, hardened])
    card = score(project)
    assert (card.cells, card.totals, card.failures) == (before.cells, before.totals, before.failures)
    faults = document(project, "scorecard.faults.json")
    assert [one["name"] for one in faults["faults"]] == ["status_500"]
    row = next(one for one in faults["rows"] if (one["framework"], one["hardened"]) == ("x", False))
    assert (row["recovered"], row["passing"], row["ended_well"], row["lasting"]) == (0, 1, 1, 1)
    assert (row["ends"], row["error"]) == ({"stopped": 1, "wrong": 1}, "Boom")
    total = next(one for one in faults["totals"] if one["hardened"])
    assert (total["recovered"], total["beside"]["recovered"], total["layers"]["transport"]["passing"]) == (1, 0, 1)
    text = (project / "SCORECARD.md").read_text()
    assert "| X | 0/1 | – | 0/1 | – | – | 1/1 | 1 | 0 | 0 | – | – | 0 → 1/1 | 0 → – | – |" in text


def test_a_note_on_a_fault_stands_with_the_faults_and_not_among_the_deviations(project: Path) -> None:
    path = project / "implementations" / "x" / "pyproject.toml"
    note = '\n[[tool.bakeoff.deviations]]\nnote = "It gives up (x/y.py:3)."\ndifferences = ["fault:status_500"]\n'
    path.write_text(path.read_text() + note)
    write_all(project, [with_fault("baseline"), with_fault("x", answer="One moment.")])
    score(project)
    [found] = document(project, "scorecard.faults.json")["notes"]
    assert (found["framework"], found["faults"], found["note"]) == ("x", ["status_500"], "It gives up (x/y.py:3).")
    assert "x/y.py:3" not in (project / "SCORECARD.md").read_text()


def test_a_damaged_pack_is_named_and_the_others_are_read(project: Path) -> None:
    write_all(project, [with_fault("baseline"), with_fault("x")])
    pack(project / "traces", "faults")
    (project / "traces" / "faults" / "x" / "tool_calling.jsonl.xz").write_bytes(b"this is none at all")
    card = score(project)
    assert [one.path for one in card.damaged] == ["faults/x/tool_calling.jsonl.xz"]
    assert card.faults is not None and [total.framework for total in card.faults.totals] == ["baseline"]
