"""The canonical request, written out here by hand for a task of two agents with one small tool each."""

import json
from pathlib import Path
from typing import Any

import pytest
from factories import model_call, setup, tool_call

from evaluator.analysis import parity
from evaluator.analysis.parity.canonical import Handover
from evaluator.catalog.tasks import Task
from evaluator.trace import Key, Resources, RunOutcome, Trace, TracedToolCall
from evaluator.wire.tokens import count_tokens
from tasks.base import Prepared
from tasks.cases import Case, Script
from tasks.grading import Grade
from tasks.wire import Agent, OnTheWire, SearchTool

PASSAGES = {"a": "[a] A\nOne.", "b": "[b] B\nTwo.", "c": "[c] C\nThree."}


FOUND = "[b] B\nTwo.\n[a] A\nOne."


def ring(times: int = 1) -> str:
    """Ring."""
    return "ding " * times


FRONT = Agent("front", "Be brief.", (ring,), "", ("back",))
BACK = Agent("back", "Help.", (ring,), "Knows all.")
FINDER = Agent("finder", "Find.", (SearchTool("find", "Find it."),))


def task_of(*agents: Agent, passages: dict[str, str] | None = None) -> Task:
    """A task with these agents, whose cases are questions."""
    return Task(
        name="tiny",
        folder=Path("tiny"),
        case_type=Case,
        load=list,
        prepare=lambda case: Prepared(brief=case, final_state=dict),
        script=lambda case: Script(answer=case.answer),
        grade=lambda case, outcome: Grade(passed=True, score=1, reasons=[], kinds=[]),
        on_the_wire=lambda brief: OnTheWire(brief.question, agents, passages or {}, k=2),
    )


