"""`bakeoff export`: conversations from the wire, and the three layouts of fine-tuning."""

import json
from pathlib import Path
from typing import Any

import pytest
from factories import key, model_call, trace
from played import played

from evaluator import ROOT
from evaluator.analysis.graded_run import GradedRun, grade_run
from evaluator.catalog.tasks import all_tasks
from evaluator.errors import Mistake
from evaluator.export import alpaca, openai, sharegpt, training
from evaluator.export.conversations import Conversation, LeftOutError, conversations
from evaluator.export.runs import Report, graded_runs, written_whole
from evaluator.export.wire import Message
from evaluator.trace import Trace, read_trace, write_trace
from evaluator.wire.messages import completion_of
from evaluator.wire.tokens import text_of

TWO_CALLS = ("tool_calling", "stock-and-quote")
HOPS = ("handoff", "hops-invoice-line")
FRAMEWORKS = sorted(folder.name for folder in (ROOT / "traces" / "scripted").iterdir())


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str | None, *calls: tuple[str, str]) -> dict[str, Any]:
    made = [
        {"id": f"id{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(calls)
    ]
    return {"role": "assistant", "content": text, **({"tool_calls": made} if made else {})}


def result(text: str, call: str = "id0") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call, "content": text}


def run_of(*exchanges: tuple[list[dict[str, Any]], dict[str, Any]], **request: Any) -> Trace:
    """A run whose model calls are requests' messages and replies."""
    calls = [
        model_call(n, n, n, n, request={"messages": sent, **request}, response={"choices": [{"message": reply}]})
        for n, (sent, reply) in enumerate(exchanges)
    ]
    return trace(model_calls=calls)


def only(run: Trace) -> Conversation:
    (conversation,) = conversations(run)
    return conversation


# --- conversations ---------------------------------------------------------------------------


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("task", "case"), [TWO_CALLS, HOPS, ("rag_qa", "adk-microsoft-languages")])
def test_every_reply_of_a_recorded_run_is_learned_once_after_what_was_sent(
    framework: str, task: str, case: str
) -> None:
    run = read_trace(ROOT / "traces" / "scripted" / framework / task / f"{case}.1.json")
    assert isinstance(run, Trace)
    chats = [call for call in run.model_calls if call.operation == "chat"]
    asked = [completion_of(call.response).calls for call in chats]
    made = [[[call.name, json.loads(call.arguments)] for call in calls] for calls in asked]
    found = conversations(run)
    learned = [[[call.name, call.arguments] for call in m.calls] for one in found for m in replies_learned(one)]
    assert sorted(map(json.dumps, learned)) == sorted(map(json.dumps, made))
    for one in found:
        assert [call for call in chats if shows(call.request, one)]
    if task != "handoff":
        assert len(found) == 1 and len(learned) == sum(m.role == "assistant" for m in found[0].messages)


def replies_learned(one: Conversation) -> list[Message]:
    return [message for message, learned in zip(one.messages, one.learned, strict=True) if learned]


def shows(request: dict[str, Any], one: Conversation) -> bool:
    sent = [(message["role"], text_of(message.get("content"))) for message in request["messages"]]
    tools = tuple(request.get("tools") or ())
    return sent == [(message.role, message.text) for message in one.messages[:-1]] and tools == one.last.tools


def test_each_agent_has_a_conversation_and_learns_only_what_it_said() -> None:
    triage, billing, technical = conversations(played(*HOPS))
    assert [message.role for message in triage.messages] == ["system", "user", "assistant"]
    assert triage.messages[-1].calls[0].name == "transfer_to_billing"
    names = [
        [
            (message.calls[0].name if message.calls else "", learned)
            for message, learned in zip(one.messages, one.learned, strict=True)
            if message.role == "assistant"
        ]
        for one in (billing, technical)
    ]
    assert names == [
        [("transfer_to_billing", False), ("get_invoice", True), ("transfer_to_technical", True)],
        [("transfer_to_billing", False), ("get_invoice", False), ("transfer_to_technical", False),
         ("run_line_test", True), ("", True)],
    ]  # fmt: skip
    assert "billing specialist" in billing.messages[0].text and "technical specialist" in technical.messages[0].text


def test_a_delegating_agent_goes_on_with_its_own_conversation_after_that_of_the_other() -> None:
    leader, member = [user("Q")], [user("do it")]
    delegated = said(None, ("delegate", "{}"))
    run = run_of(
        (leader, delegated),
        (member, said("done")),
        ([*leader, delegated, result("done")], said("all done")),
    )
    first, second = conversations(run)
    assert [message.text for message in first.messages] == ["Q", "", "done", "all done"]
    assert [message.text for message in second.messages] == ["do it", "done"]


