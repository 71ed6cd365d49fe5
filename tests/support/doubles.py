"""Servers made for tests, each of which does what another one is documented to do.

None of them is the real server, and none has a model: they answer the questions of `bakeoff doctor`
as a good server with a good model would, but for the one thing that the double's comment gives the
source of. `EXPECTED` is what doctor has to find, other than "ok".
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import orjson
from aiohttp import web

from evaluator.wire.tokens import text_of

Request = dict[str, Any]
Message = dict[str, Any]
Refusal = tuple[int, Any]

NAME = "m"
KEY = "sk-planted-key"


def calls_for(request: Request) -> list[Message]:
    """The calls that the last question asks for, with ids of nine letters and digits."""
    question = text_of(request["messages"][-1].get("content"))
    return [
        {
            "id": f"call0000{n}",
            "type": "function",
            "function": {"name": "get_weather", "arguments": f'{{"city":"{city}"}}'},
        }
        for n, city in enumerate(re.findall("Paris|Rome", question))
    ]


def good_message(request: Request) -> Message:
    """What a good model says to doctor's questions."""
    last = request["messages"][-1]
    said = text_of(last.get("content"))
    if request.get("response_format"):
        return {"role": "assistant", "content": '{"city": "Paris", "degrees": 17}'}
    if last["role"] == "tool":
        return {"role": "assistant", "content": f"Paris has {said}."}
    if request.get("tools"):
        return {"role": "assistant", "content": None, "tool_calls": calls_for(request)}
    return {"role": "assistant", "content": "1 2 3 4 5 6 7 8" if "Count" in said else "ready"}


def chunks_of(message: Message) -> list[Message]:
    """The deltas of a streamed message: a word at a time, a call at a time."""
    words = re.findall(r"\S+\s*", message.get("content") or "")
    calls = [{"tool_calls": [{"index": n, **call}]} for n, call in enumerate(message.get("tool_calls") or [])]
    return [{"content": word} for word in words] + calls


def refusal(message: str, status: int = 400) -> Refusal:
    """An error in the form that OpenAI gives it."""
    return status, {"error": {"message": message, "type": "invalid_request_error"}}


@dataclass(frozen=True)
class Double:
    """What a server does otherwise than a good one; `expected` is what doctor has to find other than "ok"."""

    refuses: Callable[[Request], Refusal | None] = lambda request: None
    says: Callable[[Request], Message] = good_message
    streams: Callable[[Message], list[Message]] = chunks_of
    usage: bool = True
    usage_when_streamed: bool = True
    lists: Any = field(default_factory=lambda: {"data": [{"id": NAME, "max_model_len": 32768}]})
    pages: dict[str, Any] = field(default_factory=dict)
    embeds: bool = True
    expected: dict[str, str] = field(default_factory=dict)


