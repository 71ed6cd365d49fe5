"""The model of capability tasks, and its server: it plays a case from what a request shows, and behaves as told.

What it says depends on the request alone, so that another process is answered as the first was: a turn is over once
all of its calls have results; a typed value is given in whatever way a request asks for one; a fact is known if it
stands there. It is as strict as the server that it stands in for about calls that have no result.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import orjson

from evaluator.models.upstreams import JSON_HEADERS, STREAM_HEADERS, BrokenOff, Reply, Session, Upstream
from evaluator.wire.messages import all_text
from evaluator.wire.tokens import count_completion_tokens, count_prompt_tokens, text_of
from tasks.base import Step
from tasks.capability import Play, Refusal
from tasks.cases import Script

_TOGETHER_FOR_S = 2.0
"""How long calls that are to be answered together wait for one another."""

_WRITES = ("remember", "memor", "save", "store", "note", "add", "update")
_READS = ("recall", "search", "load", "retrieve", "get", "find", "read", "query", "list")


def capabilities_digest() -> str:
    """Digest of the way in which capability tasks are played."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]


class CapabilitySession(Session):
    """The model and its server in one run, over all of its processes."""

    ends_when_left = True

    def __init__(self, play: Play, answers: Session | None = None) -> None:
        """`answers` is the session of the upstream that answers, if it is another one."""
        self.play = play
        self.answers = answers
        self.holding = asyncio.Event()
        """Set when the call has come that is never answered."""
        self.released = asyncio.Event()
        """Set when the process that waits for it is gone."""
        self._calls = 0
        self._refused: dict[int, int] = {}
        self._waiting = 0
        self._all_there = asyncio.Event()

    def changes(self, request: dict[str, Any]) -> list[str]:
        """See `Session.changes`."""
        return self.answers.changes(request) if self.answers else []

    def without_secrets(self, value: Any) -> Any:
        """See `Session.without_secrets`."""
        return self.answers.without_secrets(value) if self.answers else value

    async def before(self, request: dict[str, Any]) -> Refusal | None:
        """What becomes of a call before it is answered. Raises `BrokenOff` for one that is not."""
        number, self._calls = self._calls, self._calls + 1
        if number == 0 and self.play.stalled_s:
            await asyncio.sleep(self.play.stalled_s)
        if number == self.play.withheld and not self.released.is_set():
            self.holding.set()
            await self.released.wait()
            raise BrokenOff("the process that asked is gone")
        await asyncio.sleep(self.play.thinks_s)
        await self._together()
        text = all_text(request)
        for position, refusal in enumerate(self.play.refusals):
            times = self._refused.get(position, 0)
            if (
                (refusal.times is None or times < refusal.times)
                and refusal.model in (None, request.get("model"))
                and (refusal.voice is None or refusal.voice in text)
            ):
                self._refused[position] = times + 1
                return refusal
        return None

    async def _together(self) -> None:
        """Wait until as many calls are there as are to be answered together, but not for long."""
        self._waiting += 1
        if self._waiting >= self.play.together:
            self._all_there.set()
        try:
            async with asyncio.timeout(_TOGETHER_FOR_S):
                await self._all_there.wait()
        except TimeoutError:
            self._all_there.set()


class CapabilityUpstream:
    """Answers chat completions, plain and streamed, as the run's `Play` says; or lets another upstream answer.

    Then only the server behaves as the play says: what it refuses, withholds or does not answer in time.
    """

    def __init__(self, answers: Upstream | None = None) -> None:
        self._answers = answers

    def session(self, script: Script) -> CapabilitySession:
        """The memory of a run that is about to start."""
        assert isinstance(script, Play)
        return CapabilitySession(script, self._answers.session(script) if self._answers else None)

    async def chat(self, body: bytes, request: dict[str, Any], session: Session, time_left_s: float) -> Reply:
        """See `Upstream.chat`."""
        assert isinstance(session, CapabilitySession)
        if refusal := await session.before(request):
            return _refused(refusal)
        if self._answers is not None and session.answers is not None:
            return await self._answers.chat(body, request, session.answers, time_left_s)
        try:
            if complaint := _without_results(request):
                return _refused(Refusal(status=400, says=complaint))
            completion = _completion(request, answer(session.play, request))
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            return _refused(Refusal(status=400, says=f"the request cannot be read: {error}"))
        if not request.get("stream"):
            return Reply(200, JSON_HEADERS, orjson.dumps(completion))
        with_usage = bool((request.get("stream_options") or {}).get("include_usage"))
        return Reply(200, STREAM_HEADERS, _stream(completion, with_usage, session.play.space_s))

    async def close(self) -> None:
        """Free what answers."""
        if self._answers is not None:
            await self._answers.close()


