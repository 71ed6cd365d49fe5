"""Every way in which a request differs from the one that was sent in its place before."""

import difflib
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from evaluator.analysis.drift.matching import Sent
from evaluator.analysis.drift.texts import Known, changed_lines, counted, diff
from evaluator.text import shortened
from evaluator.wire.canonical import differences
from evaluator.wire.messages import calls_in, messages_in
from evaluator.wire.tokens import count_tokens, text_of, written
from evaluator.wire.tool_schemas import description_change, schema_changes, titles

SYSTEM, USER, ASSISTANT, RESULTS, TOOLS = (
    "system text",
    "user messages",
    "assistant messages",
    "tool results",
    "tools",
)
PARAMETERS = "parameters"

_PARTS = {"system": SYSTEM, "developer": SYSTEM, "user": USER, "assistant": ASSISTANT, "tool": RESULTS}
_ALIKE = 0.6
"""From which likeness of their descriptions on a tool that came is one that went under another name."""

_LONGEST_VALUE = 60
_OTHER_VALUES = "other values"

Message = dict[str, Any]
Tool = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """One change in one request or run: the part of it that changed, and what became of that, in words.

    What is of the same part, in the same words and of the same `shape` is the same change, wherever it is found.
    `tool` is the one that it is about, `detail` what is told of the first example, and `lines` that example's diff.
    `tokens` are those that it adds there, where they can be told apart.
    """

    part: str
    what: str
    shape: Hashable = ()
    tool: str = ""
    detail: str = ""
    tokens: int | None = None
    lines: tuple[str, ...] = ()


def part_of(message: Message) -> str:
    """The part of a request that a message belongs to."""
    role = str(message.get("role"))
    return _PARTS.get(role, f"{role} messages")


def tokens_by_part(request: dict[str, Any]) -> Counter[str]:
    """The tokens of each part of a request, which add up to `count_prompt_tokens` of it."""
    counts: Counter[str] = Counter()
    for message in messages_in(request):
        texts = [text_of(message.get("content"))]
        for call in calls_in(message):
            texts += [call.name, written(call.arguments)]
        counts[part_of(message)] += sum(map(count_tokens, texts))
    if request.get("tools"):
        counts[TOOLS] += count_tokens(orjson.dumps(request["tools"]).decode())
    return counts


def changes(before: Sent, after: Sent, known: Known, *, apart: bool = False) -> Iterator[Found]:
    """What changed from one request to the other; nothing where they are the same.

    That a tool which gave something else is told with other values is no drift. Of requests that come `apart`, after
    the model has asked for something else, only what both of them have can be compared: tools and parameters.
    """
    if before.form == after.form:
        return
    old, new = before.request, after.request
    renamed = renamed_tools(before, after)
    yield from _tools(old, new, renamed, known, apart)
    yield from _parameters(old, new)
    for found in _messages(messages_in(old), messages_in(new), renamed, known):
        if not apart and not (found.what == _OTHER_VALUES and found.tool in known.unsettled):
            yield found


# --- texts -----------------------------------------------------------------------------------


def _messages(old: list[Message], new: list[Message], renamed: dict[str, str], known: Known) -> Iterator[Found]:
    parts = dict.fromkeys(part_of(message) for message in [*old, *new])
    called_before, called = _called(old), _called(new)
    for part in parts:
        ours, theirs = ([message for message in messages if part_of(message) == part] for messages in (old, new))
        if part == SYSTEM:
            yield from _text(part, "\n\n".join(map(_said, ours)), "\n\n".join(map(_said, theirs)), known)
            yield from _form(part, ours, theirs)
            continue
        for before, after in _aligned(ours, theirs):
            message, names = (after, called) if after is not None else (before or {}, called_before)
            tool = names.get(str(message.get("tool_call_id")), "")
            if before is None or after is None:
                yield from _one_more_or_less(part, before, after, known, tool)
                continue
            yield from _text(part, _said(before), _said(after), known, tool)
            yield from _calls(part, before, after, renamed, known)
            yield from _rest(part, before, after)
    yield from _order(old, new)


def _said(message: Message) -> str:
    return text_of(message.get("content"))


def _called(messages: Sequence[Message]) -> dict[str, str]:
    """The names of the tools that were called, by the ids of the calls."""
    return {call.id: call.name for message in messages for call in calls_in(message) if call.id}


def _text(part: str, before: str, after: str, known: Known, tool: str = "") -> Iterator[Found]:
    if before == after:
        return
    old, new = known.masked(before), known.masked(after)
    tokens = count_tokens(after) - count_tokens(before)
    what = counted(before, after) if old != new else _OTHER_VALUES
    if "".join(before.split()) == "".join(after.split()):
        yield Found(part, "blanks and line breaks only", tool=tool, tokens=tokens, lines=diff(before, after))
        return
    if part == RESULTS and old != new:
        told, tells = known.told_as(tool, before), known.told_as(tool, after)
        if told and tells and told != tells:
            yield Found(part, f"{tells} in place of {told}", tool=tool, tokens=tokens, lines=diff(before, after))
            return
        what = "told otherwise"
    yield Found(part, what, changed_lines(diff(old, new)), tool, tokens=tokens, lines=diff(before, after))


