import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from inspect import ismethod
from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter, validate_call
from pydantic_core import to_jsonable_python

from evaluator.models.upstreams.scripted import ScriptedSession, ScriptedUpstream
from evaluator.wire.tokens import count_completion_tokens, count_prompt_tokens, count_tokens
from tasks.base import Outcome, Step, Tool, ToolCall, ToolError, bound_arguments
from tasks.cases import Case, Script
from tasks.grading import normalise, states, states_fact
from tasks.handoff import grade as handoff_grade
from tasks.handoff import spec as handoff_spec
from tasks.handoff.spec import HandoffCase
from tasks.rag_qa import grade as rag_qa_grade
from tasks.rag_qa import spec as rag_qa_spec
from tasks.rag_qa.spec import RagQaCase
from tasks.tool_calling import grade as tool_calling_grade
from tasks.tool_calling import spec as tool_calling_spec
from tasks.tool_calling.spec import ToolCallingCase

Change = Callable[[str], Any]
"""What becomes of a tool's result or a passage before the model is sent it."""

MODULES = {
    RagQaCase: (rag_qa_spec, rag_qa_grade),
    ToolCallingCase: (tool_calling_spec, tool_calling_grade),
    HandoffCase: (handoff_spec, handoff_grade),
}
CASES: list[Any] = [case for spec, _ in MODULES.values() for case in spec.load()]
HANDOFF = handoff_spec.load()
MOST_CALLS = 16


# --- agents as frameworks write them, without a framework ---------------------------------------


@dataclass
class Agent:
    """An agent loop: the model is asked, its tool calls are made, until it answers."""

    session: ScriptedSession
    instructions: str
    tools: dict[str, Tool]
    change: Change = str
    calls: list[ToolCall] = field(default_factory=list)
    owner: str | None = None
    answers_tool_calls: bool = True
    one_at_a_time: bool = False
    own_ids: bool = False

    def answer(self, question: str) -> str:
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": self.instructions},
            {"role": "user", "content": question},
        ]
        for _ in range(MOST_CALLS):
            request = {"model": "scripted", "messages": messages, "tools": self.offered()}
            if self.one_at_a_time:
                request["parallel_tool_calls"] = False
            message = self.session.complete(request)["choices"][0]["message"]
            if "tool_calls" not in message:
                return str(message["content"])
            if self.own_ids:
                calls = enumerate(message["tool_calls"], len(messages))
                message = {**message, "tool_calls": [{**call, "id": f"own-{number}"} for number, call in calls]}
            messages.append(message)
            assert len(message["tool_calls"]) == 1 or not self.one_at_a_time
            for call in message["tool_calls"]:
                content = self.invoke(call["function"]["name"], json.loads(call["function"]["arguments"]))
                if self.answers_tool_calls:
                    messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})
        return ""

    def offered(self) -> list[dict[str, Any]]:
        return [function(name, **parameters_of(written(tool))) for name, tool in self.tools.items()]

    def invoke(self, name: str, arguments: dict[str, Any]) -> Any:
        return self.change(self.called(name, arguments, self.tools[name]))

    def called(self, name: str, arguments: dict[str, Any], tool: Tool) -> str:
        bound = bound_arguments(tool, (), arguments)
        result, error = None, None
        try:
            itself = [tool.__self__] if ismethod(tool) else []
            result = to_jsonable_python(validated(written(tool))(*itself, **arguments))
        except ToolError as refusal:
            error = str(refusal)
        self.calls.append(ToolCall(agent=self.owner, name=tool.__name__, arguments=bound, result=result, error=error))
        return f"Error: {error}" if error else json.dumps(result)


def written(tool: Tool) -> Tool:
    """The function as it is written, which the tools of all runs share."""
    return tool.__func__ if ismethod(tool) else tool


@cache
def validated(tool: Tool) -> Tool:
    return validate_call(tool)


