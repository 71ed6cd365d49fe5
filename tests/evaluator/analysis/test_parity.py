"""Each class of difference, in runs that are played as the baseline plays them, and then changed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from played import TASKS, Change, Request, changed, offered, played, system

from evaluator.analysis import parity
from evaluator.analysis.parity import Comparison, Observation
from evaluator.catalog.frameworks import Deviation
from evaluator.trace import Trace
from evaluator.wire.tokens import count_tokens


def observed(trace: Trace) -> Observation:
    return parity.observe(trace, TASKS[trace.key.task])


def compared(ours: Trace, theirs: Trace) -> Comparison:
    return parity.compare(observed(ours), observed(theirs))


def names(comparison: Comparison) -> set[str]:
    return {difference.name for difference in comparison.differences}


def of_change(change: Change, task: str = "tool_calling", case: str = "stock-and-quote") -> set[str]:
    run = played(task, case)
    return names(compared(changed(run, change), run)) - parity.INFORMATION


CASES = [
    ("tool_calling", "stock-and-quote"),
    ("tool_calling", "order-status-flaky"),
    ("rag_qa", "gptq-bits"),
    ("handoff", "back-credit-refused"),
]


@pytest.mark.parametrize(("task", "case"), CASES)
def test_the_plain_run_of_a_case_has_no_difference(task: str, case: str) -> None:
    run = played(task, case)
    assert len(run.model_calls) > 1
    comparison = compared(run, run)
    assert names(comparison) == ({"handoff tool"} if task == "handoff" else set())
    assert (comparison.calls, comparison.made) == (len(run.model_calls), len(run.model_calls))


# --- what was sent, beside the spec ----------------------------------------------------------


def question(text: Callable[[str], str]) -> Change:
    def change(request: Request) -> None:
        request["messages"][1]["content"] = text(request["messages"][1]["content"])

    return change


def with_message(**message: Any) -> Change:
    return lambda request: request["messages"].append(message)


def with_parameter(**parameters: Any) -> Change:
    return lambda request: request.update(parameters)


def on_tools(act: Callable[[list[dict[str, Any]]], Any]) -> Change:
    return lambda request: act(request["tools"])


def on_messages(role: str, act: Callable[[dict[str, Any]], Any]) -> Change:
    def change(request: Request) -> None:
        for message in request["messages"]:
            if message["role"] == role:
                act(message)

    return change


def move_instructions(request: Request) -> None:
    first, second, *_ = request["messages"]
    second["content"] = f"{first['content']}\n{second['content']}"
    first["content"] = ""


def on_calls(act: Callable[[dict[str, Any]], Any]) -> Change:
    return on_messages("assistant", lambda message: [act(call) for call in message.get("tool_calls", [])])


def rename_call(call: dict[str, Any]) -> None:
    call["id"] = f"own-{call['id']}"


def rename_calls(request: Request) -> None:
    on_calls(rename_call)(request)
    on_messages("tool", lambda m: m.update(tool_call_id=f"own-{m['tool_call_id']}"))(request)


def drop(*roles: str) -> Change:
    def change(request: Request) -> None:
        request["messages"] = [message for message in request["messages"] if message["role"] not in roles]

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (system(lambda text: f"You are Bob.\n{text}"), {"added system text"}),
        (system(lambda text: text.replace(". ", ".\n")), {"changed instructions: whitespace"}),
        (system(lambda text: text[:-9]), {"missing instructions"}),
        (move_instructions, {"moved instructions", "wrapped question"}),
        (with_message(role="system", content="Be nice."), {"added system text"}),
        (question(lambda text: f"Current task: {text}"), {"wrapped question"}),
        (question(lambda text: text.replace(" ", "  ")), {"changed question: whitespace"}),
        (question(lambda text: text[:-9]), {"missing question", "added message: user"}),
        (drop("user"), {"missing question"}),
        (with_message(role="user", content="Go on."), {"added message: user"}),
        (with_message(role="assistant", content="I think."), {"added message: assistant"}),
        (with_parameter(temperature=0.7), {"changed parameter: temperature"}),
        (lambda request: request.pop("temperature"), {"changed parameter: temperature"}),
        (with_parameter(model="other"), {"changed parameter: model"}),
        (with_parameter(stream=True), {"changed parameter: stream"}),
        (with_parameter(max_tokens=4096), {"changed parameter: max_tokens"}),
        (with_parameter(tool_choice="required"), {"changed parameter: tool_choice"}),
        (with_parameter(stream=False, tool_choice="auto", n=1, stop=None), set()),
        (on_tools(lambda tools: tools.pop(0)), {"missing tool: find_customer"}),
        (on_tools(lambda tools: tools.append(offered("memo", "Take a note.", {}))), {"extra tool: memo"}),
        # No agent of this task hands over, so that is no handoff tool.
        (on_tools(lambda tools: tools.append(offered("handoff_to", "Go.", {}))), {"extra tool: handoff_to"}),
        (on_tools(lambda tools: tools.reverse()), {"changed order of tools"}),
        (on_tools(lambda tools: tools[0]["function"].update(strict=True)), {"changed schema: strict"}),
        (on_messages("user", lambda m: m.update(name="Al")), {"changed message: name"}),
        (on_messages("user", lambda m: m.update(name=None)), set()),
        (
            on_messages("user", lambda m: m.update(content=[{"type": "text", "text": m["content"]}])),
            {"changed message: text in parts"},
        ),
        (on_messages("system", lambda m: m.update(role="developer")), {"changed message: role developer"}),
        (rename_calls, {"changed tool call: id"}),
        (on_calls(lambda call: call["function"].update(arguments="{}")), {"changed tool call: arguments"}),
        (on_calls(lambda call: call["function"].update(name="memo")), None),
        (on_messages("tool", lambda m: m.update(content="42")), {"changed tool result: other content"}),
        (on_messages("tool", lambda m: m.update(tool_call_id="?")), None),
        (drop("tool", "assistant"), {"missing tool result"}),
    ],
)
def test_what_a_framework_may_change(change: Change, expected: set[str] | None) -> None:
    found = of_change(change)
    if expected is None:  # the call and its result do not belong together any more
        expected = found & {"changed tool call: never asked for", "changed tool result: without its call"}
        assert len(expected) == 1
        expected |= {"missing tool result", "moved tool result"} & found
    assert found == expected


def test_a_conversation_that_is_told_in_place_of_sent() -> None:
    def tell(request: Request) -> None:
        results = [message["content"] for message in request["messages"] if message["role"] == "tool"]
        drop("tool", "assistant")(request)
        if results:
            request["messages"].append({"role": "user", "content": f"So far: {results}"})

    assert of_change(tell) == {"moved tool result", "added message: user"}


def test_instructions_that_name_a_tool_as_it_is_offered() -> None:
    def rename(request: Request) -> None:
        request["tools"][0]["function"]["name"] = "search_knowledge_base"

    def rename_throughout(request: Request) -> None:
        rename(request)
        system(lambda text: text.replace("search_guide", "search_knowledge_base"))(request)

    other_tool = {"missing tool: search_guide", "extra tool: search_knowledge_base"}
    assert of_change(rename, "rag_qa", "gptq-bits") == other_tool
    assert of_change(rename_throughout, "rag_qa", "gptq-bits") == {*other_tool, "changed instructions: tool name"}


def test_a_call_with_neither_instructions_nor_tools_of_an_agent() -> None:
    def rewrite(request: Request) -> None:
        request.pop("tools")
        request["messages"] = [{"role": "user", "content": "Rewrite the query."}]

    run = changed(played("tool_calling", "stock-and-quote"), rewrite)
    for step in observed(run).steps:
        assert step.agent is None
        assert [difference.name for difference in step.differences] == ["missing instructions"]
    assert of_change(rewrite) == {"missing instructions"}
    comparison = compared(run, run)
    assert (comparison.calls, comparison.made, comparison.injected) == (0, 2, 0)


TEXT_ADDED = "changed tool result: text added"
OTHER_DOCUMENTS = "changed tool result: other documents"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text, set()),
        (lambda text: text.replace("\n\n[", "\n---\n["), {"changed tool result: text added"}),
        (lambda text: json.dumps({"results": text}, ensure_ascii=False), {"changed tool result: JSON in a text"}),
        (
            lambda text: json.dumps({"id": 7, "text": text}, ensure_ascii=False),
            {"changed tool result: JSON in a text", TEXT_ADDED},
        ),
        (lambda text: str((text,)), {"changed tool result: Python repr"}),
        (lambda text: text.rpartition("\n\n[")[0], {"changed tool result: number of documents", OTHER_DOCUMENTS}),
        (lambda text: text[:40], {"changed tool result: no whole document", OTHER_DOCUMENTS}),
        (
            lambda text: "\n\n".join(reversed(documents_in(text))),
            {"changed tool result: documents in another order"},
        ),
    ],
)
def test_search_results(change: Callable[[str], str], expected: set[str]) -> None:
    act = on_messages("tool", lambda message: message.update(content=change(message["content"])))
    assert of_change(act, "rag_qa", "gptq-bits") == expected


def test_letters_that_are_escaped() -> None:
    run = played("tool_calling", "stock-and-quote")
    city = {"city": "Köln"}
    for call in run.model_calls[0].response["choices"][0]["message"]["tool_calls"]:
        call["function"]["arguments"] = json.dumps(city)
    run.tool_calls[0].result = city

    def change(ensure_ascii: bool) -> Trace:
        text = json.dumps(city, ensure_ascii=ensure_ascii)
        ours = changed(run, on_calls(lambda call: call["function"].update(arguments=text)))
        return changed(
            ours, on_messages("tool", lambda m: m.update(content=text) if "_1" in m["tool_call_id"] else None)
        )

    found = names(compared(change(True), run)) - names(compared(change(False), run))
    assert found == {"changed tool call: letters escaped", "changed tool result: letters escaped"}


def documents_in(text: str) -> list[str]:
    brief = TASKS["rag_qa"].prepare(TASKS["rag_qa"].load()[0]).brief
    return [document.passage for document in brief.documents if document.passage in text]


def test_an_agent_without_a_handoff_tool_and_one_with_anothers_tools() -> None:
    def without(request: Request) -> None:
        request["tools"] = [tool for tool in request["tools"] if "transfer" not in tool["function"]["name"]]

    def with_own_and_others(request: Request) -> None:
        known = {tool["function"]["name"] for tool in request["tools"]}
        if "get_invoice" not in known:
            request["tools"].append(offered("get_invoice", "Get it.", {}))

    assert of_change(without, "handoff", "back-no-outage") == {"missing tool: handoff"}
    assert of_change(with_own_and_others, "handoff", "back-no-outage") == {"extra tool: get_invoice"}


def test_the_instructions_must_be_those_of_the_agent_whose_turn_it_is() -> None:
    run = played("handoff", "back-no-outage")
    first = run.model_calls[0].request["messages"][0]["content"]
    assert of_change(system(lambda _: first), "handoff", "back-no-outage") == {"missing instructions"}


# --- a whole run -----------------------------------------------------------------------------


def test_injected_tokens_by_part() -> None:
    run = played("tool_calling", "stock-and-quote")
    plain = compared(run, run)
    assert plain.injected == sum(plain.parts.values())

    def more_than_plain(change: Change) -> dict[str, int]:
        parts = compared(changed(run, change), run).parts
        return {part: parts[part] - plain.parts[part] for part in parts if parts[part] != plain.parts[part]}

    text = "You are Bob, and you are always in a hurry."
    more = more_than_plain(system(lambda rest: f"{rest}\n\n{text}"))
    # joined to the instructions, the text may take a token more or less than alone
    assert more == {"system text": pytest.approx(2 * count_tokens(text), abs=2 * 2)}
    assert more_than_plain(with_message(role="user", content="Go on.")) == {"user messages": 2 * 3}
    assert more_than_plain(on_tools(lambda tools: tools.append(offered("memo", "Take a note.", {})))).keys() == {
        "extra tools"
    }
    [left_out] = more_than_plain(drop("tool", "assistant")).items()
    assert left_out[0] == "conversation" and left_out[1] < 0


def test_what_the_server_counts_does_not_matter() -> None:
    run = played("tool_calling", "stock-and-quote")
    ours = run.model_copy(deep=True)
    ours.model_calls[0].input_tokens, ours.model_calls[1].input_tokens = 7, None
    assert compared(ours, run) == compared(run, run)


def answer_once_more(run: Trace) -> Trace:
    """The run with its last call made twice."""
    ours = run.model_copy(deep=True)
    ours.model_calls.append(ours.model_calls[-1].model_copy(deep=True))
    return ours


def test_a_call_after_the_answer_is_injected_whole() -> None:
    run = played("handoff", "back-no-outage")
    plain, comparison = compared(run, run), compared(answer_once_more(run), run)
    assert names(comparison) == {"handoff tool", "extra call"}
    assert comparison.calls == comparison.made == plain.calls + 1
    assert comparison.injected - plain.injected == comparison.parts["extra calls"] == run.model_calls[-1].input_tokens


def test_a_call_that_leads_on_after_an_answer_is_a_step_like_any_other() -> None:
    run = played("tool_calling", "stock-and-quote", model="some-model")
    ours = run.model_copy(deep=True)
    silent = ours.model_calls[0].model_copy(deep=True)
    silent.response = {"choices": [{"message": {"role": "assistant", "content": ""}}]}
    silent.start_s = 0.5
    ours.model_calls.insert(0, silent)  # the framework asks again
    assert names(compared(ours, run)) == set()
    assert compared(ours, run).parts["extra calls"] == 0


def test_a_call_that_is_no_agents_cannot_be_compared() -> None:
    run = played("rag_qa", "gptq-bits")
    ours = run.model_copy(deep=True)
    helper = ours.model_calls[0].model_copy(deep=True)
    helper.request = {**helper.request, "messages": [{"role": "user", "content": "Rewrite: x"}], "tools": []}
    helper.response = {"choices": [{"message": {"role": "assistant", "content": "y"}}]}
    helper.start_s = 0.5
    ours.model_calls.insert(0, helper)
    comparison, plain = compared(ours, run), compared(run, run)
    assert names(comparison) == {"missing instructions"}
    assert (comparison.calls, comparison.made) == (plain.calls, plain.made + 1)
    assert comparison.injected == plain.injected


def test_failed_calls_are_no_steps() -> None:
    run = played("tool_calling", "stock-and-quote")
    ours = run.model_copy(deep=True)
    failed = ours.model_calls[0].model_copy(update={"status": 429, "error": "rate limit", "start_s": 0.1})
    ours.model_calls.insert(0, failed)
    comparison = compared(ours, run)
    assert names(comparison) == set()
    assert (comparison.calls, comparison.made) == (2, 3)


def test_a_run_that_leaves_calls_out() -> None:
    run = played("handoff", "back-no-outage")
    cut = run.model_copy(deep=True)
    cut.model_calls.pop()
    assert "fewer calls" in names(compared(cut, run))
    cut.outcome.ended = "error"
    assert "fewer calls" not in names(compared(cut, run))
    cut.outcome.ended, cut.outcome.refused_calls = "answered", 1
    assert "fewer calls" not in names(compared(cut, run))
    routed = run.model_copy(deep=True)
    routed.model_calls.pop(0)
    assert "fewer calls" in names(compared(routed, run))


def test_the_scripted_model_always_makes_the_same_tool_calls() -> None:
    def other(model: str) -> set[str]:
        run = played("tool_calling", "stock-and-quote", model=model)
        ours = run.model_copy(deep=True)
        for call in ours.model_calls[0].response["choices"][0]["message"]["tool_calls"]:
            call["function"]["arguments"] = '{"product_ids": ["P-99"]}'
        return names(compared(ours, run))

    assert other("scripted") - other("some-model") == {"other tool calls"}
    run = played("rag_qa", "gptq-bits")
    ours = run.model_copy(deep=True)
    ours.model_calls = ours.model_calls[-1:]  # the documents are there, and nobody searched
    assert "other tool calls" in names(compared(ours, run))


def test_calls_in_another_order_are_the_same_step() -> None:
    run = played("tool_calling", "stock-and-quote")
    ours = run.model_copy(deep=True)
    ours.model_calls[0].response["choices"][0]["message"]["tool_calls"].reverse()
    assert names(compared(ours, run)) == set()


def test_of_calls_made_at_once_any_may_run_first() -> None:
    run = played("tool_calling", "standard-or-express")
    ours = run.model_copy(deep=True)
    first, second = (n for n, call in enumerate(ours.tool_calls) if call.name == "quote_shipping")
    assert ours.tool_calls[first].arguments != ours.tool_calls[second].arguments
    ours.tool_calls[first], ours.tool_calls[second] = ours.tool_calls[second], ours.tool_calls[first]
    assert names(compared(ours, run)) == set()


def test_arguments_that_a_server_writes_as_data_are_compared_and_counted_as_their_text() -> None:
    run = played("tool_calling", "stock-and-quote")
    ours = run.model_copy(deep=True)

    def as_data(message: dict[str, Any]) -> None:
        for call in message.get("tool_calls") or []:
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])

    for call in ours.model_calls:
        as_data(call.response["choices"][0]["message"])
        for message in call.request["messages"]:
            as_data(message)
    assert names(compared(ours, run)) == set()
    assert compared(ours, run).injected == compared(run, run).injected


def test_a_streamed_run() -> None:
    run = played("tool_calling", "stock-and-quote")
    ours = run.model_copy(deep=True)
    for call in ours.model_calls:
        message = call.response["choices"][0]["message"]
        deltas = [{"content": message.get("content")}]
        for index, one in enumerate(message.get("tool_calls") or []):
            head, tail = one["function"]["arguments"][:5], one["function"]["arguments"][5:]
            function = {"name": one["function"]["name"], "arguments": head}
            deltas.append({"tool_calls": [{"index": index, "id": one["id"], "function": function}]})
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": tail}}]})
        call.response = [{"choices": [{"delta": delta}]} for delta in deltas]
    assert names(compared(ours, run)) == set()


def test_a_baseline_is_needed_for_nothing_but_what_searches_find() -> None:
    run = played("rag_qa", "gptq-bits")
    cut = on_messages("tool", lambda message: message.update(content=message["content"].rpartition("\n\n[")[0]))
    ours = changed(run, cut)
    alone, beside = parity.compare(observed(ours)), compared(ours, run)
    assert names(beside) - names(alone) == {OTHER_DOCUMENTS}
    assert (alone.injected, alone.parts, alone.calls) == (beside.injected, beside.parts, beside.calls)


# --- all runs --------------------------------------------------------------------------------


def summary(*deviations: Deviation) -> parity.Parity:
    first, second = played("tool_calling", "stock-and-quote"), played("tool_calling", "order-status-flaky")
    text = "Be nice."
    ours = changed(first, system(lambda rest: f"{rest}\n\n{text}"))
    comparisons = [compared(ours, first), compared(second, second)]
    return parity.summarise(comparisons, list(enumerate(deviations, start=7)))


def test_a_finding_over_all_runs() -> None:
    found = summary()
    [finding] = found.findings
    assert (finding.name, finding.runs, finding.example, finding.deviations) == ("added system text", 1, "Be nice.", ())
    assert (found.runs, found.cases) == (2, {"stock-and-quote", "order-status-flaky"})
    calls = sum(len(played("tool_calling", case).model_calls) for case in found.cases)
    assert found.calls == calls
    assert finding.tokens_per_call == pytest.approx(2 * count_tokens("Be nice.") / calls)
    assert found.injected_per_call == pytest.approx(sum(found.parts_per_call.values()))
    assert found.unexplained == [finding] and found.explained == []


@pytest.mark.parametrize(
    ("deviation", "explained", "stale"),
    [
        (Deviation(note="n", differences=("added system text",)), True, []),
        (Deviation(task="tool_calling", note="n", differences=("added *",)), True, []),
        (Deviation(task="handoff", note="n", differences=("added *",)), False, [(7, "added *")]),
        (Deviation(note="n", differences=("added", "added system text: *")), False, [7, 7]),
        (Deviation(note="n", differences=("conformance: unicode",)), False, []),
        (Deviation(note="n"), False, []),
    ],
)
def test_what_a_deviation_explains(deviation: Deviation, explained: bool, stale: list[Any]) -> None:
    found = summary(deviation)
    [finding] = found.findings
    assert finding.explained is explained
    assert finding.deviations == ((7,) if explained else ())
    patterns = parity.stale([found], [(7, deviation)])
    assert len(patterns) == len(stale)
    assert all(number == 7 and pattern in deviation.differences for number, pattern in patterns)


def test_the_result_does_not_depend_on_the_order_of_the_runs() -> None:
    runs = [played("tool_calling", case) for case in ("two-orders", "stock-and-quote", "new-order")]
    comparisons = [compared(changed(run, system(lambda text: f"A\n{text}")), run) for run in runs]
    assert parity.summarise(comparisons) == parity.summarise(comparisons[::-1])


def test_a_handoff_tool_needs_no_explanation() -> None:
    run = played("handoff", "back-no-outage")
    found = parity.summarise([compared(run, run)])
    assert [finding.name for finding in found.findings] == ["handoff tool"]
    assert found.unexplained == [] and found.explained == []


def test_requests_that_are_none_raise() -> None:
    run = played("tool_calling", "stock-and-quote")
    run.model_calls[0].request = "no request"
    with pytest.raises(AttributeError):
        observed(run)