def _aligned(old: Sequence[Message], new: Sequence[Message]) -> Iterator[tuple[Message | None, Message | None]]:
    """Messages of one part in pairs; one that came or went stands alone."""
    if len(old) == len(new):
        yield from zip(old, new, strict=True)
        return
    before, after = ([orjson.dumps(_without_ids(one)) for one in some] for some in (old, new))
    for _, i, i_end, j, j_end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        for number in range(max(i_end - i, j_end - j)):
            yield (
                old[i + number] if i + number < i_end else None,
                new[j + number] if j + number < j_end else None,
            )


def _without_ids(message: Message) -> list[Any]:
    """A message for the eye: what it says and asks for, without ids, which are others where one has come before."""
    return [message.get("role"), _said(message), [(call.name, call.arguments) for call in calls_in(message)]]


def _one_more_or_less(
    part: str, before: Message | None, after: Message | None, known: Known, tool: str
) -> Iterator[Found]:
    """A message that came or went: that of a tool by its name, any other by what it says."""
    message, sign, what = (after, 1, "one more") if after is not None else (before, -1, "one less")
    assert message is not None
    calls = calls_in(message)
    text = "\n".join(filter(None, [_said(message), *(f"{call.name} {written(call.arguments)}" for call in calls)]))
    lines = diff("", text) if sign > 0 else diff(text, "")
    tokens = count_tokens(text) * sign
    if names := [tool] if tool else list(dict.fromkeys(call.name for call in calls)):
        yield from (
            Found(part, what, tool=name, tokens=tokens if len(names) == 1 else None, lines=lines) for name in names
        )
    else:
        yield Found(part, what, known.masked(text), tokens=tokens, lines=lines)


def _calls(part: str, before: Message, after: Message, renamed: dict[str, str], known: Known) -> Iterator[Found]:
    """How the tool calls that a message shows are told otherwise."""
    old = [(renamed.get(call.name, call.name), written(call.arguments)) for call in calls_in(before)]
    new = [(call.name, written(call.arguments)) for call in calls_in(after)]
    if old == new:
        return
    said, says = (" ".join(f"{name} {arguments}" for name, arguments in calls) for calls in (old, new))
    alike = [(name, _read(arguments)) for name, arguments in old] == [(name, _read(text)) for name, text in new]
    what = "the same calls, their arguments written otherwise" if alike else "other calls"
    shape = () if alike else changed_lines(diff(known.masked(said), known.masked(says)))
    yield Found(part, what, shape, tokens=count_tokens(says) - count_tokens(said), lines=diff(said, says))


def _read(arguments: str) -> Any:
    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments


def _rest(part: str, before: Message, after: Message) -> Iterator[Found]:
    """What differs in a message beside its text and its calls: further fields, and how no text is written."""
    for line in differences(_bare(before), _bare(after)):
        place, _, how = line.partition(" was ")
        if how:
            what, _, detail = f"`{place}` was {how}".partition(": ")
            yield Found(part, what, detail=detail)
        else:
            place, _, became = line.partition(": ")
            yield Found(part, f"`{place}` became another", became if part == SYSTEM else (), detail=became)


def _bare(message: Message) -> dict[str, Any]:
    """A message without what it says; of its content and its calls only the form is left."""
    bare = {key: value for key, value in message.items() if key not in ("tool_calls", "tool_call_id")}
    if "content" in message:
        bare["content"] = _form_of(message["content"])
    if "tool_calls" in message:
        calls = message["tool_calls"] if isinstance(message["tool_calls"], list) else []
        keys = {key for call in calls if isinstance(call, dict) for key in call}
        bare["tool_calls"] = {key: "there" for key in sorted(keys)}
    return bare


def _form_of(content: Any) -> str:
    if content is None or content == "":
        return "null" if content is None else "an empty text"
    return "a list of parts" if isinstance(content, list) else "a text"


def _form(part: str, old: Sequence[Message], new: Sequence[Message]) -> Iterator[Found]:
    """How system messages differ beside their text."""
    if len(old) != len(new):
        yield Found(part, f"{len(old)} messages became {len(new)}")
        return
    for before, after in zip(old, new, strict=True):
        yield from _rest(part, before, after)


def _order(old: Sequence[Message], new: Sequence[Message]) -> Iterator[Found]:
    before, after = ([part_of(message) for message in messages] for messages in (old, new))
    if before != after and Counter(before) == Counter(after):
        yield Found("messages", "another order", detail=f"{', '.join(before)} became {', '.join(after)}")


# --- tools -----------------------------------------------------------------------------------