@cache
def parameters_of(tool: Tool) -> dict[str, Any]:
    """Made once for all tests: they are about the model."""
    schema = TypeAdapter(tool).json_schema()
    own = {"self"} if "." in tool.__qualname__.rpartition("<locals>.")[2] else set()
    properties = {name: one for name, one in schema["properties"].items() if name not in own}
    required = [name for name in schema.get("required", []) if name not in own]
    rest = {name: value for name, value in schema.items() if name != "required"}
    return {**rest, "properties": properties, **({"required": required} if required else {})}


def function(name: str, **parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def text_parameters(*names: str, **more: dict[str, Any]) -> dict[str, Any]:
    properties = {**{name: {"type": "string"} for name in names}, **more}
    return {"type": "object", "properties": properties, "required": list(properties)}


def run_rag_qa(case: RagQaCase, change: Change = str, tools: bool = True) -> Outcome:
    brief = rag_qa_spec.prepare(case).brief
    gold = [document.passage for document in brief.documents if document.id in case.gold]
    passages = gold or [document.passage for document in brief.documents[: brief.k]]

    class Reader(Agent):
        def offered(self) -> list[dict[str, Any]]:
            return [function(brief.search_tool_name, **text_parameters("query"))] if tools else []

        def invoke(self, name: str, arguments: dict[str, Any]) -> Any:
            assert arguments["query"] in case.searches
            return change("\n\n".join(passages))

    reader = Reader(ScriptedSession(rag_qa_spec.script(case)), brief.instructions, {})
    return Outcome(answer=reader.answer(case.question))


def run_tool_calling(case: ToolCallingCase, change: Change = str, rename: Change = str, **settings: Any) -> Outcome:
    prepared = tool_calling_spec.prepare(case)
    tools = {rename(tool.__name__): tool for tool in prepared.brief.tools}
    session = ScriptedSession(tool_calling_spec.script(case))
    agent = Agent(session, prepared.brief.instructions, tools, change, **settings)
    answer = agent.answer(case.question)
    return Outcome(answer=answer, tool_calls=agent.calls, final_state=prepared.final_state())


@dataclass(frozen=True)
class HandoffTool:
    """How a framework lets an agent hand over: the tools that it offers, and where a call leads to."""

    offered: Callable[[list[str]], list[dict[str, Any]]]
    destination: Callable[[str, dict[str, Any]], str]


def one_tool(name: str, destination: str, *others: str, enum: bool = False) -> HandoffTool:
    def offered(names: list[str]) -> list[dict[str, Any]]:
        schema = {"type": "string", **({"enum": names} if enum else {})}
        return [function(name, **text_parameters(*others, **{destination: schema}))]

    return HandoffTool(offered, lambda _, arguments: str(arguments[destination]))


HANDOFF_TOOLS = {
    "transfer_to_NAME()": HandoffTool(
        lambda names: [function(f"transfer_to_{name}", type="object", properties={}) for name in names],
        lambda tool, _: tool.removeprefix("transfer_to_"),
    ),
    "transfer_to_NAME(input or null)": HandoffTool(
        lambda names: [
            function(f"transfer_to_{name}", **text_parameters(input={"type": ["string", "null"]})) for name in names
        ],
        lambda tool, _: tool.removeprefix("transfer_to_"),
    ),
    "handoff(to_agent of enum, reason)": one_tool("handoff", "to_agent", "reason", enum=True),
    "transfer_to_agent(agent_name)": one_tool("transfer_to_agent", "agent_name"),
    "handoff_to_agent(agent_name, message)": one_tool("handoff_to_agent", "agent_name", "message"),
}
DELEGATION_TOOLS = {
    "delegate_task_to_member(member_id, task)": ("member_id", ["task"]),
    "delegate_work_to_coworker(task, context, coworker)": ("coworker", ["task", "context"]),
}


class Swapping(Agent):
    """Hands over by swapping instructions and tools; the conversation goes on."""

    def __init__(self, case: HandoffCase, tool: HandoffTool, change: Change = str, *, obeys: bool = True) -> None:
        self.prepared = handoff_spec.prepare(case)
        self.agents = {agent.name: agent for agent in self.prepared.brief.agents}
        self.tool, self.obeys = tool, obeys
        super().__init__(ScriptedSession(handoff_spec.script(case)), "", {}, change)
        self.activate(self.prepared.brief.entry)

    def activate(self, name: str) -> None:
        self.owner, self.instructions = name, self.agents[name].instructions
        self.tools = {tool.__name__: tool for tool in self.agents[name].tools}

    def offered(self) -> list[dict[str, Any]]:
        assert self.owner is not None
        return [*super().offered(), *self.tool.offered(self.agents[self.owner].handoffs)]

    def invoke(self, name: str, arguments: dict[str, Any]) -> Any:
        if name in self.tools:
            return super().invoke(name, arguments)
        if not self.obeys:
            return "Error: not possible"
        self.activate(self.tool.destination(name, arguments))
        return f"Transferred to {self.owner}."


class Delegating(Agent):
    """The entry agent leads: a specialist sees only the task given to it, and its words come back."""

    def __init__(self, case: HandoffCase, name: str, change: Change = str) -> None:
        self.prepared = handoff_spec.prepare(case)
        self.agents = {agent.name: agent for agent in self.prepared.brief.agents}
        self.delegation = name.partition("(")[0]
        self.destination, self.texts = DELEGATION_TOOLS[name]
        leader = self.agents[self.prepared.brief.entry]
        tools = {tool.__name__: tool for tool in leader.tools}
        session = ScriptedSession(handoff_spec.script(case))
        super().__init__(session, leader.instructions, tools, change, owner=leader.name)

    def offered(self) -> list[dict[str, Any]]:
        return [*super().offered(), function(self.delegation, **text_parameters(*self.texts, self.destination))]

    def invoke(self, name: str, arguments: dict[str, Any]) -> Any:
        if name != self.delegation:
            return super().invoke(name, arguments)
        agent = self.agents[arguments[self.destination]]
        tools = {tool.__name__: tool for tool in agent.tools}
        specialist = Agent(self.session, agent.instructions, tools, self.change, self.calls, agent.name)
        return specialist.answer("\n".join(arguments[text] for text in self.texts))


def run_handoff(case: HandoffCase, change: Change = str, shape: str = "transfer_to_NAME()", **settings: Any) -> Outcome:
    agent: Any
    if shape in DELEGATION_TOOLS:
        agent = Delegating(case, shape, change)
    else:
        agent = Swapping(case, HANDOFF_TOOLS[shape], change, **settings)
    answer = agent.answer(case.question)
    return Outcome(answer=answer, tool_calls=agent.calls, final_state=agent.prepared.final_state())


def run(case: Case, change: Change = str) -> Outcome:
    runs: dict[type, Callable[..., Outcome]] = {
        RagQaCase: run_rag_qa,
        ToolCallingCase: run_tool_calling,
        HandoffCase: run_handoff,
    }
    return runs[type(case)](case, change)


def passes(case: Case, outcome: Outcome) -> bool:
    grade = MODULES[type(case)][1].grade(case, outcome)
    assert grade.passed or grade.reasons
    return bool(grade.passed)


def prompt(case: Any) -> str:
    """What the model knows before any tool was called."""
    brief = MODULES[type(case)][0].prepare(case).brief
    agents = getattr(brief, "agents", [brief])
    return "\n".join([*(agent.instructions for agent in agents), case.question])


def script_of(case: Any) -> Script:
    script: Script = MODULES[type(case)][0].script(case)
    return script


def blanked(fact: list[str], text: str) -> str:
    """`text` with every alternative of `fact` made unreadable."""
    text = normalise(text)
    for phrase in fact:
        while states(text, phrase):
            text = text.replace(normalise(phrase), "▒")
    return text


def gives_up(outcome: Outcome) -> bool:
    return outcome.answer.startswith("I don't know")


# --- an honest agent passes -----------------------------------------------------------------------

RESULT_SHAPES: dict[str, Change] = {
    "JSON": str,
    "Python repr": lambda text: repr(json.loads(text)) if text.startswith(("{", '["', "[{")) else text,
    "escaped JSON": lambda text: json.dumps({"result": text}),
    "content parts": lambda text: [{"type": "text", "text": text}],
}


# Where the outcome is all there is to say, one test is of all cases: there are hundreds.


@pytest.mark.parametrize("shape", RESULT_SHAPES)
def test_an_honest_agent_passes(shape: str) -> None:
    assert [case.id for case in CASES if not passes(case, run(case, RESULT_SHAPES[shape]))] == []


@pytest.mark.parametrize("shape", [*HANDOFF_TOOLS, *DELEGATION_TOOLS])
def test_any_shape_of_handoff_passes(shape: str) -> None:
    assert [case.id for case in HANDOFF if not passes(case, run_handoff(case, shape=shape))] == []


@pytest.mark.parametrize("case", tool_calling_spec.load(), ids=lambda case: case.id)
def test_calls_are_made_one_at_a_time_where_that_is_asked_for(case: ToolCallingCase) -> None:
    assert passes(case, run_tool_calling(case, one_at_a_time=True))


@pytest.mark.parametrize("case", tool_calling_spec.load(), ids=lambda case: case.id)
def test_calls_may_be_given_other_ids(case: ToolCallingCase) -> None:
    assert passes(case, run_tool_calling(case, own_ids=True))


@pytest.mark.parametrize("case", rag_qa_spec.load(), ids=lambda case: case.id)
def test_the_guide_is_always_searched(case: RagQaCase) -> None:
    found: list[str] = []

    def keep(text: str) -> str:
        found.append(text)
        return text

    run_rag_qa(case, keep)
    assert found


# --- a dishonest one does not ---------------------------------------------------------------------


def facts_from_results() -> list[Any]:
    return [
        pytest.param(case, fact, id=f"{case.id}-{fact[0]}")
        for case in CASES
        for fact in script_of(case).needs
        if not states_fact(prompt(case), fact)
    ]


@pytest.mark.parametrize(("case", "fact"), facts_from_results())
def test_without_a_fact_it_does_not_know(case: Case, fact: list[str]) -> None:
    outcome = run(case, partial(blanked, fact))
    assert gives_up(outcome)
    assert not states_fact(outcome.answer, fact)
    assert not passes(case, outcome)


def knows_nothing(case: Case, outcome: Outcome) -> bool:
    return gives_up(outcome) and not passes(case, outcome)


@pytest.mark.parametrize("shape", DELEGATION_TOOLS)
def test_what_a_specialist_does_not_know_it_does_not_tell_the_leader(shape: str) -> None:
    facts = [param.values for param in facts_from_results() if isinstance(param.values[0], HandoffCase)]
    runs = ((case, fact, run_handoff(case, partial(blanked, fact), shape)) for case, fact in facts)
    assert facts and [(case.id, fact) for case, fact, outcome in runs if not knows_nothing(case, outcome)] == []


def chained_calls() -> list[Any]:
    return [
        pytest.param(case, step, text, id=f"{case.id}-{step.tool}-{text}")
        for case in CASES
        for turn in script_of(case).turns
        for step in turn
        for text in step.needs
        if not states(prompt(case), text)
    ]


@pytest.mark.parametrize(("case", "step", "needed"), chained_calls())
def test_without_an_earlier_result_the_next_call_is_not_made(case: Any, step: Step, needed: str) -> None:
    outcome = run(case, partial(blanked, [needed]))
    expected = [other for turn in case.turns for other in turn if other.tool == step.tool]
    assert len([call for call in outcome.tool_calls if call.name == step.tool]) < len(expected)
    assert gives_up(outcome)
    assert not passes(case, outcome)


NEEDING_RESULTS = sorted({param.values[0].id: param.values[0] for param in facts_from_results()}.items())
WITH_TURNS = [case for case in CASES if script_of(case).turns]


@pytest.mark.parametrize("nothing", ["", None, []], ids=repr)
def test_empty_results_are_not_enough(nothing: Any) -> None:
    assert [id for id, case in NEEDING_RESULTS if not knows_nothing(case, run(case, lambda _: nothing))] == []


@pytest.mark.parametrize("case", tool_calling_spec.load(), ids=lambda case: case.id)
def test_dropped_results_never_give_an_answer(case: ToolCallingCase) -> None:
    outcome = run_tool_calling(case, answers_tool_calls=False)
    assert passes(case, outcome) is (not case.turns)


@pytest.mark.parametrize("case", [case for case in tool_calling_spec.load() if case.turns], ids=lambda case: case.id)
def test_a_renamed_tool_is_not_called(case: ToolCallingCase) -> None:
    outcome = run_tool_calling(case, rename=lambda name: f"{name}_v2")
    assert not outcome.tool_calls
    assert gives_up(outcome)
    assert case.turns[0][0].tool in outcome.answer
    assert not passes(case, outcome)


@pytest.mark.parametrize("case", [case for case in rag_qa_spec.load() if case.gold], ids=lambda case: case.id)
def test_without_a_search_tool_it_does_not_know(case: RagQaCase) -> None:
    outcome = run_rag_qa(case, tools=False)
    assert gives_up(outcome)
    assert not passes(case, outcome)


@pytest.mark.parametrize("shape", HANDOFF_TOOLS)
def test_an_ignored_handoff_does_not_go_on_for_ever(shape: str) -> None:
    handed_over = [case for case in HANDOFF if case.turns and case.turns[0][0].agent != "triage"]
    runs = ((case, run_handoff(case, shape=shape, obeys=False)) for case in handed_over)
    assert handed_over and [case.id for case, outcome in runs if not knows_nothing(case, outcome)] == []


# --- what it is given, and what it gives ------------------------------------------------------------

SCRIPT = Script(
    turns=[[Step(tool="get_order", arguments={"order_id": "O-1"}), Step(tool="get_weather")]],
    needs=[["sunny"]],
    answer="It is sunny. 天晴。",
)
TOOLS = [function("get_order", **text_parameters("order_id")), function("get_weather")]
ASKING: dict[str, Any] = {
    "model": "scripted",
    "messages": [{"role": "user", "content": "How is the weather at O-1?"}],
    "tools": TOOLS,
}
RESULTS = [{"role": "tool", "tool_call_id": f"call_1_{i}", "content": "sunny"} for i in (1, 2)]
ANSWERING = {**ASKING, "messages": [*ASKING["messages"], *RESULTS]}


async def reply(session: ScriptedSession, request: dict[str, Any]) -> tuple[int, bytes]:
    got = await ScriptedUpstream().chat(orjson.dumps(request), request, session, 60)
    return got.status, got.body if isinstance(got.body, bytes) else b"".join([piece async for piece in got.body])


def assembled(stream: bytes) -> tuple[dict[str, Any], dict[str, Any] | None, str | None]:
    """Message, usage and finish reason of a stream, as a client puts them together."""
    message: dict[str, Any] = {}
    calls: list[dict[str, Any]] = []
    usage, finish_reason = None, None
    *events, done, rest = stream.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    for event in events:
        chunk = json.loads(event.removeprefix(b"data: "))
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            delta = choice["delta"]
            finish_reason = choice["finish_reason"] or finish_reason
            message.setdefault("role", delta.get("role"))
            message["content"] = (message.get("content") or "") + (delta.get("content") or "") or None
            for part in delta.get("tool_calls") or []:
                if part["index"] == len(calls):
                    calls.append({"id": part["id"], "type": part["type"], "function": {"arguments": ""}})
                call = calls[part["index"]]["function"]
                call["arguments"] += part["function"]["arguments"]
                call.setdefault("name", part["function"].get("name"))
    return {**message, **({"tool_calls": calls} if calls else {})}, usage, finish_reason


@pytest.mark.parametrize("requests", [[ASKING], [ASKING, ANSWERING]], ids=["tool calls", "answer"])
@pytest.mark.parametrize("include_usage", [True, False])
async def test_plain_and_streamed_are_the_same(requests: list[dict[str, Any]], include_usage: bool) -> None:
    session, other = ScriptedSession(SCRIPT), ScriptedSession(SCRIPT)
    for request in requests:
        plain = json.loads((await reply(session, request))[1])
        options = {"stream": True, "stream_options": {"include_usage": include_usage}}
        message, usage, finish_reason = assembled((await reply(other, {**request, **options}))[1])
    [choice] = plain["choices"]
    assert message == choice["message"]
    assert finish_reason == choice["finish_reason"] == ("tool_calls" if requests == [ASKING] else "stop")
    assert usage == (plain["usage"] if include_usage else None)


def test_the_same_request_gets_the_same_reply() -> None:
    one, other = ScriptedSession(SCRIPT), ScriptedSession(SCRIPT)
    first = one.complete(ASKING)
    second = one.complete(ANSWERING)
    assert one.complete(ASKING) == first
    assert one.complete(ANSWERING) == second
    assert (other.complete(ASKING), other.complete(ANSWERING)) == (first, second)
    assert first["id"] != second["id"]


@pytest.mark.parametrize("request_", [ASKING, ANSWERING, {"messages": []}, {}], ids=lambda request: str(len(request)))
def test_usage_is_the_tokenizers_count(request_: dict[str, Any]) -> None:
    completion = ScriptedSession(SCRIPT).complete(request_)
    usage = completion["usage"]
    assert usage["prompt_tokens"] == count_prompt_tokens(request_)
    assert usage["completion_tokens"] == count_completion_tokens(completion["choices"][0]["message"])
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize(
    "text",
    ["x" * 120_000, "word " * 120_000, "天气" * 120_000, "\U00010fff" * 120_000],
    ids=lambda text: ascii(text[:5]),
)
def test_text_of_any_length_is_counted(text: str) -> None:
    assert count_tokens(text) >= 2 * count_tokens(text[:50_000])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"messages": "hello"}, "messages: Input should be a valid list"),
        ({"messages": [1]}, "messages.0: Input should be"),
        ({"messages": 5}, "messages: Input should be"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages.0.tool_calls.0.function: Field required"),
        ({"messages": [{"role": "tool", "tool_call_id": []}]}, "messages.0.tool_call_id: Input should be"),
        ({"tools": [{}]}, "tools.0.function: Field required"),
        ({"tools": "get_order"}, "tools: Input should be"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.function: Field required"),
        ({"tools": [function("transfer", properties=["to"])]}, "tools.0.function.parameters.properties: Input"),
        ({"tools": [function("transfer", required=5)]}, "tools.0.function.parameters.required: Input should be"),
        ({"stream": True, "stream_options": "usage"}, "stream_options: Input should be"),
    ],
)
async def test_a_request_that_cannot_be_read_is_refused_in_words(change: dict[str, Any], complaint: str) -> None:
    session = ScriptedSession(Script(turns=[[Step(tool="search", agent="billing")]], answer="x"))
    status, body = await reply(session, {**ASKING, **change})
    assert status == 400
    assert json.loads(body)["error"]["message"].startswith(complaint)


@pytest.mark.parametrize(
    "change",
    [
        {"messages": None},
        {"messages": []},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}, "text", None]}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": None}]},
        {"messages": [{}]},
        {"tools": None},
        {"tools": [function("transfer_to_agent", properties={"agent_name": True}, required=["agent_name"])]},
        {"tools": [function("transfer", properties={"to": {"anyOf": [{"type": "null"}]}}, required=["to"])]},
        {"stream_options": None},
    ],
)
async def test_an_odd_request_is_answered(change: dict[str, Any]) -> None:
    session = ScriptedSession(Script(turns=[[Step(tool="search", agent="billing")]], answer="x"))
    status, body = await reply(session, {**ASKING, **change})
    assert status == 200
    assert json.loads(body)["choices"][0]["message"]["role"] == "assistant"
