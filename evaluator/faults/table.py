"""The table of faults. Adding one is adding a row.

A row says what happens and what a good framework does about it. What happens is data, or a pure function of the reply
that the model would have given: who plays the model (`evaluator/models/upstreams/faults.py`) and who runs the tools
(`evaluator/worker/faulty.py`) need nothing else.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from evaluator.wire.handoffs import is_handoff
from evaluator.worker.faulty import RetrievalFault, ToolFault

Message = dict[str, Any]
Layer = Literal["reply", "transport", "tool", "retrieval"]
Tools = dict[str, dict[str, Any]]
"""The functions that a request offers, by name."""

When = Literal["call", "answer", "handoff"]
"""The kinds of replies."""


@dataclass(frozen=True)
class Spoiled:
    """A reply as it comes after all, and how it ends where that is not as usual."""

    message: Message
    finish_reason: str | None = None


@dataclass(frozen=True)
class Around:
    """What a fault may need to know of a reply: the tools that the request offers, and the tool and arguments of the
    expected call that comes next, whoever has that tool."""

    tools: Tools
    ahead: tuple[str, dict[str, Any]] | None = None


Spoil = Callable[[Message, Around], Spoiled | None]
"""Makes a faulty reply of a sound one of the fault's kind, `when`; nothing where it does not fit."""


@dataclass(frozen=True)
class Transport:
    """What comes in place of a reply, or what becomes of it on the way.

    `status` and `body` are an error of the server's; `retry_after_s` is in seconds. `reset` closes the connection
    before anything comes. The others happen before the first byte, or `halfway`: the reply is `cut` there, or something
    is put in that makes it `malformed`, or nothing comes for `stall_s` seconds.
    """

    status: int | None = None
    body: bytes = b""
    content_type: bytes = b"application/json"
    retry_after_s: int | None = None
    reset: bool = False
    halfway: bool = False
    cut: bool = False
    malformed: bool = False
    stall_s: float = 0.0


@dataclass(frozen=True)
class Fault:
    """One row: what happens, and what a good framework does. One of the four says how it is done.

    `when` is the kind of reply that a fault of the model's or of the transport meets. A spoiled reply that
    `leaves_call` has the call in it all the same, which a framework may well make.
    """

    name: str
    happens: str
    wanted: str
    when: When = "call"
    spoil: Spoil | None = None
    transport: Transport | None = None
    tool: ToolFault | None = None
    retrieval: RetrievalFault | Literal["fails"] | None = None
    leaves_call: bool = False

    @property
    def layer(self) -> Layer:
        """Where it happens."""
        if self.spoil is not None:
            return "reply"
        if self.transport is not None:
            return "transport"
        return "tool" if self.tool is not None else "retrieval"

    @property
    def lasts(self) -> bool:
        """Whether it is there from the beginning of a run to its end: so are documents that are missing."""
        return self.retrieval in ("finds_nothing", "finds_duplicates")


# --- faults of the model's reply -------------------------------------------------------------


def _changed(message: Message, change: Callable[[Message], None]) -> Message:
    """The message with its first call's function changed, under ids that belong to no step."""
    changed = deepcopy(message)
    for call in changed["tool_calls"]:
        call["id"] = f"{call['id']}_f"
    change(changed["tool_calls"][0]["function"])
    return changed


def _first(message: Message) -> Message:
    """The function of the first call."""
    function: Message = message["tool_calls"][0]["function"]
    return function


def _arguments(function: Message) -> dict[str, Any]:
    read = orjson.loads(function["arguments"])
    return read if isinstance(read, dict) else {}


def _with(function: Message, arguments: dict[str, Any]) -> None:
    function["arguments"] = orjson.dumps(arguments).decode()


def _broken_json(message: Message, around: Around) -> Spoiled:
    """The arguments break off."""

    def cut(function: Message) -> None:
        function["arguments"] = function["arguments"][: max(len(function["arguments"]) - 2, 1)]

    return Spoiled(_changed(message, cut))


def _wrong_type(message: Message, around: Around) -> Spoiled | None:
    """A list stands where the first argument belongs."""
    if not (arguments := _arguments(_first(message))):
        return None
    first = next(iter(arguments))
    return Spoiled(_changed(message, lambda function: _with(function, {**arguments, first: [[1]]})))


def _missing_argument(message: Message, around: Around) -> Spoiled | None:
    """A required argument is left out."""
    function = _first(message)
    arguments, schema = _arguments(function), around.tools.get(function["name"], {}).get("parameters") or {}
    left_out = next((name for name in schema.get("required") or [] if name in arguments), None)
    if left_out is None:
        return None
    rest = {name: value for name, value in arguments.items() if name != left_out}
    return Spoiled(_changed(message, lambda function: _with(function, rest)))


def _extra_argument(message: Message, around: Around) -> Spoiled:
    """An argument is given that there is not."""
    changed = deepcopy(message)  # under its own id: whoever leaves the argument out makes the call
    function = _first(changed)
    _with(function, {**_arguments(function), "verbosity": "high"})
    return Spoiled(changed)