def _by_name(request: dict[str, Any]) -> dict[str, Tool]:
    tools = request.get("tools")
    listed = [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return {str(_function(tool).get("name")): tool for tool in listed}


def _function(tool: Tool) -> dict[str, Any]:
    function = tool.get("function", tool)
    return function if isinstance(function, dict) else {}


def _description(tool: Tool) -> str:
    return str(_function(tool).get("description") or "")


def _tokens_of(tool: Tool) -> int:
    return count_tokens(orjson.dumps(tool).decode())


def renamed_tools(before: Sent, after: Sent) -> dict[str, str]:
    """The tools that have another name and say about the same: the new name of each."""
    old, new = _by_name(before.request), _by_name(after.request)
    found: dict[str, str] = {}
    for gone in (name for name in old if name not in new):
        for came in (name for name in new if name not in old and name not in found.values()):
            if _function(old[gone]).get("parameters") == _function(new[came]).get("parameters") and (
                difflib.SequenceMatcher(None, _description(old[gone]), _description(new[came])).ratio() >= _ALIKE
            ):
                found[gone] = came
                break
    return found


def _tools(
    old: dict[str, Any], new: dict[str, Any], renamed: dict[str, str], known: Known, apart: bool
) -> Iterator[Found]:
    before, after = _by_name(old), _by_name(new)
    if not apart:
        yield from _offered(before, after, renamed)
    for name, tool in before.items():
        if (now := after.get(renamed.get(name, name))) is not None:
            found = list(_tool(tool, now, known))
            whole = _tokens_of(now) - _tokens_of(tool) if len(found) == 1 and name not in renamed else None
            for one in found:
                yield replace(one, tool=name, tokens=whole if one.tokens is None else one.tokens)


def _offered(before: dict[str, Tool], after: dict[str, Tool], renamed: dict[str, str]) -> Iterator[Found]:
    """The tools that went, came or have another name or place."""
    for name, tool in before.items():
        if name in renamed:
            came = renamed[name]
            tokens = _tokens_of(after[came]) - _tokens_of(tool)
            yield Found(TOOLS, f"has another name now, `{came}`", tool=name, tokens=tokens)
        elif name not in after:
            yield Found(TOOLS, "no longer offered", tool=name, tokens=-_tokens_of(tool))
    for name in [name for name in after if name not in before and name not in renamed.values()]:
        lines = diff("", _description(after[name]))
        yield Found(TOOLS, "offered now", tool=name, tokens=_tokens_of(after[name]), lines=lines)
    kept = [renamed.get(name, name) for name in before if renamed.get(name, name) in after]
    if kept != [name for name in after if name in kept]:
        yield Found(TOOLS, "another order", detail=f"{', '.join(before)} became {', '.join(after)}")


def _tool(before: Tool, after: Tool, known: Known) -> Iterator[Found]:
    """What changed in one tool but for its name."""
    old, new = _function(before), _function(after)
    yield from _described(_description(before), _description(after), known)
    if bool(old.get("strict")) != bool(new.get("strict")):
        yield Found(TOOLS, "strict now" if new.get("strict") else "no longer strict")
    asked, asks = (one.get("parameters") or {"type": "object"} for one in (old, new))
    found = schema_changes(asked, asks)
    if titles(asked) != titles(asks):
        yield Found(TOOLS, "the schema has titles" if titles(asks) > titles(asked) else "the schema has fewer titles")
    elif not found and asked != asks:
        yield Found(TOOLS, "the schema is written otherwise and says the same", lines=_schema_diff(asked, asks))
    for name, detail in found:
        yield Found(TOOLS, f"the schema changed: {name}", detail=detail)
    told = {"name", "description", "parameters", "strict"}
    others = [
        {key: value for key, value in {**tool, **function}.items() if key not in told | {"function"}}
        for tool, function in ((before, old), (after, new))
    ]
    for line in differences(others[0], others[1]):
        yield Found(TOOLS, "another field differs", line, detail=line)


def _described(before: str, after: str, known: Known) -> Iterator[Found]:
    if before == after:
        return
    word = description_change(before, after, []) or "whitespace"
    tokens, lines = count_tokens(after) - count_tokens(before), diff(before, after)
    shape = () if word in ("whitespace", "lost") else changed_lines(diff(known.masked(before), known.masked(after)))
    yield Found(TOOLS, f"the description changed: {word}", shape, tokens=tokens, lines=lines)


def _schema_diff(before: Any, after: Any) -> tuple[str, ...]:
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    return diff(orjson.dumps(before, option=options).decode(), orjson.dumps(after, option=options).decode())


# --- parameters ------------------------------------------------------------------------------


def _parameters(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Found]:
    for key in sorted({*old, *new} - {"messages", "tools"}):
        if key not in new:
            yield Found(PARAMETERS, f"`{key}` is no longer sent", detail=_json(old[key]))
        elif key not in old:
            yield Found(PARAMETERS, f"`{key}` is sent now", detail=_json(new[key]))
        elif _json(old[key]) != _json(new[key]):
            simple = not isinstance(old[key], dict | list) and not isinstance(new[key], dict | list)
            values = [shortened(_json(value), _LONGEST_VALUE) for value in (old[key], new[key])]
            what = f"from `{values[0]}` to `{values[1]}`" if simple else "to another"
            lines = () if simple else _schema_diff(old[key], new[key])
            yield Found(PARAMETERS, f"`{key}` changed {what}", lines=lines)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