@contextlib.asynccontextmanager
async def served(double: Double, key: str | None = None) -> AsyncIterator[str]:
    """Serve a double on the loopback; gives its base URL. With `key`, no other is let in."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", partial(_answer, double, key))
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def _answer(double: Double, key: str | None, http: web.Request) -> web.StreamResponse:
    given = http.headers.get("Authorization", "")
    if key is not None and given != f"Bearer {key}":
        return web.json_response({"error": {"message": f"Incorrect API key provided: {given}"}}, status=401)
    if http.path == "/v1/models":
        return web.json_response(double.lists) if double.lists is not None else web.Response(status=404)
    if http.path == "/v1/embeddings" and double.embeds:
        return web.json_response({"data": [{"index": 0, "embedding": [0.5, 0.5, 0.5]}]})
    if http.path != "/v1/chat/completions":
        page = double.pages.get(http.path)
        return web.json_response(page) if page is not None else web.json_response({"detail": "Not Found"}, status=404)
    request = orjson.loads(await http.read())
    if refused := double.refuses(request):
        return web.json_response(refused[1], status=refused[0])
    message, usage = double.says(request), {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28}
    if not request.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {"id": "1", "object": "chat.completion", "created": 0, "model": NAME, "choices": [choice]}
        return web.json_response({**body, "usage": usage} if double.usage else body)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(http)
    events = [
        {"choices": [{"index": 0, "delta": delta}]} for delta in [{"role": "assistant"}, *double.streams(message)]
    ]
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if double.usage_when_streamed and (request.get("stream_options") or {}).get("include_usage"):
        events.append({"choices": [], "usage": usage})
    for event in events:
        await response.write(b"data: " + orjson.dumps(event) + b"\n\n")
        await asyncio.sleep(0.001)  # so that they come one by one
    await response.write(b"data: [DONE]\n\n")
    return response


def _any_message(has: Callable[[Message], bool]) -> Callable[[Request], bool]:
    return lambda request: any(has(message) for message in request["messages"])


def _refuses_if(
    recognizes: Callable[[Request], Any], message: str, status: int = 400
) -> Callable[[Request], Refusal | None]:
    return lambda request: refusal(message, status) if recognizes(request) else None


def _arguments_as_object(message: Message) -> Message:
    calls = message.get("tool_calls") or []
    read = [{**c, "function": {**c["function"], "arguments": orjson.loads(c["function"]["arguments"])}} for c in calls]
    return {**message, "tool_calls": read} if read else message


def _calls_as_text(message: Message) -> Message:
    texts = [f'<tool_call>\n{{"name": "get_weather", "arguments": {c["function"]["arguments"]}}}\n</tool_call>'
             for c in message.get("tool_calls") or []]  # fmt: skip
    return {"role": "assistant", "content": "\n".join(texts)} if texts else message


def _calls_all_at_index_0(message: Message) -> list[Message]:
    return [
        {"tool_calls": [{**call, "index": 0} for call in delta["tool_calls"]]} if "tool_calls" in delta else delta
        for delta in chunks_of(message)
    ]


def _tool_calls_as_object(message: Message) -> list[Message]:
    return [{"tool_calls": delta["tool_calls"][0]} if "tool_calls" in delta else delta for delta in chunks_of(message)]


def _twice_in_a_row(request: Request) -> bool:
    roles = [message["role"] for message in request["messages"]]
    return any(first == second != "tool" for first, second in pairwise(roles))


_BUILT_ON_TOOLS = (
    *("tool_call", "tool_call_streamed", "two_calls", "two_calls_streamed", "tool_result", "forms", "tool_choice"),
    *("parallel_tool_calls", "strict", "nulls", "null_content", "empty_content", "text_parts", "names"),
    *("user_twice", "assistant_twice"),
)

GOOD = Double()

DOUBLES = {
    "good": GOOD,
    # An empty list of tools is an error since April 2026: vllm-project/vllm, pull request 39780.
    "imitates_vllm": Double(
        refuses=_refuses_if(lambda request: request.get("tools") == [], "`tools` must not be an empty array"),
        embeds=False,
        expected={"empty_tools": "fails", "embeddings": "not applicable"},
    ),
    # Started without these options, it takes no tools: vllm-project/vllm, issue 9986, pull request 30613.
    "imitates_vllm_without_tool_parser": Double(
        refuses=_refuses_if(
            lambda request: request.get("tools"),
            '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
        ),
        expected={"tools": "fails", **dict.fromkeys(_BUILT_ON_TOOLS, "not made")},
    ),
    # Without --tool-call-parser nobody reads the calls out of the model's text: SGLang documentation, "Tool Parser".
    "imitates_sglang_without_tool_parser": Double(
        says=lambda request: _calls_as_text(good_message(request)),
        expected={
            "tool_call": "fails",
            "tool_call_streamed": "fails",
            "two_calls": "not made",
            "two_calls_streamed": "not made",
        },
    ),
    # No usage at the end of a stream: abetlen/llama-cpp-python, issues 1082 and 1640. The rest was seen with the real
    # one, version 0.3.36: null content, text as a list of parts and JSON schema are refused, and it lists no context.
    "imitates_llama_cpp_python": Double(
        refuses=lambda request: (
            refusal("6 validation errors: {'type': 'literal_error'}", 500)
            if _any_message(lambda message: message.get("content", "") is None)(request)
            else refusal('can only concatenate str (not "list") to str', 500)
            if _any_message(lambda message: isinstance(message.get("content"), list))(request)
            else refusal("Input should be 'text' or 'json_object'", 500)
            if (request.get("response_format") or {}).get("type") == "json_schema"
            else None
        ),
        usage_when_streamed=False,
        lists={"data": [{"id": NAME}]},
        embeds=False,
        expected={
            "stream_options": "limited",
            "forms": "limited",
            "null_content": "fails",
            "text_parts": "fails",
            "json_schema": "fails",
            "context": "not made",
            "embeddings": "not applicable",
        },
    ),
    # Arguments as an object, in streams calls as an object, and no message without content:
    # huggingface/text-generation-inference, issues 2136 and 2794, pull request 3036.
    "imitates_tgi_of_2024": Double(
        refuses=_refuses_if(
            _any_message(lambda message: "content" not in message), "missing field `content` at line 1 column 42", 422
        ),
        says=lambda request: _arguments_as_object(good_message(request)),
        streams=_tool_calls_as_object,
        lists={"data": [{"id": NAME}]},
        pages={"/info": {"max_total_tokens": 8192}},
        expected={
            "tool_call": "fails",
            "tool_call_streamed": "fails",
            "two_calls": "not made",
            "two_calls_streamed": "not made",
            "tool_result": "fails",
        },
    ),
    # A model whose template has no tools: ollama/ollama, issues 6027 and 14795.
    "imitates_ollama_with_a_model_without_tools": Double(
        refuses=lambda request: (
            (400, {"error": {"message": "registry.ollama.ai/library/m does not support tools", "type": "api_error"}})
            if request.get("tools")
            else None
        ),
        lists={"data": [{"id": NAME}]},
        pages={"/api/ps": {"models": [{"name": NAME, "context_length": 4096}]}},
        expected={"tools": "fails", **dict.fromkeys(_BUILT_ON_TOOLS, "not made")},
    ),
    # Streamed, the calls are dropped: earendil-works/pi, pull request 1125, on ollama/ollama 9632 and 12557.
    "imitates_ollama_of_2025": Double(
        streams=lambda message: [] if message.get("tool_calls") else chunks_of(message),
        expected={"tool_call_streamed": "fails", "two_calls_streamed": "not made"},
    ),
    # Reasoning models have a fixed temperature: gabrii/Cursor-Azure-GPT-5, issue 33; and no `max_tokens`:
    # griptape-ai/ComfyUI-Griptape, issue 312.
    "imitates_openai_reasoning_models": Double(
        refuses=lambda request: (
            refusal(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'."
            )
            if "max_tokens" in request
            else refusal("Unsupported value: 'temperature' does not support 0 with this model.")
            if "temperature" in request
            else None
        ),
        expected={"temperature": "fails", "max_tokens": "fails"},
    ),
    # Ids of calls have nine letters and digits: nearai/ironclaw, issue 1241. An empty list of tools is refused:
    # partITech/php-mistral, issue 76.
    "imitates_mistral": Double(
        refuses=lambda request: (
            refusal("Tool call id must be a-z, A-Z, 0-9, with a length of 9.")
            if any(
                not re.fullmatch("[a-zA-Z0-9]{9}", call["id"])
                for message in request["messages"]
                for call in message.get("tool_calls") or []
            )
            else (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "tools"], "input": []}]})
            if request.get("tools") == []
            else None
        ),
        expected={"empty_tools": "fails"},
    ),
    # JSON, but no schema: UKGovernmentBEIS/inspect_ai, issue 4916. No empty list of tools: runebookai/tome, PR 87.
    "imitates_deepseek": Double(
        refuses=lambda request: (
            refusal("This response_format type is unavailable now")
            if (request.get("response_format") or {}).get("type") == "json_schema"
            else refusal("Invalid 'tools': empty array.")
            if request.get("tools") == []
            else None
        ),
        embeds=False,
        expected={"json_schema": "fails", "empty_tools": "fails", "embeddings": "not applicable"},
    ),
    # `stream_options` was unknown: vercel/ai, pull request 1578.
    "imitates_groq_of_2024": Double(
        refuses=_refuses_if(lambda request: request.get("stream_options"), "property 'stream_options' is unsupported"),
        usage_when_streamed=False,
        expected={"stream_options": "fails"},
    ),
    # Streamed calls of one turn all have the index 0: NousResearch/hermes-agent, issue 62937.
    "imitates_gemini": Double(streams=_calls_all_at_index_0, expected={"two_calls_streamed": "fails"}),
    # `response_format` is ignored, and `strict`: Anthropic's documentation, "OpenAI SDK compatibility".
    "imitates_anthropic": Double(
        says=lambda request: good_message({**request, "response_format": None}),
        expected={"json_schema": "limited"},
    ),
    # Templates that want the roles to alternate: infiniflow/ragflow, issue 3062, with a Mistral model in Xinference.
    "imitates_xinference_with_a_mistral_model": Double(
        refuses=_refuses_if(
            _twice_in_a_row, "conversation roles must alternate user/assistant/user/assistant/...", 500
        ),
        expected={"forms": "limited", "user_twice": "fails", "assistant_twice": "fails"},
    ),
}