def answer(play: Play, request: dict[str, Any]) -> dict[str, Any]:
    """The model's message for a request."""
    messages, text = request.get("messages") or [], all_text(request)
    tools = {tool["function"]["name"]: tool["function"] for tool in request.get("tools") or []}
    for voice, says in play.voices.items():
        if voice in text:
            return _said(says)
    done = sum(_is_turn(message, play) for message in messages)
    if done < len(play.turns):
        calls = [(name, step.arguments) for step in play.turns[done] if (name := _offered(step, tools))]
        if calls:
            return _called(calls, done)
    if play.output is not None:
        return _typed(play, request, tools)
    if play.known:
        return _remembering(play, request, tools, text)
    return _said(play.answer)


def _is_turn(message: dict[str, Any], play: Play) -> bool:
    """Whether a message of the model's holds calls that the case expects."""
    expected = {step.tool for step in play.steps}
    return any(tool in call["function"]["name"] for call in _calls(message) for tool in expected)


def _offered(step: Step, tools: dict[str, Any]) -> str | None:
    """What the tool of a step is called in a request: frameworks may put something in front."""
    if step.tool in tools:
        return step.tool
    return next((name for name in tools if step.tool in name), None)


def _typed(play: Play, request: dict[str, Any], tools: dict[str, Any]) -> dict[str, Any]:
    """A value in the way that is asked for: as the text, or as the arguments of a tool whose parameters are its
    fields. What is spoiled is given until it stands in the request."""
    assert play.output is not None
    was_given = play.spoiled is None or _holds(request, play.spoiled)
    value = play.output if was_given or play.spoiled is None else play.spoiled
    as_text = request.get("response_format") not in (None, {"type": "text"})
    fitting = [name for name, tool in tools.items() if set(_properties(tool)) >= set(value)]
    if as_text or not fitting:
        return _said(orjson.dumps(value).decode())
    return _called([(fitting[0], value)], sum(bool(_calls(message)) for message in request["messages"]))


def _holds(request: dict[str, Any], value: dict[str, Any]) -> bool:
    """Whether the model gave this value already, by what the request shows."""
    for message in request.get("messages") or []:
        given = [text_of(message.get("content")), *(call["function"]["arguments"] for call in _calls(message))]
        if any(_parsed(text) == value or orjson.dumps(value).decode() in (text or "") for text in given):
            return True
    # Asked anew, with what was wrong and without what was given: the words of its fields are there.
    return all(str(part) in all_text(request) for part in value.values() if isinstance(part, str))


def _remembering(play: Play, request: dict[str, Any], tools: dict[str, Any], text: str) -> dict[str, Any]:
    """What a user says about themselves is noted with whatever tool there is for it, and is known if it was sent."""
    messages = request.get("messages") or []
    answers = [n for n, message in enumerate(messages) if message.get("role") == "assistant" and not _calls(message)]
    turn = messages[answers[-1] + 1 :] if answers else messages
    last = "\n".join(text_of(message.get("content")) for message in turn if message.get("role") == "user")
    made = [call["function"]["name"] for message in messages for call in _calls(message)]
    schema = _asked_schema(request)
    for question, fact in play.known.items():
        if schema is not None:
            return _said(orjson.dumps(_filled(schema, fact if fact in text else "", schema)).decode())
        if question in last:
            if fact.removesuffix(".") in text:
                return _said(play.answer)
            look_up = next((name for name in tools if _is_for(name, _READS) and name not in made), None)
            if look_up is not None:
                return _called([(look_up, _arguments(tools[look_up], question))], len(made))
            return _said("I do not know")
        if fact in text:
            keep = next((name for name in tools if _is_for(name, _WRITES) and not _is_for(name, _READS)), None)
            if keep is not None and keep not in made and play.told in last:  # and not what is remembered
                return _called([(keep, _arguments(tools[keep], fact))], len(made))
            if "<fact>" in text:
                return _said(f"<facts><fact>{fact}</fact></facts>")
            if _is_to_summarise(messages):
                return _said(f"Summary: the user keeps a travel diary, and said: {fact}")
    return _said("Noted.")


