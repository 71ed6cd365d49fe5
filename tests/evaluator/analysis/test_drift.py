"""What a framework sends differently, from runs that are played here and then changed as a new release might."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from factories import model_call
from played import TASKS, Change, Request, changed, played, system

from evaluator.analysis.drift import Change as Drifted
from evaluator.analysis.drift import Drift, as_data, drift, in_words
from evaluator.trace import RunOutcome, Trace
from evaluator.wire.tokens import count_prompt_tokens, count_tokens
from tasks.tool_calling.grade import gold
from tasks.tool_calling.spec import ToolCallingCase

CASES = ("stock-and-quote", "order-status-flaky", "thanks")


@pytest.fixture(scope="module")
def runs() -> list[Trace]:
    """Runs of three cases, which pass."""
    return [passing(played("tool_calling", case)) for case in CASES]


def passing(run: Trace) -> Trace:
    case = ToolCallingCase.model_validate(run.case)
    outcome = RunOutcome(ended="answered", answer=case.answer, final_state=gold(case).final_state)
    return run.model_copy(update={"outcome": outcome})


def of(runs: list[Trace], change: Change, version: str = "1.1") -> Drift:
    """What is found where every request is changed."""
    return drift(runs, [new(changed(run, change), version) for run in runs], TASKS)


def new(run: Trace, version: str = "1.1") -> Trace:
    return run.model_copy(update={"setup": run.setup.model_copy(update={"framework_version": version})})


def the_only(found: Drift) -> Drifted:
    [change] = found.changes
    return change


def calls_of(runs: list[Trace]) -> int:
    return sum(len(run.model_calls) for run in runs)


def on_messages(role: str, act: Callable[[dict[str, Any]], Any]) -> Change:
    def change(request: Request) -> None:
        for message in request["messages"]:
            if message["role"] == role:
                act(message)

    return change


def test_what_is_the_same_is_said_to_be(runs: list[Trace]) -> None:
    found = drift(runs, [new(run) for run in runs], TASKS)
    assert found.changes == () and (found.broken, found.mended) == (0, 0)
    assert (found.version_before, found.version_after) == ("1.0", "1.1")
    tokens = sum(count_prompt_tokens(call.request) for run in runs for call in run.model_calls)
    assert found.before == found.after
    assert (found.after.runs, found.after.calls, found.after.all) == (3, calls_of(runs), tokens)
    first, *_ = in_words(found, "X")
    a_call, a_run = tokens / calls_of(runs), tokens / 3
    assert first == f"**X 1.0 → 1.1**: sends the same, {a_call:,.0f} tokens a call and {a_run:,.0f} a run"


def test_two_more_lines_of_system_text(runs: list[Trace]) -> None:
    more = "\n\nBe brief.\nNever guess."
    found = of(runs, system(lambda text: text + more))
    change = the_only(found)
    assert (change.part, change.what) == ("system text", "3 lines added")
    assert (change.runs, change.calls) == ({"tool_calling": 3}, calls_of(runs))
    assert change.example.lines[-3:] == ("+", "+Be brief.", "+Never guess.")
    assert (change.example.key.case, change.example.call) == (sorted(CASES)[0], 1)
    more_a_call = found.after.a_call - found.before.a_call
    assert more_a_call == pytest.approx(count_tokens("a" + more) - count_tokens("a"), abs=1)
    assert change.tokens == pytest.approx(more_a_call)
    assert found.before.injected is not None and found.after.injected is not None
    assert found.after.injected - found.before.injected == pytest.approx(more_a_call)
    words = in_words(found)
    assert f"became {found.after.a_call:,.0f} (+{more_a_call:.0f})" in words[0] and "system text +" in words[0]
    assert "All ended as before." in words[2]
    assert any("system text" in line and "in all 3 runs" in line and line.endswith("[1]") for line in words)
    assert words[-1] == "```" and "+Be brief." in words and "```diff" in words


def test_texts_that_belong_to_a_case_do_not_tell_changes_apart(runs: list[Trace]) -> None:
    wrap = on_messages("user", lambda message: message.update(content=f"Task: {message['content']}"))
    change = the_only(of(runs, wrap))
    assert (change.part, change.what) == ("user messages", "1 line changed")
    assert change.runs == {"tool_calling": 3}


def test_results_of_all_tools_that_are_written_otherwise_are_one_change(runs: list[Trace]) -> None:
    def spelled(message: dict[str, Any]) -> None:
        if message["content"].startswith(("{", "[")):
            message["content"] = str(json.loads(message["content"]))

    change = the_only(of(runs, on_messages("tool", spelled)))
    assert (change.part, change.what) == ("tool results", "Python repr in place of plain JSON")
    assert change.tools == ("check_stock", "get_order", "quote_shipping") and change.runs == {"tool_calling": 2}


def test_results_that_say_more_are_one_change_a_tool(runs: list[Trace]) -> None:
    found = of(runs, on_messages("tool", lambda message: message.update(content=f"Done.\n{message['content']}")))
    assert ("tool results", "text added in place of plain JSON") in {(one.part, one.what) for one in found.changes}


def test_what_a_tool_gave_otherwise_is_no_drift_and_what_was_told_otherwise_is(runs: list[Trace]) -> None:
    def other(message: dict[str, Any]) -> None:
        message["content"] = message["content"].replace("EUR", "USD")

    told = [new(changed(run, on_messages("tool", other))) for run in runs]
    assert {change.what for change in drift(runs, told, TASKS).changes} == {"told otherwise"}
    for run in told:
        for call in run.tool_calls:
            call.result = json.loads(json.dumps(call.result).replace("EUR", "USD"))
    assert drift(runs, told, TASKS).changes == ()


def test_a_tool_that_has_another_name_one_that_went_and_one_that_came(runs: list[Trace]) -> None:
    def rename(request: Request) -> None:
        request["tools"][0]["function"]["name"] = "renamed"

    found = of(runs, rename)
    change = the_only(found)
    assert (change.part, change.what, len(change.tools)) == ("tools", "has another name now, `renamed`", 1)

    def replace(request: Request) -> None:
        function = {"name": "think", "description": "Think.", "parameters": {"type": "object"}}
        request["tools"][0] = {"type": "function", "function": function}

    found = of(runs, replace)
    assert {change.what for change in found.changes} == {"no longer offered", "offered now"}
    assert all(change.runs == {"tool_calling": 3} for change in found.changes)
    assert next(change for change in found.changes if change.what == "offered now").tools == ("think",)


def test_what_changes_in_all_tools_alike_is_one_change(runs: list[Trace]) -> None:
    def act(request: Request) -> None:
        for tool in request["tools"]:
            tool["function"]["strict"] = True
            tool["function"]["description"] += "\n"

    found = of(runs, act)
    whats = {change.what: change for change in found.changes}
    assert {*whats} == {"strict now", "the description changed: whitespace"}
    offered = {tool["function"]["name"] for run in runs for call in run.model_calls for tool in call.request["tools"]}
    assert {*whats["strict now"].tools} == offered
    [line] = [line for line in in_words(found) if "strict now" in line]
    assert f"and {len(offered) - 4} more" in line


def test_a_schema_that_says_something_else(runs: list[Trace]) -> None:
    def no_longer_required(request: Request) -> None:
        request["tools"][0]["function"]["parameters"].pop("required", None)

    [change] = of(runs, no_longer_required).changes
    assert change.what == "the schema changed: required" and "→ none" in change.example.detail

    def written_otherwise(request: Request) -> None:
        request["tools"][0]["function"]["parameters"]["additionalProperties"] = True

    assert the_only(of(runs, written_otherwise)).what == "the schema is written otherwise and says the same"


def test_parameters_that_came_went_and_changed(runs: list[Trace]) -> None:
    def act(request: Request) -> None:
        del request["temperature"]
        request |= {"tool_choice": "auto", "model": "other"}

    found = of(runs, act)
    assert {(change.what, change.example.detail) for change in found.changes} == {
        ("`temperature` is no longer sent", "0.0"),
        ("`tool_choice` is sent now", '"auto"'),
        ('`model` changed from `"scripted"` to `"other"`', ""),
    }
    assert "tokens a call as before" in in_words(found)[0]


def test_further_fields_and_how_no_text_is_written(runs: list[Trace]) -> None:
    def act(message: dict[str, Any]) -> None:
        message |= {"name": message["tool_call_id"], "role": "tool"}

    change = the_only(of(runs, on_messages("tool", act)))
    assert (change.part, change.what) == ("tool results", "`name` was added")
    empty = on_messages("assistant", lambda message: message.update(content=message.get("content") or ""))
    assert {change.part for change in of(runs, empty).changes} == {"assistant messages"}
    developer = on_messages("system", lambda message: message.update(role="developer"))
    change = the_only(of(runs, developer))
    assert (change.what, change.example.detail) == ("`role` became another", "'system' became 'developer'")


def test_one_call_more(runs: list[Trace]) -> None:
    after = [new(run.model_copy(deep=True)) for run in runs]
    request = {"model": "scripted", "messages": [{"role": "user", "content": "Plan first."}]}
    after[0].model_calls.insert(0, model_call(0, 0, 0.1, 0.1, request=request, response={}))
    found = drift(runs, after, TASKS)
    change = the_only(found)
    assert (change.part, change.what, change.runs) == ("model calls", "1 more", {"tool_calling": 1})
    assert change.tokens == count_tokens("Plan first.")
    assert change.example.lines == ("+user messages: Plan first.",)
    assert found.after.calls == found.before.calls + 1
    back = the_only(drift(after, runs, TASKS))
    assert (back.what, back.tokens) == ("1 fewer", -count_tokens("Plan first."))


def test_a_run_that_passed_and_ends_with_an_error(runs: list[Trace]) -> None:
    after = [new(run.model_copy(deep=True)) for run in runs]
    error = "TypeError: run() got an unexpected keyword `[x]`"
    after[0].outcome = RunOutcome(ended="error", answer="", error=error)
    after[0].model_calls = []
    found = drift(runs, after, TASKS)
    change = the_only(found)
    assert (change.part, change.what, change.example.detail) == ("outcome", "no longer passed", error)
    assert (found.broken, found.mended, found.after.runs) == (1, 0, 2)
    words = in_words(found)
    assert words[2].endswith("1 run no longer passed.")
    assert f"(`` {error} ``), in 1 of 3 runs of tool_calling" in words[4]
    assert drift(after, runs, TASKS).mended == 1
    back = the_only(drift(after, runs, TASKS))
    assert (back.what, back.example.detail) == ("passed now, and did not before", error)


def test_ids_uuids_times_and_the_order_of_keys_are_no_drift(runs: list[Trace]) -> None:
    def act(request: Request) -> None:
        request |= {"messages": json.loads(json.dumps(request["messages"]).replace('"call_', '"toolu_'))}
        request["messages"] = [dict(reversed(message.items())) for message in request["messages"]]
        request["messages"][0]["content"] += "\nToday is 2026-11-02. Session 6fa459ea-ee8a-4ca4-894e-db77e160355e."

    def other(request: Request) -> None:
        text = request["messages"][0]["content"].replace("2026-11-02", "2026-12-24")
        request["messages"][0]["content"] = text.replace("6fa459ea", "7fa459ea")

    before = [changed(run, act) for run in runs]
    assert drift(before, [changed(run, other) for run in before], TASKS).changes == ()


def test_calls_and_results_at_the_same_time_may_come_in_any_order(runs: list[Trace]) -> None:
    [run] = [run for run in runs if run.key.case == "stock-and-quote"]
    assert len(run.model_calls) > 1
    swapped = run.model_copy(deep=True)
    swapped.model_calls[0].start_s, swapped.model_calls[1].start_s = 11.0, 1.0
    assert drift([run], [swapped], TASKS).changes == ()
    louder = [changed(one, system(lambda text: f"{text} Hurry.")) for one in (run, swapped)]
    assert {change.part for change in drift([run], [louder[1]], TASKS).changes} == {"system text"}

    def two_results(order: int) -> Change:
        results = [{"role": "tool", "tool_call_id": f"id-{n}", "content": f"Result {n}"} for n in (1, 2)][::order]
        calls = [{"id": f"id-{n}", "type": "function", "function": {"name": "look", "arguments": "{}"}} for n in (1, 2)]
        said = {"role": "assistant", "content": None, "tool_calls": calls}
        return lambda request: request["messages"].extend(json.loads(json.dumps([said, *results])))

    assert drift([changed(run, two_results(1))], [changed(run, two_results(-1))], TASKS).changes == ()


def test_embeddings(runs: list[Trace]) -> None:
    def with_embeddings(run: Trace, *requests: dict[str, Any]) -> Trace:
        run = run.model_copy(deep=True)
        run.model_calls += [
            model_call(500, 500, 501, 501, operation="embeddings", request=request) for request in requests
        ]
        return run

    before = [with_embeddings(run, {"input": ["a"], "dimensions": 384}) for run in runs]
    after = [with_embeddings(run, {"input": ["a"]}, {"input": ["b"]}) for run in runs]
    found = drift(before, after, TASKS)
    assert {(change.part, change.what) for change in found.changes} == {
        ("embeddings", "1 more calls"),
        ("embeddings", "parameter dimensions was left out"),
        ("embeddings", "other texts are embedded"),
    }


def test_runs_without_a_counterpart_and_those_that_the_harness_ended_are_left_out(runs: list[Trace]) -> None:
    ended = runs[1].model_copy(
        update={"outcome": RunOutcome(ended="error", answer="", error="no room", fault="machine")}
    )
    found = drift(runs, [runs[0], ended], TASKS)
    assert (found.runs, found.only_before, found.only_after, found.changes) == ({"tool_calling": 1}, 2, 0, ())
    assert "2 runs from before had no counterpart" in in_words(found)[2]


def test_texts_of_a_framework_are_no_markup(runs: list[Trace]) -> None:
    found = of(runs, system(lambda text: f"{text}\n```\n<b>\x1b[31m"))
    words = in_words(found)
    assert "````diff" in words and words[-1] == "````"
    assert not any("\x1b" in line for line in words)
    assert json.loads(json.dumps(as_data(found)))["changes"][0]["what"] == "2 lines added"


def test_of_many_changes_of_one_part_the_first_are_told() -> None:
    run = played("tool_calling", "thanks")

    def act(request: Request) -> None:
        request |= {f"p{number}": number for number in range(20)}

    lines = [line for line in in_words(of([run], act)) if line.startswith("- ")]
    assert len(lines) == 9 and lines[-1] == "- **parameters**: 12 more changes, each in fewer runs"


def test_where_the_model_asked_for_other_tools_what_follows_from_that_is_not_told(runs: list[Trace]) -> None:
    [run] = [run for run in runs if run.key.case == "stock-and-quote"]
    other = new(run.model_copy(deep=True))
    for call in other.model_calls:
        text = json.dumps([call.request["messages"], call.response]).replace('"check_stock"', '"get_order"')
        call.request["messages"], call.response = json.loads(text)
        call.request["seed"] = 1
    found = drift([run], [other], TASKS)
    [course, seed] = found.changes
    assert (course.part, course.what) == ("conversation", "the model asked for other tools")
    assert course.example.lines == ("-check_stock, quote_shipping", "+get_order, quote_shipping")
    assert (seed.what, seed.calls) == ("`seed` is sent now", len(run.model_calls))


def test_messages_of_tools_that_are_left_out_are_one_change_of_each_part(runs: list[Trace]) -> None:
    def forgetful(request: Request) -> None:
        request["messages"] = [message for message in request["messages"] if '"id-0"' not in json.dumps(message)]

    def with_more(request: Request) -> None:
        call = {"id": "id-0", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        request["messages"][2:2] = [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "id-0", "content": "Looked."},
        ]

    before = [changed(run, with_more) for run in runs]
    found = drift(before, [changed(run, forgetful) for run in before], TASKS)
    assert {(change.part, change.what, change.tools) for change in found.changes} == {
        ("assistant messages", "one less", ("look",)),
        ("tool results", "one less", ("look",)),
    }
