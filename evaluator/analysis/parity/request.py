"""One chat request beside the task's spec: every difference, and where its tokens lie."""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from evaluator.analysis.parity.calls import (
    Asked,
    Made,
    Waiting,
    alike,
    as_json,
    calls_in,
    complaint,
    searched_for,
    shown_marks,
)
from evaluator.analysis.parity.spec import AgentSpec, TaskSpec
from evaluator.trace import ModelCall, Trace
from evaluator.wire.tokens import count_tokens, text_of, written
from evaluator.wire.tool_results import escaped, leaves, result_changes, search_text
from evaluator.wire.tool_schemas import changes, collapsed

_DEFAULTS: dict[str, Any] = {
    "stream": False,
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "n": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logprobs": False,
    "store": False,
}
"""What the protocol takes where a request says nothing."""

_SYSTEM = ("system", "developer")

_MOST_MISSING = 200
"""How many results that no tool message has are looked for in the rest of a request, each in the whole of it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference in one call. `tokens` are those that it adds there, where they can be told apart."""

    name: str
    example: str
    tokens: int | None = None


class ChatRequest:
    """One chat request, and the spec and the history that it is to be read against."""

    def __init__(
        self, call: ModelCall, spec: TaskSpec, trace: Trace, asked: tuple[Asked, ...], said: frozenset[str]
    ) -> None:
        self._call = call
        self._spec = spec
        self._trace = trace
        self._asked = asked
        self._said = said
        self._messages: list[dict[str, Any]] = call.request.get("messages") or []
        self._tools: list[dict[str, Any]] = call.request.get("tools") or []
        self._system = [text_of(m.get("content")).strip() for m in self._messages if m["role"] in _SYSTEM]
        self._user = [text_of(m.get("content")).strip() for m in self._messages if m["role"] == "user"]
        self._documents: dict[str, dict[str, int]] = {}
        self.agent = self._active()

    def _active(self) -> AgentSpec | None:
        offered = {tool["function"]["name"] for tool in self._tools}

        def fits(agent: AgentSpec) -> tuple[int, bool]:
            return len(offered & set(agent.tools)), self._sent(self._wanted(agent))

        best = max(self._spec.agents, key=fits)
        return best if any(fits(best)) else None

    def _sent(self, text: str) -> bool:
        return collapsed(text) in collapsed("\n".join([*self._system, *self._user]))

    def _wanted(self, agent: AgentSpec) -> str:
        """Its instructions; where they name a tool that is offered under another name and say so, with that name."""
        offered = [tool["function"]["name"] for tool in self._tools]
        named = [name for name in agent.tools if name not in offered and name in agent.instructions]
        renamed = (agent.instructions.replace(old, new) for old in named for new in offered)
        return next(filter(self._sent, renamed), agent.instructions)

    def differences(self) -> Iterator[Difference]:
        """All differences from the spec, in the order in which a reader meets them."""
        yield from self._parameters()
        if self.agent is None:
            text = " ".join([*self._system, *self._user])
            yield Difference("missing instructions", f"neither instructions nor tools of any agent: {text}")
            return
        yield from self._instructions(self.agent)
        yield from self._question()
        yield from self._offered(self.agent)
        yield from self._spelling()
        yield from self._history()

    def _parameters(self) -> Iterator[Difference]:
        request = {key: value for key, value in self._call.request.items() if key not in ("messages", "tools")}
        named = self._trace.setup.replayed_model or self._trace.key.model
        without_endpoint = named.partition("/")[2]
        sent = request.get("model")
        model = without_endpoint if without_endpoint and sent == without_endpoint else named
        expected = {"model": model, "temperature": self._trace.setup.temperature}
        for key in sorted({*expected, *request}):
            before, after = expected.get(key, _DEFAULTS.get(key)), request.get(key)
            if after is None and key not in expected:
                continue
            if before != after or isinstance(before, bool) != isinstance(after, bool):
                yield Difference(f"changed parameter: {key}", as_json(after) if key in request else "not sent")

    def _instructions(self, agent: AgentSpec) -> Iterator[Difference]:
        system, wanted = "\n\n".join(self._system), self._wanted(agent)
        if wanted != agent.instructions:
            yield Difference("changed instructions: tool name", wanted)
        if wanted in system:
            yield from _added("added system text", system, wanted)
        elif collapsed(wanted) in collapsed(system):
            yield Difference("changed instructions: whitespace", system)
            yield from _added("added system text", collapsed(system), collapsed(wanted))
        elif any(wanted in text for text in self._user):
            yield Difference("moved instructions", "they stand in a user message")
            yield from _added("added system text", system, "")
        else:
            yield Difference("missing instructions", system or "there is no system message")

    def _question(self) -> Iterator[Difference]:
        question = self._spec.question
        rest = list(self._user)
        if question in rest:
            rest.remove(question)
        elif wrapping := [text for text in rest if question in text]:
            rest.remove(wrapping[0])
            yield from _added("wrapped question", wrapping[0], question)
        elif changed := [text for text in rest if collapsed(question) in collapsed(text)]:
            rest.remove(changed[0])
            yield Difference("changed question: whitespace", changed[0])
        elif question in "\n".join(self._system):
            yield Difference("moved question", "it stands in a system message")
        else:
            yield Difference("missing question", rest[-1] if rest else "there is no user message")
        for text in rest:
            name = "repeated question" if question in text else "added message: user"
            yield Difference(name, text, count_tokens(text))

    def _offered(self, agent: AgentSpec) -> Iterator[Difference]:
        names = [tool["function"]["name"] for tool in self._tools]
        for name in agent.tools:
            if name not in names:
                yield Difference(f"missing tool: {name}", f"offered are {', '.join(names) or 'none'}")
        own = [name for name in names if name in agent.tools]
        if len(own) == len(agent.tools) and own != list(agent.tools):
            yield Difference("changed order of tools", ", ".join(own))
        handoffs = [name for name in names if self._spec.is_handoff(name)]
        if handoffs:
            yield Difference("handoff tool", ", ".join(handoffs))
        elif agent.handover.targets:
            yield Difference("missing tool: handoff", f"offered are {', '.join(names) or 'none'}")
        for tool in self._tools:
            name = tool["function"]["name"]
            if name in agent.tools:
                for change in changes(agent.tools[name], tool):
                    yield Difference(change.name, change.example)
            elif name not in handoffs:
                yield Difference(f"extra tool: {name}", as_json(tool), count_tokens(orjson.dumps(tool).decode()))

    def _spelling(self) -> Iterator[Difference]:
        """How messages are spelled: what else they have but a role, a text and calls of tools."""
        for message in self._messages:
            if message["role"] not in ("system", "user", "assistant", "tool"):
                yield Difference(f"changed message: role {message['role']}", text_of(message.get("content")))
            if isinstance(message.get("content"), list):
                yield Difference("changed message: text in parts", as_json(message["content"]))
            for field in sorted(set(message) - {"role", "content", "tool_calls", "tool_call_id"}):
                if message[field] not in (None, "", [], {}):
                    yield Difference(f"changed message: {field}", f"{message['role']}: {as_json(message[field])}")

    def _history(self) -> Iterator[Difference]:
        """What agents and tools have said so far: words and calls of the model, and results."""
        known_ids = {call.id for call in self._asked}
        known_names = {call.name for call in self._asked}
        known_arguments = {(call.name, alike(call.arguments)) for call in self._asked}
        shown: list[Asked] = []
        for message in self._messages:
            if message["role"] != "assistant":
                continue
            text = collapsed(text_of(message.get("content")))
            if text and text not in self._said:
                yield Difference("added message: assistant", text, count_tokens(text))
            for call in calls_in(message):
                shown.append(call)
                if call.name not in known_names:
                    yield Difference("changed tool call: never asked for", f"{call.name} {as_json(call.arguments)}")
                elif (call.name, alike(call.arguments)) not in known_arguments:
                    yield Difference("changed tool call: arguments", f"{call.name} {as_json(call.arguments)}")
                elif escaped(call.arguments, call.written):
                    yield Difference("changed tool call: letters escaped", call.written)
                if call.id not in known_ids:
                    yield Difference("changed tool call: id", str(call.id))
        yield from self._results(shown)

    def _results(self, shown: Sequence[Asked]) -> Iterator[Difference]:
        by_id = {call.id: call for call in shown}
        made = Made(call for call in self._trace.tool_calls if call.end_s <= self._call.start_s)
        missing = Waiting((call for call in self._asked if not self._spec.is_handoff(call.name)), shown_marks)
        for message in self._messages:
            if message["role"] != "tool":
                continue
            text, call = text_of(message.get("content")), by_id.get(message.get("tool_call_id"))
            if call is None:
                yield Difference("changed tool result: without its call", text)
            elif not self._spec.is_handoff(call.name):
                missing.take(*shown_marks(call))
                yield from self._result(call, text, made)
        yield from self._not_told(missing.rest(), made)

    def _not_told(self, missing: Sequence[Asked], made: Made) -> Iterator[Difference]:
        """The results that no tool message has, and whether they stand elsewhere in the request."""
        if len(missing) > _MOST_MISSING:
            number = len(missing) - _MOST_MISSING
            yield Difference("missing tool result", f"{number} results more than are looked for elsewhere")
        for call in missing[:_MOST_MISSING]:
            done = made.take(call, self._spec.defaults(call.name))
            values = leaves([done.result, complaint(done)]) if done else []
            has_passages = done is None and any(one in self.told for one in self._spec.passages.values())
            is_there = has_passages or bool(values and all(value in self.told for value in values))
            name = "moved tool result" if is_there else "missing tool result"
            yield Difference(name, f"{call.name} {as_json(call.arguments)}")

    def _result(self, call: Asked, text: str, made: Made) -> Iterator[Difference]:
        """How the text of one tool message differs from what the tool gave."""
        if self._spec.passages:
            for change, tokens in self._search_changes(text):
                yield Difference(f"changed tool result: {change}", text, tokens)
            return
        if not any(call.name in agent.tools for agent in self._spec.agents):
            return  # the model asked for a tool that there is not
        done = made.take(call, self._spec.defaults(call.name))
        if done is None:
            yield Difference("changed tool result: the tool was not called", text)
        else:
            for change in result_changes(done.result, complaint(done), text):
                yield Difference(f"changed tool result: {change}", text)

    def _search_changes(self, text: str) -> Iterator[tuple[str, int | None]]:
        plain, how = search_text(text, self._spec.passages)
        for word in how:
            yield word, None
        found = [passage for passage in self._spec.passages.values() if passage in plain]
        if escaped(found, text):
            yield "letters escaped", None
        if not found:
            yield "no whole document", None
        elif len(found) != self._spec.k:
            yield "number of documents", None
        for passage in found:
            plain = plain.replace(passage, "")
        if found and plain.strip():
            yield "text added", count_tokens(plain.strip())

    @cached_property
    def told(self) -> str:
        """All that the request says but for question and instructions, in which short values stand by chance."""
        text = "\n".join(text_of(message.get("content")) for message in self._messages)
        for known in (self._spec.question, *(agent.instructions for agent in self._spec.agents)):
            text = text.replace(known, "")
        return text

    def result_of(self, asked: Asked) -> str | None:
        """What the request says that a call of the model gave; None where no message answers that call."""
        places = [place for mark in shown_marks(asked) if (place := self._results_by_mark.get(mark)) is not None]
        return text_of(self._messages[min(places)].get("content")) if places else None

    @cached_property
    def _shown(self) -> dict[str | None, Asked]:
        """The calls that the request shows, by their ids."""
        return {call.id: call for message in self._messages for call in calls_in(message)}

    @cached_property
    def _results_by_mark(self) -> dict[Hashable, int]:
        """The place of the first message with the result of a call, by what the call is known by."""
        places: dict[Hashable, int] = {}
        for place, message in enumerate(self._messages):
            call = self._shown.get(message.get("tool_call_id")) if message["role"] == "tool" else None
            for mark in shown_marks(call) if call is not None else ():
                places.setdefault(mark, place)
        return places

    def documents_in(self, text: str) -> dict[str, int]:
        """The places of the documents that stand whole in a text of the request, by their ids; in the spec's order."""
        if text not in self._documents:
            plain, _ = search_text(text, self._spec.passages)
            places = {id: plain.find(passage) for id, passage in self._spec.passages.items()}
            self._documents[text] = {id: place for id, place in places.items() if place >= 0}
        return self._documents[text]

    def found(self) -> dict[str, tuple[str, ...]]:
        """The documents in each search result, by its query."""
        if not self._spec.passages:
            return {}
        results: dict[str, tuple[str, ...]] = {}
        for message in self._messages:
            if message["role"] == "tool" and message.get("tool_call_id") in self._shown:
                places = self.documents_in(text_of(message.get("content")))
                query = searched_for(self._shown[message["tool_call_id"]])
                results[query] = tuple(sorted(places, key=lambda id: places[id]))
        return results

    def parts(self) -> dict[str, int]:
        """The tokens of each part of the request, which add up to `count_prompt_tokens` of it."""
        counts: Counter[str] = Counter()
        for message in self._messages:
            part = "conversation"
            if message["role"] in _SYSTEM:
                part = "system text"
            elif message["role"] == "user":
                part = "user messages"
            counts[part] += count_tokens(text_of(message.get("content")))
            for call in message.get("tool_calls") or []:
                function = call["function"]
                counts[part] += sum(count_tokens(written(function.get(name))) for name in ("name", "arguments"))
        groups: dict[str, list[Any]] = {"tools": [], "handoff tools": [], "extra tools": []}
        own = self.agent.tools if self.agent else {}
        for tool in self._tools:
            name = tool["function"]["name"]
            groups["tools" if name in own else "handoff tools" if self._spec.is_handoff(name) else "extra tools"] += [
                tool
            ]
        before, so_far = 0, []
        for part, tools in groups.items():
            if tools:
                so_far += tools
                whole = len(so_far) == len(self._tools)  # counted as sent, and so in the order in which they are sent
                after = count_tokens(orjson.dumps(self._tools if whole else so_far).decode())
                counts[part], before = after - before, after
        return dict(counts)


def _added(name: str, text: str, wanted: str) -> Iterator[Difference]:
    """The difference that `text` says more than `wanted`, if it does."""
    rest = text.replace(wanted, "", 1).strip() if wanted else text.strip()
    if rest:
        yield Difference(name, rest, count_tokens(rest))