def _unknown_tool(message: Message, around: Around) -> Spoiled:
    """The call is of a tool that there is nowhere."""
    return Spoiled(_changed(message, lambda function: function.update(name="lookup_everything")))


def _no_reply(message: Message, around: Around) -> Spoiled:
    """Nothing is said and nothing is called."""
    return Spoiled({"role": "assistant", "content": ""}, "stop")


def _cut_call(message: Message, around: Around) -> Spoiled:
    """The reply ends at the limit of tokens, in the arguments of a call."""
    half = _changed(message, lambda f: f.update(arguments=f["arguments"][: len(f["arguments"]) // 2]))
    return Spoiled(half, "length")


def _cut_answer(message: Message, around: Around) -> Spoiled:
    """The reply ends at the limit of tokens, in the first half of the answer."""
    return Spoiled({**message, "content": message["content"][: len(message["content"]) // 3]}, "length")


def _call_as_text(message: Message, around: Around) -> Spoiled:
    """The call stands in the text, as models without a tool parser write it."""
    functions = [call["function"] for call in message["tool_calls"]]
    texts = [f'<tool_call>\n{{"name": "{f["name"]}", "arguments": {f["arguments"]}}}\n</tool_call>' for f in functions]
    return Spoiled({"role": "assistant", "content": "\n".join(texts)}, "stop")


def _and_again(message: Message, ending: str) -> tuple[Message, Message]:
    """The message with its first call made once more, under an id with that ending; and the function of that."""
    again = deepcopy(message["tool_calls"][0])
    again["id"] += ending
    return {**message, "tool_calls": [*message["tool_calls"], again]}, again["function"]


def _same_call_twice(message: Message, around: Around) -> Spoiled:
    """The call is made twice in one turn, with the same arguments."""
    both, _ = _and_again(message, "_again")
    return Spoiled(both)


def _contradictory_calls(message: Message, around: Around) -> Spoiled | None:
    """Beside the call there is one of the same tool with another value."""
    both, other = _and_again(message, "_other")
    arguments = _arguments(other)
    name = next((name for name, value in arguments.items() if isinstance(value, str)), None)
    if name is None:
        return None
    _with(other, {**arguments, name: f"{arguments[name]}-B"})
    return Spoiled(both)


def _unknown_agent(message: Message, around: Around) -> Spoiled:
    """The handoff is to an agent that there is not."""

    def misdirect(function: Message) -> None:
        schema = around.tools.get(function["name"], {}).get("parameters") or {}
        named = [name for name, one in (schema.get("properties") or {}).items() if isinstance(one, dict)]
        chooses = next((name for name in named if "enum" in schema["properties"][name] or "agent" in name), None)
        if chooses is None:
            function["name"] = "transfer_to_legal_department"
        else:
            _with(function, {**_arguments(function), chooses: "legal_department"})

    return Spoiled(_changed(message, misdirect))


def _tool_of_another_agent(message: Message, around: Around) -> Spoiled | None:
    """In place of the handoff comes the call that the other agent would make."""
    if around.ahead is None or around.ahead[0] in around.tools:
        return None
    name, arguments = around.ahead

    def call(function: Message) -> None:
        function["name"] = name
        _with(function, arguments)

    return Spoiled(_changed(message, call))


def _handoff_and_call(message: Message, around: Around) -> Spoiled | None:
    """Beside the handoff, a tool of the agent that hands over is called."""
    own = next((name for name in sorted(around.tools) if not is_handoff(name)), None)
    if own is None:
        return None
    calls, schema = message["tool_calls"], around.tools[own].get("parameters") or {}
    properties = schema.get("properties") or {}
    function: Message = {"name": own}
    _with(function, {name: _some(properties.get(name)) for name in schema.get("required") or []})
    call = {"id": f"{calls[0]['id']}_own", "type": "function", "function": function}
    return Spoiled({**message, "tool_calls": [call, *calls]})


def _some(schema: Any) -> Any:
    """Some value that a parameter takes, as far as its type says."""
    of = schema if isinstance(schema, dict) else {}
    if of.get("enum"):
        return of["enum"][0]
    values: dict[str, Any] = {"boolean": True, "integer": 1, "number": 1, "array": [], "object": {}}
    types = of.get("type") or [part.get("type") for part in of.get("anyOf") or []]
    first = types if isinstance(types, str) else next(iter(types), "string")
    return values.get(first, "unknown")


def _answers_too_early(message: Message, around: Around) -> Spoiled:
    """It says that it is going to do something, and does not."""
    return Spoiled({"role": "assistant", "content": "One moment, I am looking that up."}, "stop")


def _filtered(message: Message, around: Around) -> Spoiled:
    """The provider's filter has taken the reply."""
    return Spoiled({"role": "assistant", "content": None}, "content_filter")


_TOLD = "tells the model what was wrong, so that it can mend it, and does not call the tool"
_ASKED = "asks the model again, or ends with an error"
_RETRIED = "tries again, and no tool is called twice for it"

_OVERLOADED = b'{"error":{"type":"overloaded_error","message":"Overloaded"}}'
_LIMITED = b'{"error":{"type":"rate_limit_error","code":"rate_limit_exceeded","message":"Rate limit reached"}}'
_BROKEN = b'{"error":{"type":"server_error","message":"The server had an error while processing your request"}}'
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"

FAULTS: tuple[Fault, ...] = (
    Fault("broken_json", "The arguments of a call are no JSON.", _TOLD, spoil=_broken_json),
    Fault("wrong_type", "A list stands where an argument of another type belongs.", _TOLD, spoil=_wrong_type),
    Fault("missing_argument", "A required argument is left out.", _TOLD, spoil=_missing_argument),
    Fault(
        "extra_argument",
        "There is an argument that the tool has not.",
        f"{_TOLD}, or leaves it out",
        spoil=_extra_argument,
        leaves_call=True,
    ),
    Fault("unknown_tool", "A tool is called that there is not.", _TOLD, spoil=_unknown_tool),
    Fault("empty_reply", "The reply is empty.", _ASKED, spoil=_no_reply),
    Fault("cut_call", "A call is cut off at the limit of tokens.", _ASKED, spoil=_cut_call),
    Fault("cut_answer", "The answer is cut off at the limit of tokens.", _ASKED, when="answer", spoil=_cut_answer),
    Fault("call_as_text", "The call stands in the text.", _ASKED, spoil=_call_as_text),
    Fault(
        "same_call_twice",
        "The same call is made twice in one turn.",
        "cannot know that it is not meant; a guard against doing things twice would",
        spoil=_same_call_twice,
        leaves_call=True,
    ),
    Fault(
        "contradictory_calls",
        "Two calls in one turn contradict each other.",
        "calls both, and tells the model what each gave",
        spoil=_contradictory_calls,
        leaves_call=True,
    ),
    Fault(
        "tool_of_another_agent",
        "A tool of another agent is called, without a handoff.",
        _TOLD,
        when="handoff",
        spoil=_tool_of_another_agent,
    ),
    Fault("unknown_agent", "A handoff is to an agent that there is not.", _TOLD, when="handoff", spoil=_unknown_agent),
    Fault(
        "handoff_and_call",
        "A handoff and a call come in one turn.",
        "does both, or tells the model which it did not",
        when="handoff",
        spoil=_handoff_and_call,
    ),
    Fault(
        "answers_too_early",
        "The model announces a call and does not make it.",
        "cannot know; a check of the answer would",
        spoil=_answers_too_early,
    ),
    Fault(
        "content_filter", "The provider's filter takes the reply.", "ends with an error that says so", spoil=_filtered
    ),
    Fault(
        "status_429",
        "Too many requests, with Retry-After of 1 s.",
        _RETRIED,
        transport=Transport(429, _LIMITED, retry_after_s=1),
    ),
    Fault("status_500", "The server has an error.", _RETRIED, transport=Transport(500, _BROKEN)),
    Fault(
        "status_502", "A proxy answers with a page of HTML.", _RETRIED, transport=Transport(502, _HTML, b"text/html")
    ),
    Fault("status_529", "The server is overloaded.", _RETRIED, transport=Transport(529, _OVERLOADED)),
    Fault("reset", "The connection is closed before the first byte.", _RETRIED, transport=Transport(reset=True)),
    Fault("cut_in_call", "The reply breaks off in a call.", _RETRIED, transport=Transport(halfway=True, cut=True)),
    Fault(
        "cut_in_text",
        "The reply breaks off in the answer.",
        _RETRIED,
        when="answer",
        transport=Transport(halfway=True, cut=True),
    ),
    Fault(
        "stall",
        "Nothing comes for 3 s in the middle of the reply.",
        "waits",
        transport=Transport(halfway=True, stall_s=3),
    ),
    Fault("slow_first_byte", "The first byte comes after 3 s.", "waits", transport=Transport(stall_s=3)),
    Fault(
        "malformed_event",
        "The reply holds what is no JSON.",
        _RETRIED,
        transport=Transport(halfway=True, malformed=True),
    ),
    Fault("tool_raises", "A tool raises an exception.", "tells the model", tool="raises"),
    Fault("tool_times_out", "A tool answers nothing for 1 s and gives up.", "tells the model", tool="times_out"),
    Fault(
        "tool_returns_200_kb", "A tool returns 200 kB.", "passes it on, or says that it was cut", tool="returns_200_kb"
    ),
    Fault(
        "tool_returns_dirty_text",
        "A tool returns a text with control characters and instructions.",
        "passes it on as data",
        tool="returns_dirty_text",
    ),
    Fault("search_finds_nothing", "There is nothing to be found.", "tells the model", retrieval="finds_nothing"),
    Fault(
        "search_finds_duplicates",
        "Each document is there twice.",
        "passes on what was found",
        retrieval="finds_duplicates",
    ),
    Fault("search_fails", "The embedding of the query fails.", _RETRIED, retrieval="fails"),
)

BY_NAME = {fault.name: fault for fault in FAULTS}