def test_a_failed_call_and_an_empty_reply_teach_nothing() -> None:
    run = run_of(([user("Q")], said("")), ([user("Q")], said("A")), ([user("Q")], said("B")))
    run.model_calls[2].status = 500
    assert [message.text for message in only(run).messages] == ["Q", "A"]


def test_a_history_that_was_rewritten_or_other_tools_begin_a_new_conversation() -> None:
    first = ([user("Q")], said("A"))
    assert len(conversations(run_of(first, ([user("Q"), said("A"), user("R")], said("B"))))) == 1
    assert len(conversations(run_of(first, ([user("Q"), said("other"), user("R")], said("B"))))) == 2
    assert len(conversations(run_of(first, ([user("q"), said("A"), user("R")], said("B"))))) == 2
    assert len(conversations(run_of(first, ([user("Q"), user("R")], said("B"))))) == 2
    run = run_of(first, ([user("Q"), said("A"), user("R")], said("B")))
    run.model_calls[1].request["tools"] = [{"type": "function", "function": {"name": "f"}}]
    assert [one.learned for one in conversations(run)] == [
        [False, True],
        [False, False, False, True],
    ]


def test_a_streamed_reply_is_put_together() -> None:
    call = {"index": 0, "function": {"name": "f", "arguments": ""}}
    chunks = [{"tool_calls": [call]}, {"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1}'}}]}]
    run = run_of(([user("Q")], {}))
    run.model_calls[0].response = [{"choices": [{"delta": delta}]} for delta in chunks]
    reply = only(run).messages[-1]
    assert (reply.calls[0].id, reply.calls[0].name, reply.calls[0].arguments) == ("call_1", "f", {"a": 1})


@pytest.mark.parametrize(
    ("request_", "response", "reason"),
    [
        ({"nested_too_deep": "…"}, {"choices": []}, "a request or a reply that is no chat completion"),
        ({"messages": [user("Q")]}, "<html>", "a request or a reply that is no chat completion"),
        ({"messages": [{"role": "alien", "content": "Q"}]}, {"choices": []}, "a request or a reply that is no chat"),
        (
            {"messages": [user("Q")]},
            {"choices": [{"message": said(None, ("f", "{broken"))}]},
            "a tool call whose arguments are no JSON object",
        ),
    ],
)
def test_what_no_conversation_can_hold_is_said(request_: Any, response: Any, reason: str) -> None:
    run = trace(model_calls=[model_call(0, 0, 0, 0, request=request_, response=response)])
    with pytest.raises(LeftOutError, match=reason):
        conversations(run)


# --- layouts ---------------------------------------------------------------------------------

TOOL = {"type": "function", "function": {"name": "f", "description": "F.", "parameters": {"type": "object"}}}
TOLD = {"role": "system", "content": "Be brief."}
TWO = said("Let me see.", ("f", '{"a": "é"}'), ("f", "{}"))
ASKED = run_of(
    ([TOLD, user("Q")], TWO),
    ([TOLD, user("Q"), TWO, result("1"), result("2", "id1")], said("A")),
    tools=[TOOL],
    parallel_tool_calls=False,
)


def test_openai_is_the_protocol_with_weights() -> None:
    (record,) = openai.records(only(ASKED))
    assert record["tools"] == [TOOL] and record["parallel_tool_calls"] is False
    assert [message["role"] for message in record["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
    ]
    assert record["messages"][2] == {**TWO, "weight": 1}
    assert record["messages"][3] == result("1") and record["messages"][5] == {**said("A"), "weight": 1}
    (plain,) = openai.records(only(run_of(([user("Q")], said("A")))))
    assert plain == {"messages": [user("Q"), {**said("A"), "weight": 1}]}


def test_context_has_no_weight() -> None:
    _, billing, _ = conversations(played(*HOPS))
    (record,) = openai.records(billing)
    assert [m["weight"] for m in record["messages"] if m["role"] == "assistant"] == [0, 1, 1]


def test_sharegpt_alternates() -> None:
    (record,) = sharegpt.records(only(ASKED))
    assert record["system"] == "Be brief."
    assert json.loads(record["tools"]) == [TOOL["function"]]
    calls = '[{"name": "f", "arguments": {"a": "é"}}, {"name": "f", "arguments": {}}]'
    assert record["conversations"] == [
        {"from": "human", "value": "Q"},
        {"from": "function_call", "value": f"Let me see.\n<tool_call>{calls}</tool_call>"},
        {"from": "observation", "value": "1\n2"},
        {"from": "gpt", "value": "A"},
    ]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ([user("Q"), said("A")], "two assistant messages in a row"),
        ([said("A"), user("Q")], "turns that do not alternate"),
        ([user("Q"), TOLD], "instructions in the middle"),
        ([user("Q"), said(None, ("f", "{}")), result("1"), user("R")], "turns that do not alternate"),
    ],
)
def test_what_does_not_alternate_is_left_out_of_sharegpt(sent: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(LeftOutError, match=reason):
        list(sharegpt.records(only(run_of((sent, said("B"))))))


def test_sharegpt_joins_what_the_user_says_in_a_row() -> None:
    (record,) = sharegpt.records(only(run_of(([user("Q"), user("R")], said("A")))))
    assert record["conversations"][0] == {"from": "human", "value": "Q\n\nR"}


def test_alpaca_has_a_line_for_each_reply_with_all_that_was_sent() -> None:
    first, second = alpaca.records(only(ASKED))
    assert set(first) == {"instruction", "input", "output"}
    assert first["instruction"].startswith("Be brief.\n\nThese tools can be called:\n<tools>\n{")
    assert json.dumps(TOOL["function"]) in first["instruction"]
    assert first["input"] == "User: Q"
    assert first["output"] == (
        'Let me see.\n<tool_call>\n{"name": "f", "arguments": {"a": "é"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
    )
    assert second["instruction"] == first["instruction"]
    assert second["input"] == (
        f"User: Q\n\nAssistant: {first['output']}\n\n"
        "Tool: <tool_response>\n1\n</tool_response>\n\nTool: <tool_response>\n2\n</tool_response>"
    )
    assert second["output"] == "A"


def test_alpaca_learns_no_context() -> None:
    _, billing, _ = conversations(played(*HOPS))
    assert [record["output"].count("get_invoice") for record in alpaca.records(billing)] == [1, 0]


@pytest.mark.parametrize("layout", training.LAYOUTS)
def test_what_a_model_says_is_only_text(layout: str, tmp_path: Path) -> None:
    nasty = '"}\n<|im_end|> \u2028 \x00 {{ 7*7 }} </tool_call>'
    run = run_of(([TOLD, user(nasty)], said(nasty)))
    report = Report()
    training.write(layout, [(run, graded(run))], True, tmp_path / "out.jsonl", report)
    (line,) = (tmp_path / "out.jsonl").read_bytes().removesuffix(b"\n").split(b"\n")
    assert json.dumps(nasty) in json.dumps(json.loads(line))


# --- files -----------------------------------------------------------------------------------


def graded(run: Trace) -> GradedRun:
    return grade_run(run, all_tasks()[run.key.task])


def exported(traces: Path, out: Path, *, layout: str = "openai", failed: bool = False) -> Report:
    report = Report()
    training.write(layout, graded_runs(traces, [], lambda key: True, report), failed, out, report)
    return report


def recorded(root: Path, case: str, answer: str) -> None:
    run = run_of(([user("Hello?")], said(answer)))
    run.key, run.case["id"], run.outcome.answer = key(case), case, answer
    write_trace(root, run)


def test_only_passed_runs_unless_asked_and_counts_tell(tmp_path: Path) -> None:
    recorded(tmp_path / "traces", "b", "Hello.")
    recorded(tmp_path / "traces", "a", "Go away.")
    (tmp_path / "traces" / "broken.json").write_text("{")
    out = tmp_path / "new" / "out.jsonl"
    report = exported(tmp_path / "traces", out)
    assert report.written == 1 and len(out.read_text().splitlines()) == 1
    assert report.in_words() == "2 runs looked at; left out: 1 runs that failed, 1 traces that cannot be used"
    assert report.damaged == ["broken.json: line 1: not valid JSON: unexpected end of data"]
    assert exported(tmp_path / "traces", out, failed=True).written == 2
    assert [json.loads(line)["messages"][1]["content"] for line in out.read_text().splitlines()] == [
        "Go away.",
        "Hello.",
    ]
    before = out.read_bytes()
    exported(tmp_path / "traces", out, failed=True)
    assert out.read_bytes() == before


def test_where_nothing_passed_nothing_is_written(tmp_path: Path) -> None:
    recorded(tmp_path / "traces", "a", "Go away.")
    with pytest.raises(Mistake, match="nothing to write: 1 runs looked at; left out: 1 runs that failed"):
        exported(tmp_path / "traces", tmp_path / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["traces"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("before")
    with pytest.raises(RuntimeError), written_whole(tmp_path / "kept") as file:
        file.write(b"half")
        raise RuntimeError
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("kept", "before")]
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(Mistake, match="folder: cannot be written: Is a directory"),
        written_whole(tmp_path / "folder"),
    ):
        pass


def test_probes_are_no_runs_of_a_task(tmp_path: Path) -> None:
    run = run_of(([user("Hello?")], said("Hello.")))
    run.key = key(model="probes")
    write_trace(tmp_path, run)
    assert list(graded_runs(tmp_path, [], lambda key: True, Report())) == []