def _is_to_summarise(messages: list[dict[str, Any]]) -> bool:
    """Whether a request asks for a summary: by its last message, or by its first where that gives instructions."""
    first, last = (text_of(messages[number].get("content")).lower() for number in (0, -1))
    return "summar" in last or (messages[0].get("role") != "user" and re.search(r"summari[sz]", first) is not None)


def _is_for(name: str, words: tuple[str, ...]) -> bool:
    return any(word in name.lower() for word in words)


def _asked_schema(request: dict[str, Any]) -> dict[str, Any] | None:
    """The schema that a request wants its answer to follow, if it names one."""
    wanted = request.get("response_format") or {}
    schema = (wanted.get("json_schema") or {}).get("schema")
    return schema if isinstance(schema, dict) else None


def _arguments(tool: dict[str, Any], text: str) -> dict[str, Any]:
    """Arguments for a tool that the case does not know, with the text wherever text fits."""
    schema = tool.get("parameters") or {}
    value = _filled(schema, text, schema)
    return value if isinstance(value, dict) else {}


def _filled(schema: dict[str, Any], text: str, root: dict[str, Any]) -> Any:
    """A value that a JSON schema allows, with the text wherever text fits; without a text, with as little as can be."""
    if "$ref" in schema:
        target: Any = root
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            target = target[part]
        return _filled(target, text, root)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if options := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return _filled(options[0], text, root)
    kind = schema.get("type")
    kind = next((name for name in kind if name != "null"), "string") if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties") or {}
        required = schema.get("required", list(properties))
        return {name: _filled(part, text, root) for name, part in properties.items() if name in required}
    if kind == "array":
        return [_filled(schema.get("items") or {}, text, root)] if text else []
    return {"integer": 1, "number": 1, "boolean": False, "null": None}.get(str(kind), text)


def _properties(tool: dict[str, Any]) -> dict[str, Any]:
    properties = (tool.get("parameters") or {}).get("properties")
    return properties if isinstance(properties, dict) else {}


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    return message.get("tool_calls") or []


def _without_results(request: dict[str, Any]) -> str | None:
    """What the server says where calls in the messages are not followed by their results; None where all are."""
    messages = request.get("messages") or []
    lacking: list[str] = []
    for number, message in enumerate(messages):
        results = takewhile(lambda one: one.get("role") == "tool", messages[number + 1 :])
        given = {one.get("tool_call_id") for one in results}
        lacking += [call["id"] for call in _calls(message) if call.get("id") not in given]
    if not lacking:
        return None
    return (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(map(str, lacking))}"
    )


def _refused(refusal: Refusal) -> Reply:
    kind = {429: "rate_limit_exceeded", 400: "invalid_request_error"}.get(refusal.status, "server_error")
    headers = [*JSON_HEADERS]
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
    error = {"message": refusal.says, "type": kind, "param": None, "code": kind}
    return Reply(refusal.status, headers, orjson.dumps({"error": error}))


def _said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def _called(calls: list[tuple[str, dict[str, Any]]], turn: int) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": f"call_{turn + 1}_{number}",
                "type": "function",
                "function": {"name": name, "arguments": orjson.dumps(arguments).decode()},
            }
            for number, (name, arguments) in enumerate(calls, start=1)
        ],
    }


def _completion(request: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    prompt_tokens, completion_tokens = count_prompt_tokens(request), count_completion_tokens(message)
    content = orjson.dumps(request.get("messages") or [])
    return {
        "id": f"chatcmpl-{hashlib.sha256(content).hexdigest()[:16]}",
        "object": "chat.completion",
        "created": 0,
        "model": request.get("model"),
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": "tool_calls" if _calls(message) else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


async def _stream(completion: dict[str, Any], with_usage: bool, space_s: float) -> AsyncIterator[bytes]:
    """The completion as server-sent events, a word of its text at a time."""
    [choice] = completion["choices"]
    message = choice["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": message["content"] and ""}]
    words = (message["content"] or "").split(" ")
    deltas += [{"content": word if number == 0 else f" {word}"} for number, word in enumerate(words) if word]
    deltas += [{"tool_calls": [{"index": index, **call}]} for index, call in enumerate(_calls(message))]
    common = {key: completion[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    chunks = [{**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**common, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    if with_usage:
        chunks.append({**common, "choices": [], "usage": completion["usage"]})
    for number, chunk in enumerate(chunks):
        if number and message["content"]:
            await asyncio.sleep(space_s)
        yield b"data: " + orjson.dumps(chunk) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _parsed(text: str | None) -> Any:
    try:
        return orjson.loads(text or "null")
    except orjson.JSONDecodeError:
        return None