def asks(id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def called(*calls: dict[str, Any], text: str | None = None) -> dict[str, Any]:
    return {"role": "assistant", "content": text, "tool_calls": list(calls)}


def told(id: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": text}


def system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


USER = {"role": "user", "content": "Hi"}
RING = '{"type":"function","function":{"name":"ring","description":"Ring.","parameters":{"properties":{"times":'
RING += '{"default":1,"type":"integer"}},"type":"object"}}}'
TO_BACK = '{"type":"function","function":{"name":"handoff_to_back","description":"Knows all."}}'


def run(
    task: Task, calls: list[tuple[list[dict[str, Any]], str, dict[str, Any]]], tools: list[TracedToolCall] | None = None
) -> Trace:
    """A run of chat calls, each with messages, the tools offered as JSON, and the reply; one every ten seconds."""
    made = []
    for number, (messages, offered, reply) in enumerate(calls):
        request = {"model": "m", "temperature": 0.0, "messages": messages, "tools": json.loads(offered)}
        response = {"choices": [{"message": reply}]}
        start_s = 10.0 * number
        made.append(model_call(start_s, start_s, start_s + 1, start_s + 1, request=request, response=response))
    return Trace(
        key=Key(model="m", framework="x", task=task.name, case="hi", trial=1),
        setup=setup(),
        case={"id": "hi", "kind": "k", "size": "quick", "question": "Hi", "answer": "Hello."},
        model_calls=made,
        tool_calls=tools or [],
        outcome=RunOutcome(ended="answered", answer="Hello."),
        resources=Resources(wall_s=100),
    )


def injected(task: Task, trace: Trace) -> dict[str, int]:
    """The injected tokens of a run by part, where there are any."""
    comparison = parity.compare(parity.observe(trace, task))
    assert comparison.injected == sum(comparison.parts.values())
    return {part: tokens for part, tokens in comparison.parts.items() if tokens}


def test_a_canonical_run_has_no_injected_tokens() -> None:
    task = task_of(FRONT, BACK)
    rings = [called(asks("1", "ring", '{"times":2}')), told("1", "ding ding ")]
    hands_over = [called(asks("2", "handoff_to_back", "{}"), text="Wait."), told("2", "")]
    answer = {"role": "assistant", "content": "Hello."}
    trace = run(
        task,
        [
            ([system("Be brief."), USER], f"[{RING},{TO_BACK}]", rings[0]),
            ([system("Be brief."), USER, *rings], f"[{RING},{TO_BACK}]", hands_over[0]),
            ([system("Help."), USER, *rings, *hands_over], f"[{RING}]", answer),
        ],
        [tool_call(2, 3, "ring", arguments={"times": 2}, result="ding ding ")],
    )
    comparison = parity.compare(parity.observe(trace, task))
    # Both agents have the same tool: whose turn it is, the instructions tell.
    assert [step.agent for step in parity.observe(trace, task).steps] == ["front", "front", "back"]
    assert comparison.parts == dict.fromkeys(comparison.parts, 0)
    assert (comparison.injected, comparison.calls, comparison.made) == (0, 3, 3)


@pytest.mark.parametrize(
    ("messages", "part", "tokens"),
    [
        ([system("Be brief."), USER], None, 0),
        ([system("Be brief.\n\nHello."), USER], "system text", 2),  # the line breaks go with the stop
        ([system("Be brief."), system("Go."), USER], "system text", 2),
        ([system("Be brief."), USER, USER], "user messages", 1),
        ([system("Be brief.")], "user messages", -1),
        ([USER], "system text", -3),
        ([system("Be brief."), USER, {"role": "assistant", "content": "Hello."}], "conversation", 2),
    ],
)
def test_what_messages_add(messages: list[dict[str, Any]], part: str | None, tokens: int) -> None:
    task = task_of(FRONT, BACK)
    trace = run(task, [(messages, f"[{RING},{TO_BACK}]", {"role": "assistant", "content": "Hello."})])
    assert injected(task, trace) == ({part: tokens} if part else {})


TWICE = '{"times":2}'
TITLED = RING.replace('"default":1', '"title":"Times","default":1')
OWN_WAY = '{"type":"function","function":{"name":"transfer_to_back","description":"Hand over.","parameters":{}}}'


@pytest.mark.parametrize(
    ("offered", "part", "tokens"),
    [
        (f"[{TITLED},{TO_BACK}]", "tools", count_tokens(f"[{TITLED}]") - count_tokens(f"[{RING}]")),
        (
            f"[{RING},{OWN_WAY}]",
            "handoff tools",
            count_tokens(f"[{RING},{OWN_WAY}]") - count_tokens(f"[{RING},{TO_BACK}]"),
        ),
        (f"[{RING}]", "handoff tools", count_tokens(f"[{RING}]") - count_tokens(f"[{RING},{TO_BACK}]")),
    ],
)
def test_what_tools_add(offered: str, part: str, tokens: int) -> None:
    task = task_of(FRONT, BACK)
    trace = run(task, [([system("Be brief."), USER], offered, {"role": "assistant", "content": "Hello."})])
    assert tokens and injected(task, trace) == {part: tokens}


@pytest.mark.parametrize(
    ("arguments", "given", "sent", "tokens"),
    [
        (TWICE, {"result": "ding ding "}, "ding ding ", 0),
        ('{"times": 2}', {"result": "ding ding "}, "ding ding ", count_tokens('{"times": 2}') - count_tokens(TWICE)),
        ("{}", {"result": [1, 2]}, "[1,2]", 0),
        ("{}", {"result": [1, 2]}, "[1, 2]", count_tokens("[1, 2]") - count_tokens("[1,2]")),
        ("{}", {"error": "ToolError: no bell"}, "no bell", 0),
        ("{}", {"error": "ToolError: no bell"}, "Error: no bell", 2),
        ("{}", {"result": "ding"}, "", -1),
        # Where the function was not called, what the framework says of it is taken as it is.
        ("{}", None, "There is no such thing as a bell.", 0),
    ],
)
def test_what_the_conversation_adds(arguments: str, given: dict[str, Any] | None, sent: str, tokens: int) -> None:
    task = task_of(FRONT, BACK)
    call = called(asks("1", "ring", arguments))
    made = [tool_call(2, 3, "ring", arguments=json.loads(arguments), **given)] if given else []
    trace = run(
        task,
        [
            ([system("Be brief."), USER], f"[{RING},{TO_BACK}]", call),
            (
                [system("Be brief."), USER, call, told("1", sent)],
                f"[{RING},{TO_BACK}]",
                {"role": "assistant", "content": "Hello."},
            ),
        ],
        made,
    )
    assert injected(task, trace) == ({"conversation": tokens} if tokens else {})


def test_a_handoff_is_canonical_whatever_the_framework_calls_it() -> None:
    task = task_of(FRONT, BACK)
    own = called(asks("1", "delegate", '{"coworker":"Back","task":"Say hello."}'))
    confirmed = told("1", "Transferred to back.")
    answer = {"role": "assistant", "content": "Hello."}
    offered = f"[{RING},{TO_BACK}]"
    trace = run(
        task,
        [
            ([system("Be brief."), USER], offered, own),
            ([system("Help."), USER, own, confirmed], f"[{RING}]", answer),
        ],
    )
    sent = ["delegate", '{"coworker":"Back","task":"Say hello."}', "Transferred to back."]
    more = sum(map(count_tokens, sent)) - count_tokens("handoff_to_back") - count_tokens("{}")
    assert more > 0 and injected(task, trace) == {"conversation": more}


@pytest.mark.parametrize(
    ("targets", "names", "call"),
    [
        ({"a": "One."}, ["handoff_to_a"], ("handoff_to_a", "{}")),
        (
            {name: f"Knows {name}." for name in "abcdef"},
            ["handoff"],
            ("handoff", '{"to":"a"}'),
        ),
        ({}, [], None),
    ],
)
def test_handing_over_takes_the_fewest_tokens(
    targets: dict[str, str], names: list[str], call: tuple[str, str] | None
) -> None:
    handover = Handover(targets)
    assert [tool["function"]["name"] for tool in handover.tools] == names
    told_when = json.dumps(handover.tools)
    assert all(name in told_when and words in told_when for name, words in targets.items())
    assert call is None or handover.call("a") == call


@pytest.mark.parametrize(
    ("sent", "more"),
    [
        (FOUND, 0),
        (f"{FOUND}\n[c] C\nThree.", count_tokens(f"{FOUND}\n[c] C\nThree.") - count_tokens(FOUND)),  # `k` is two
        (f"Two documents:\n{FOUND}", 3),
        ("Nothing was found.", 0),
        ("", 0),
    ],
)
def test_a_search_has_the_documents_that_it_found(sent: str, more: int) -> None:
    task = task_of(FINDER, passages=PASSAGES)
    offered = '[{"type":"function","function":{"name":"find","description":"Find it.","parameters":{"type":"object",'
    offered += '"properties":{"query":{"type":"string"}},"required":["query"]}}}]'
    call = called(asks("1", "find", '{"query":"a"}'))
    answer = {"role": "assistant", "content": "Hello."}
    trace = run(
        task,
        [
            ([system("Find."), USER], offered, call),
            ([system("Find."), USER, call, told("1", sent)], offered, answer),
        ],
    )
    assert injected(task, trace) == ({"conversation": more} if more else {})
