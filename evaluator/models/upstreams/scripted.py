"""The scripted model: plays each case perfectly, and only from what it was sent.

It makes the next expected tool call if that tool is offered and the call's inputs have been seen;
where the tool belongs to another agent it hands over through whatever handoff tool the framework
offers; it gives the expected answer only if every fact of the answer stands in the messages, and
otherwise says that it does not know. It is deterministic: the same messages get the same reply.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from evaluator.models.upstreams import JSON_HEADERS, STREAM_HEADERS, Reply, Session
from evaluator.wire import handoffs
from evaluator.wire.tokens import count_completion_tokens, count_prompt_tokens, text_of
from tasks.base import Step
from tasks.cases import Script
from tasks.grading import states, states_fact

PLAYED_BY = (__file__, handoffs.__file__)
"""What decides how a script is played."""

MAX_HANDOFFS_FOR_ONE_STEP = 3
_ID = re.compile(r"(?<![A-Za-z0-9-])[A-Z]+-\d+")


def scripted_digest() -> str:
    """Digest of the way in which scripts are played."""
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in PLAYED_BY)).hexdigest()[:16]


class ScriptedUpstream:
    """Answers chat completions, plain and streamed, from the script of the run."""

    def session(self, script: Script) -> "ScriptedSession":
        """What has been played so far in a run that is about to start."""
        return ScriptedSession(script)

    async def chat(self, body: bytes, request: dict[str, Any], session: Session, time_left_s: float) -> Reply:
        """See `Upstream.chat`."""
        assert isinstance(session, ScriptedSession)
        try:
            completion = session.complete(request)
            if not request.get("stream"):
                return Reply(200, JSON_HEADERS, orjson.dumps(completion))
            with_usage = bool((request.get("stream_options") or {}).get("include_usage"))
            return Reply(200, STREAM_HEADERS, _stream(completion, with_usage))
        except (AttributeError, LookupError, TypeError, ValueError):
            complaint = _complaint(request)
            if complaint is None:
                raise
            error = {"type": "invalid_request_error", "code": "invalid_request_error", "message": complaint}
            return Reply(400, JSON_HEADERS, orjson.dumps({"error": error}))

    async def close(self) -> None:
        """Nothing to free."""


class ScriptedSession(Session):
    """The scripted model in one run."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._steps = [step for turn in script.turns for step in turn]
        self._turn_of = [number for number, turn in enumerate(script.turns) for _ in turn]
        self._issued: dict[str, int] = {}
        self._done: set[int] = set()
        self._searched = 0
        self._handoffs: dict[int, int] = {}
        self._replies: dict[bytes, dict[str, Any]] = {}

    def complete(self, request: dict[str, Any]) -> dict[str, Any]:
        """The chat completion for `request`."""
        messages, tools = request.get("messages") or [], request.get("tools") or []
        one_at_a_time = request.get("parallel_tool_calls") is False
        content = orjson.dumps([messages, tools, one_at_a_time], option=orjson.OPT_SORT_KEYS)
        if content not in self._replies:
            functions = {tool["function"]["name"]: tool["function"] for tool in tools}
            self._replies[content] = self._reply(messages, functions, one_at_a_time)
        message = self._replies[content]
        number = list(self._replies).index(content) + 1
        prompt_tokens, completion_tokens = count_prompt_tokens(request), count_completion_tokens(message)
        return {
            "id": f"chatcmpl-scripted-{number}",
            "object": "chat.completion",
            "created": 0,
            "model": request.get("model"),
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "logprobs": None,
                    "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
                }
            ],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
            },
        }

    def _reply(
        self, messages: list[dict[str, Any]], tools: dict[str, dict[str, Any]], one_at_a_time: bool
    ) -> dict[str, Any]:
        seen = "\n".join(_read(text_of(message.get("content"))) for message in messages)
        self._done.update(self._answered(messages))

        pending = [i for i in range(len(self._steps)) if i not in self._done]
        if pending:
            turn = [i for i in pending if self._turn_of[i] == self._turn_of[pending[0]]]
            offered = [i for i in turn if self._steps[i].tool in tools][: 1 if one_at_a_time else None]
            if not offered:
                unknown = f"what {self._steps[pending[0]].tool} would give"
                return self._hand_over(pending[0], messages, tools, seen) or self._unknown(unknown, seen)
            unseen = [text for i in offered for text in _inputs(self._steps[i]) if not states(seen, text)]
            if unseen:
                return self._unknown(f"what to call {self._steps[offered[0]].tool} with", seen)
            return self._calls([(i, self._steps[i].tool, self._steps[i].arguments) for i in offered])

        missing = [i for i, fact in enumerate(self._script.needs) if not states_fact(seen, fact)]
        if (missing or not self._searched) and self._searched < len(self._script.searches):
            query = self._script.searches[self._searched]
            for name, function in sorted(tools.items(), key=lambda tool: "search" not in tool[0].lower()):
                arguments = search_arguments(function, query)
                if arguments is not None:
                    self._searched += 1
                    return self._calls([(None, name, arguments)])
        # The letter and not the fact: a framework may hand these words to another agent.
        return (
            self._unknown(f"fact {ascii_uppercase[missing[0] % 26]}", seen) if missing else _said(self._script.answer)
        )

    def _answered(self, messages: list[dict[str, Any]]) -> set[int]:
        """The steps whose results are among the messages, by the id of the call.

        A framework may give calls ids of its own: then by the call's tool and arguments.
        """
        done: set[int] = set()
        renamed: dict[str, tuple[str, Any]] = {}
        for message in messages:
            for call in message.get("tool_calls") or []:
                if call.get("id") not in self._issued:
                    renamed[call.get("id")] = (call["function"]["name"], _parsed(call["function"].get("arguments")))
            answers = message.get("tool_call_id") if message.get("role") == "tool" else None
            if answers in self._issued:
                done.add(self._issued[answers])
            elif answers in renamed:
                same = (i for i, step in enumerate(self._steps) if (step.tool, step.arguments) == renamed[answers])
                done.update([i for i in same if i not in done][:1])
        return done

    def _hand_over(
        self, step: int, messages: list[dict[str, Any]], tools: dict[str, dict[str, Any]], seen: str
    ) -> dict[str, Any] | None:
        """A call of the handoff tool that leads to the owner of `step`, or else to anybody."""
        self._handoffs[step] = self._handoffs.get(step, 0) + 1
        owner = self._steps[step].agent
        if owner is None or self._handoffs[step] > MAX_HANDOFFS_FOR_ONE_STEP:
            return None
        task = next((text_of(m.get("content")) for m in reversed(messages) if m.get("role") == "user"), "")
        known = [phrase for phrase in self._known(seen) if not states(task, phrase)]
        note = f"Known so far: {'; '.join(known)}" if known else None
        if note:
            task += f"\n{note}"

        def transfer(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
            """What is known goes beside the call where it fits into no argument."""
            call = self._calls([(None, name, arguments)])
            return call if task in arguments.values() else {**call, "content": note}

        offered = {name: function for name, function in tools.items() if handoffs.is_handoff(name)}
        for name, function in offered.items():
            properties = _properties(function)
            destination = next((p for p, schema in properties.items() if owner in (schema.get("enum") or [])), None)
            if destination is None and handoffs.names_agent(name, owner):
                return transfer(name, _filled(function, task))
            if destination is None:
                named = re.compile(r"agent|member|coworker|recipient|^to(?![a-z])", re.IGNORECASE)
                destination = next((p for p in properties if named.search(p)), None)
            if destination is not None:
                return transfer(name, {**_filled(function, task), destination: owner})
        for name, function in offered.items():
            return transfer(name, _filled(function, task))
        return None

    def _known(self, seen: str) -> list[str]:
        """What was seen of the facts of the answer and of what the calls still to be made need."""
        facts = [phrase for fact in self._script.needs for phrase in fact if states(seen, phrase)]
        ahead = [text for i, step in enumerate(self._steps) if i not in self._done for text in _inputs(step)]
        return list(dict.fromkeys([*facts, *(text for text in ahead if states(seen, text))]))

    def _unknown(self, what: str, seen: str) -> dict[str, Any]:
        """Says that it does not know, and what it does know, which another agent may need."""
        known = self._known(seen)
        so_far = f" So far: {'; '.join(known)}" if known else ""
        return _said(f"I don't know {what}: nothing that I was sent states it.{so_far}")

    def _calls(self, calls: list[tuple[int | None, str, dict[str, Any]]]) -> dict[str, Any]:
        tool_calls: list[dict[str, Any]] = []
        for step, name, arguments in calls:
            call_id = f"call_{len(self._replies) + 1}_{len(tool_calls) + 1}"
            if step is not None:
                self._issued[call_id] = step
            function = {"name": name, "arguments": orjson.dumps(arguments).decode()}
            tool_calls.append({"id": call_id, "type": "function", "function": function})
        return {"role": "assistant", "content": None, "tool_calls": tool_calls}


def _parsed(arguments: str | None) -> Any:
    """The arguments of a call as data; None where they are no JSON."""
    try:
        return orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        return None


def _read(text: str) -> str:
    """What a message says; where it is JSON, also its strings as they read without escapes."""
    return "\n".join([text, *_strings(_parsed(text))]) if "\\" in text else text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def _inputs(step: Step) -> list[str]:
    """What must have been seen before the call can be made: stated needs, and ids among the arguments."""
    return [*step.needs, *_ID.findall(orjson.dumps(step.arguments).decode())]


def _properties(function: dict[str, Any]) -> dict[str, dict[str, Any]]:
    properties = (function.get("parameters") or {}).get("properties") or {}
    return {name: schema if isinstance(schema, dict) else {} for name, schema in properties.items()}


def _type(schema: dict[str, Any]) -> str:
    """The type of a parameter; of several, as in text or null, the first that is not null."""
    types = schema.get("type") or [part.get("type") for part in schema.get("anyOf") or []] or "string"
    return types if isinstance(types, str) else next((name for name in types if name != "null"), "string")


def _filled(function: dict[str, Any], text: str) -> dict[str, Any]:
    """Arguments for the required parameters of a handoff tool: `text` wherever text fits."""
    required = (function.get("parameters") or {}).get("required") or []
    values: dict[str, Any] = {"boolean": True, "integer": 1, "number": 1, "array": [], "object": {}}
    properties = _properties(function)
    return {name: values.get(_type(properties.get(name, {})), text) for name in required}


def search_arguments(function: dict[str, Any], query: str) -> dict[str, Any] | None:
    """Arguments for a tool that looks like a search: the query goes into its first text parameter."""
    for name, schema in _properties(function).items():
        if _type(schema) == "string" and "enum" not in schema:
            return {**_filled(function, query), name: query}
    return None


async def _stream(completion: dict[str, Any], with_usage: bool) -> AsyncIterator[bytes]:
    """The completion as server-sent events: text and arguments in two pieces each."""
    [choice] = completion["choices"]
    message = choice["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": message["content"] and ""}]
    if message["content"]:
        deltas += [{"content": piece} for piece in _halves(message["content"])]
    for index, call in enumerate(message.get("tool_calls") or []):
        first, second = _halves(call["function"]["arguments"])
        head = {
            "id": call["id"],
            "type": "function",
            "function": {"name": call["function"]["name"], "arguments": first},
        }
        deltas.append({"tool_calls": [{"index": index, **head}]})
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": second}}]})
    common = {key: completion[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    chunks = [{**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**common, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    if with_usage:
        chunks.append({**common, "choices": [], "usage": completion["usage"]})
    for chunk in chunks:
        yield b"data: " + orjson.dumps(chunk) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


# --- what a request must look like; looked at only when one could not be answered --------------


class _ParameterSchema(BaseModel):
    type: str | list[str] | None = None
    enum: list[Any] | None = None
    anyOf: list[dict[str, Any]] | None = None


class _Parameters(BaseModel):
    properties: dict[str, _ParameterSchema | bool] | None = None
    required: list[str] | None = None


class _OfferedFunction(BaseModel):
    name: str
    parameters: _Parameters | None = None


class _OfferedTool(BaseModel):
    function: _OfferedFunction


class _CalledFunction(BaseModel):
    name: str
    arguments: str | None = None


class _MadeCall(BaseModel):
    function: _CalledFunction


class _Message(BaseModel):
    tool_call_id: str | None = None
    tool_calls: list[_MadeCall] | None = None


class _StreamOptions(BaseModel):
    include_usage: bool | None = None


class _Request(BaseModel):
    messages: list[_Message] | None = None
    tools: list[_OfferedTool] | None = None
    stream_options: _StreamOptions | None = None


def _complaint(request: dict[str, Any]) -> str | None:
    """What is wrong with the request, in words; nothing where it should have been answered."""
    try:
        orjson.dumps(request)
        _Request.model_validate(request, strict=True)
    except TypeError as error:
        return f"the request cannot be read: {error}"
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return None
