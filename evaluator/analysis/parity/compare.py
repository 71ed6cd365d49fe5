"""Parity: what a framework puts on the wire beside the task's spec and the baseline, from traces alone.

**Against the spec** every answered chat call is compared with what the task's brief says of the agent whose turn it is:
the one most of whose tools are offered, or where none is, the one whose instructions were sent. Instructions, question,
tool results and the parameters of the request are looked at here, tools in `evaluator/wire/tool_schemas.py`. No
difference:

- blanks before and after instructions and question, and in the JSON of a tool result or of a tool call's arguments;
- parameters at the default that the protocol gives them (`stream: false`, `tool_choice: "auto"`, …) and nulls;
- anything before or after the words of a tool's error; the wording with which a handoff is confirmed;
- what a handoff tool is called and how it is described: handoff tools are listed, but need no explanation.

**Against the baseline** the calls of the same case and trial are paired by step. A step is whose turn it is, and which
tool calls the model has asked for so far in the run (handoffs aside, in any order). The pairs are the longest common
subsequence of the two runs' steps, so they keep the order, and the first of several calls at one step is paired first.
Where both runs made the same tool calls altogether, a call of the framework without a partner is an *extra call*, and
one of the baseline *fewer calls*. Where they did not, calls without a partner are the model's doing and are left alone;
but the scripted model asks for the same calls whatever the framework, so there this is a difference, too.

**Injected tokens** are the prompt tokens of a call less those of its partner, as the wire has them; those of an extra
call are all injected. They are split by part of the request, counted with `evaluator/wire/tokens.py`, which is also
how the scripted model counts; with other models a remainder is left, since they have a tokenizer and a template of
their own.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import chain
from typing import Any

import orjson

from evaluator.catalog.frameworks import Deviation
from evaluator.catalog.tasks import Task
from evaluator.providers.names import SCRIPTED
from evaluator.trace import Key, ModelCall, Trace, TracedToolCall
from evaluator.wire.messages import completion_of
from evaluator.wire.tokens import count_tokens, text_of
from evaluator.wire.tool_results import escaped, leaves, result_changes, search_text
from evaluator.wire.tool_schemas import ToolSpec, changes, collapsed, search_tool, spec_of

INFORMATION = frozenset({"handoff tool"})
"""Differences that need no explanation: every framework has its own way of handing over."""

PARTS = (
    *("system text", "user messages", "conversation", "tools", "handoff tools", "extra tools"),
    *("extra calls", "not attributed"),
)
"""Where injected tokens can lie. `conversation` is what agents and tools have said so far."""

_EXAMPLE_KEPT = 400
"""Characters of an example, of which every report shows fewer."""

_OTHER_SUITES = "conformance:"
"""How a deviation names what another suite finds."""

_HANDOFF = re.compile(r"hand.?(off|over)|transfer|delegate|route|coworker", re.IGNORECASE)

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


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference in one call. `tokens` are those that it adds there, where they can be told apart."""

    name: str
    example: str
    tokens: int | None = None


@dataclass(frozen=True)
class Step:
    """One answered chat call: `agent` had its turn after the tool calls `made`. `parts` are its tokens by part."""

    agent: str | None
    made: tuple[str, ...]
    prompt_tokens: int | None
    parts: dict[str, int]
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Observation:
    """What one trace says by itself: its steps, all tool calls asked for, and the documents that each search found."""

    key: Key
    steps: tuple[Step, ...]
    made: tuple[str, ...]
    found: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One run beside the baseline's. `injected` sums over `calls`, or is None where a call has no count of tokens."""

    key: Key
    calls: int
    injected: int | None
    parts: dict[str, int]
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Finding:
    """One difference over all runs of a framework × task. `deviations` are the numbers of those that explain it."""

    name: str
    runs: int
    tokens_per_call: float | None
    example: str
    deviations: tuple[int, ...]

    @property
    def explained(self) -> bool:
        """Whether a deviation explains it, or it needs none."""
        return bool(self.deviations) or self.name in INFORMATION


@dataclass(frozen=True)
class Parity:
    """All that differs in the runs of one framework × task on one model. Tokens are means for a call."""

    model: str
    framework: str
    task: str
    runs: int
    cases: frozenset[str]
    calls: int
    injected_per_call: float | None
    parts_per_call: dict[str, float]
    findings: tuple[Finding, ...]

    @property
    def unexplained(self) -> list[Finding]:
        """The findings that no deviation explains."""
        return [finding for finding in self.findings if not finding.explained]

    @property
    def explained(self) -> list[Finding]:
        """The findings that a deviation explains; what needs no explanation is left out."""
        return [finding for finding in self.findings if finding.deviations]


# --- the spec --------------------------------------------------------------------------------


@dataclass(frozen=True)
class AgentSpec:
    """What a request of an agent is read against."""

    name: str
    instructions: str
    tools: dict[str, ToolSpec]
    hands_over: bool


@dataclass(frozen=True)
class TaskSpec:
    """What the requests of a run are read against.

    `passages` are the documents to search by id, where the framework brings the search itself.
    """

    question: str
    agents: tuple[AgentSpec, ...]
    passages: dict[str, str]
    k: int

    def is_handoff(self, tool: str) -> bool:
        """Whether a tool that no agent owns looks like one that hands over to another agent."""
        if any(tool in agent.tools for agent in self.agents) or not any(agent.hands_over for agent in self.agents):
            return False
        words = re.split(r"[^a-z]+", tool.lower())
        return bool(_HANDOFF.search(tool)) or any(agent.name in words for agent in self.agents)


def task_spec(task: Task, case: dict[str, Any]) -> TaskSpec:
    """What `task` says of one case. Raises `pydantic.ValidationError` for a case that is none of this task."""
    return _task_spec(task, orjson.dumps(case))


@lru_cache(maxsize=256)
def _task_spec(task: Task, case: bytes) -> TaskSpec:
    brief = task.prepare(task.read_case(orjson.loads(case))).brief
    if hasattr(brief, "agents"):
        agents = tuple(
            AgentSpec(a.name, a.instructions.strip(), _by_name(map(spec_of, a.tools)), bool(a.handoffs))
            for a in brief.agents
        )
        return TaskSpec(brief.question.strip(), agents, {}, 0)
    if hasattr(brief, "search_tool_name"):
        tools = [search_tool(brief.search_tool_name, brief.search_tool_description)]
        passages, k = {document.id: document.passage for document in brief.documents}, brief.k
    else:
        tools, passages, k = [spec_of(tool) for tool in brief.tools], {}, 0
    agent = AgentSpec("the agent", brief.instructions.strip(), _by_name(tools), hands_over=False)
    return TaskSpec(brief.question.strip(), (agent,), passages, k)


def _by_name(tools: Iterable[ToolSpec]) -> dict[str, ToolSpec]:
    return {tool.name: tool for tool in tools}


# --- one trace -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asked:
    """A tool call that the model asked for; `written` are its arguments as they were written."""

    id: str | None
    name: str
    arguments: Any
    written: str


def observe(trace: Trace, task: Task) -> Observation:
    """Compare every answered chat call of a run with the spec of `task`.

    Raises `pydantic.ValidationError` for a case that is none of this task, and `AttributeError`, `LookupError`,
    `TypeError` or `ValueError` for requests that are no chat requests.
    """
    spec = task_spec(task, trace.case)
    asked: list[_Asked] = []
    said: set[str] = set()
    steps: list[Step] = []
    found: dict[str, tuple[str, ...]] = {}
    calls = [call for call in trace.chats if call.answered]
    if any(call.api != "chat_completions" for call in calls):
        raise ValueError("it uses the API `responses`, which is compared with nothing here")
    for call in sorted(calls, key=lambda call: call.start_s):
        request = _Request(call, spec, trace, tuple(asked), frozenset(said))
        steps.append(
            Step(
                agent=request.agent.name if request.agent else None,
                made=_made(asked, spec),
                prompt_tokens=call.input_tokens,
                parts=request.parts(),
                differences=tuple(request.differences()),
            )
        )
        found.update(request.found())
        reply = _reply(call)
        asked += _calls_in(reply)
        said.add(collapsed(text_of(reply.get("content"))))
    return Observation(trace.key, tuple(steps), _made(asked, spec), found)


def _made(asked: Iterable[_Asked], spec: TaskSpec) -> tuple[str, ...]:
    """The calls as text, without handoffs and in any order. Of a search only the words count."""
    calls = (call for call in asked if not spec.is_handoff(call.name))
    return tuple(sorted(_words(call) if spec.passages else f"{call.name} {_sorted(call.arguments)}" for call in calls))


def _words(call: _Asked) -> str:
    """The query of a search: the first argument that is text, whatever the framework calls it."""
    values = call.arguments.values() if isinstance(call.arguments, dict) else ()
    return next((value for value in values if isinstance(value, str)), "")


def _sorted(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _reply(call: ModelCall) -> dict[str, Any]:
    return completion_of(call.response).message or {}


def _calls_in(message: Mapping[str, Any]) -> list[_Asked]:
    return [
        _Asked(
            call.get("id"),
            call["function"]["name"],
            _parsed(call["function"].get("arguments")),
            str(call["function"].get("arguments")),
        )
        for call in message.get("tool_calls") or []
    ]


def _parsed(arguments: Any) -> Any:
    """Arguments as data: an empty object where there are none, the text where it is no JSON."""
    try:
        return orjson.loads(arguments or "{}")
    except (orjson.JSONDecodeError, TypeError):
        return str(arguments)


class _Request:
    """One chat request, and the spec and the history that it is to be read against."""

    def __init__(
        self, call: ModelCall, spec: TaskSpec, trace: Trace, asked: tuple[_Asked, ...], said: frozenset[str]
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
        self.agent = self._active()

    def _active(self) -> AgentSpec | None:
        offered = {tool["function"]["name"] for tool in self._tools}
        sent = collapsed("\n".join([*self._system, *self._user]))

        def fits(agent: AgentSpec) -> tuple[int, bool]:
            return len(offered & set(agent.tools)), collapsed(agent.instructions) in sent

        best = max(self._spec.agents, key=fits)
        return best if any(fits(best)) else None

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
                yield Difference(f"changed parameter: {key}", _sorted(after) if key in request else "not sent")

    def _instructions(self, agent: AgentSpec) -> Iterator[Difference]:
        system, wanted = "\n\n".join(self._system), agent.instructions
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
        elif agent.hands_over:
            yield Difference("missing tool: handoff", f"offered are {', '.join(names) or 'none'}")
        for tool in self._tools:
            name = tool["function"]["name"]
            if name in agent.tools:
                for change in changes(agent.tools[name], tool):
                    yield Difference(change.name, change.example)
            elif name not in handoffs:
                yield Difference(f"extra tool: {name}", _sorted(tool), count_tokens(orjson.dumps(tool).decode()))

    def _spelling(self) -> Iterator[Difference]:
        """How messages are spelled: what else they have but a role, a text and calls of tools."""
        for message in self._messages:
            if message["role"] not in ("system", "user", "assistant", "tool"):
                yield Difference(f"changed message: role {message['role']}", text_of(message.get("content")))
            if isinstance(message.get("content"), list):
                yield Difference("changed message: text in parts", _sorted(message["content"]))
            for field in sorted(set(message) - {"role", "content", "tool_calls", "tool_call_id"}):
                if message[field] not in (None, "", [], {}):
                    yield Difference(f"changed message: {field}", f"{message['role']}: {_sorted(message[field])}")

    def _history(self) -> Iterator[Difference]:
        """What agents and tools have said so far: words and calls of the model, and results."""
        known_ids = {call.id for call in self._asked}
        shown: list[_Asked] = []
        for message in self._messages:
            if message["role"] != "assistant":
                continue
            text = collapsed(text_of(message.get("content")))
            if text and text not in self._said:
                yield Difference("added message: assistant", text, count_tokens(text))
            for call in _calls_in(message):
                shown.append(call)
                alike = [one for one in self._asked if one.name == call.name]
                if not alike:
                    yield Difference("changed tool call: never asked for", f"{call.name} {_sorted(call.arguments)}")
                elif call.arguments not in [one.arguments for one in alike]:
                    yield Difference("changed tool call: arguments", f"{call.name} {_sorted(call.arguments)}")
                elif escaped(call.arguments, call.written):
                    yield Difference("changed tool call: letters escaped", call.written)
                if call.id not in known_ids:
                    yield Difference("changed tool call: id", str(call.id))
        yield from self._results(shown)

    def _results(self, shown: Sequence[_Asked]) -> Iterator[Difference]:
        by_id = {call.id: call for call in shown}
        made = [call for call in self._trace.tool_calls if call.end_s <= self._call.start_s]
        missing = [call for call in self._asked if not self._spec.is_handoff(call.name)]
        for message in self._messages:
            if message["role"] != "tool":
                continue
            text, call = text_of(message.get("content")), by_id.get(message.get("tool_call_id"))
            if call is None:
                yield Difference("changed tool result: without its call", text)
            elif not self._spec.is_handoff(call.name):
                answered = next((one for one in missing if _same(one, call)), None)
                if answered is not None:
                    missing.remove(answered)
                yield from self._result(call, text, made)
        # Short values stand in instructions and question by chance.
        told = "\n".join(text_of(message.get("content")) for message in self._messages)
        for known in (self._spec.question, *(agent.instructions for agent in self._spec.agents)):
            told = told.replace(known, "")
        for call in missing:
            done = _taken(made, call)
            values = leaves([done.result, _complaint(done)]) if done else []
            passages = self._spec.passages.values() if done is None else ()
            is_there = (values and all(value in told for value in values)) or any(one in told for one in passages)
            name = "moved tool result" if is_there else "missing tool result"
            yield Difference(name, f"{call.name} {_sorted(call.arguments)}")

    def _result(self, call: _Asked, text: str, made: list[TracedToolCall]) -> Iterator[Difference]:
        """How the text of one tool message differs from what the tool gave."""
        if self._spec.passages:
            for change, tokens in self._search_changes(text):
                yield Difference(f"changed tool result: {change}", text, tokens)
            return
        if not any(call.name in agent.tools for agent in self._spec.agents):
            return  # the model asked for a tool that there is not
        done = _taken(made, call)
        if done is None:
            yield Difference("changed tool result: the tool was not called", text)
        else:
            for change in result_changes(done.result, _complaint(done), text):
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

    def found(self) -> dict[str, tuple[str, ...]]:
        """The documents in each search result, by its query."""
        if not self._spec.passages:
            return {}
        calls = {call.id: call for message in self._messages for call in _calls_in(message)}
        results: dict[str, tuple[str, ...]] = {}
        for message in self._messages:
            if message["role"] == "tool" and message.get("tool_call_id") in calls:
                plain, _ = search_text(text_of(message.get("content")), self._spec.passages)
                places = {id: plain.find(passage) for id, passage in self._spec.passages.items()}
                ids = sorted((id for id, place in places.items() if place >= 0), key=lambda id: places[id])
                results[_words(calls[message["tool_call_id"]])] = tuple(ids)
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
                counts[part] += count_tokens(function["name"]) + count_tokens(function.get("arguments") or "")
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


_SYSTEM = ("system", "developer")


def _added(name: str, text: str, wanted: str) -> Iterator[Difference]:
    """The difference that `text` says more than `wanted`, if it does."""
    rest = text.replace(wanted, "", 1).strip() if wanted else text.strip()
    if rest:
        yield Difference(name, rest, count_tokens(rest))


def _same(asked: _Asked, shown: _Asked) -> bool:
    return asked.name == shown.name and (asked.id == shown.id or asked.arguments == shown.arguments)


def _taken(made: list[TracedToolCall], asked: _Asked) -> TracedToolCall | None:
    """The recorded call that answers `asked`, taken out of `made`: same arguments if possible, else same tool."""
    alike = [call for call in made if call.name == asked.name]
    wanted = asked.arguments if isinstance(asked.arguments, dict) else {}
    exact = (c for c in alike if all(c.arguments.get(name) == value for name, value in wanted.items()))
    call = next(exact, alike[0] if alike else None)
    if call is not None:
        made.remove(call)
    return call


def _complaint(call: TracedToolCall) -> str | None:
    """The words of a tool's error, without its type."""
    return call.error.partition(": ")[2] if call.error is not None else None


# --- two traces ------------------------------------------------------------------------------


def compare(run: Observation, baseline: Observation | None) -> Comparison:
    """A run beside the baseline's run of the same case; without one, what it says by itself."""
    if baseline is None:
        every = tuple(chain.from_iterable(step.differences for step in run.steps))
        return Comparison(run.key, len(run.steps), None, {}, every)
    pairs = _pairs(run.steps, baseline.steps)
    partner = dict(pairs)
    differences: list[Difference] = []
    parts: Counter[str] = Counter()
    injected: int | None = 0
    calls = 0
    same_calls = run.made == baseline.made
    for number, step in enumerate(run.steps):
        beside = baseline.steps[partner[number]] if number in partner else None
        if beside is None and same_calls:
            example = f"call {number + 1} of {len(run.steps)} has no partner among the baseline's {len(baseline.steps)}"
            differences.append(Difference("extra call", example, step.prompt_tokens))
        else:
            differences += step.differences
        if beside is None and not same_calls:
            continue
        calls += 1
        if step.prompt_tokens is None or (beside and beside.prompt_tokens is None):
            injected = None
            continue
        more = step.prompt_tokens - ((beside.prompt_tokens or 0) if beside else 0)
        injected = None if injected is None else injected + more
        if beside is None:
            parts["extra calls"] += more
            continue
        by_part = {part: step.parts.get(part, 0) - beside.parts.get(part, 0) for part in PARTS}
        parts.update(by_part)
        parts["not attributed"] += more - sum(by_part.values())
    if same_calls:
        for number in sorted(set(range(len(baseline.steps))) - set(partner.values())):
            differences.append(Difference("fewer calls", f"call {number + 1} of the baseline has no partner"))
    elif run.key.model == SCRIPTED:
        differences.append(Difference("other tool calls", _what_differs(run.made, baseline.made)))
    for query in sorted(run.found.keys() & baseline.found.keys()):
        ours, theirs = run.found[query], baseline.found[query]
        if ours != theirs:
            name = "documents in another order" if set(ours) == set(theirs) else "other documents"
            words = f"{query}: {', '.join(ours)} in place of {', '.join(theirs)}"
            differences.append(Difference(f"changed tool result: {name}", words))
    return Comparison(run.key, calls, injected, dict(parts), tuple(differences))


def compare_all(runs: Iterable[Observation], baseline: Iterable[Observation]) -> list[Comparison]:
    """Each run beside the baseline's run of the same case and trial, where there is one."""
    partners = {(one.key.case, one.key.trial): one for one in baseline}
    return [compare(run, partners.get((run.key.case, run.key.trial))) for run in runs]


def mean_per_call(parities: Iterable[Parity], part: str) -> float | None:
    """The injected tokens of a call that lie in `part`, over all calls of several tasks; None where there is none."""
    every = list(parities)
    calls = sum(one.calls for one in every)
    return sum(one.parts_per_call.get(part, 0) * one.calls for one in every) / calls if calls else None


def condensed(comparison: Comparison) -> Comparison:
    """As much of it as `summarise` needs: of each difference the first example, cut, and the tokens of all."""
    first: dict[str, Difference] = {}
    for one in comparison.differences:
        if (before := first.get(one.name)) is None:
            first[one.name] = Difference(one.name, " ".join(one.example.split())[:_EXAMPLE_KEPT], one.tokens)
        elif one.tokens is not None:
            first[one.name] = Difference(one.name, before.example, (before.tokens or 0) + one.tokens)
    return replace(comparison, differences=tuple(first.values()))


def _pairs(ours: Sequence[Step], theirs: Sequence[Step]) -> list[tuple[int, int]]:
    """The longest common subsequence of two runs' steps, as positions; of several the first."""
    a, b = [(step.agent, step.made) for step in ours], [(step.agent, step.made) for step in theirs]
    longest = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in reversed(range(len(a))):
        for j in reversed(range(len(b))):
            same = a[i] == b[j] and a[i][0] is not None
            longest[i][j] = longest[i + 1][j + 1] + 1 if same else max(longest[i + 1][j], longest[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if a[i] == b[j] and a[i][0] is not None:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif longest[i + 1][j] >= longest[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _what_differs(made: Sequence[str], expected: Sequence[str]) -> str:
    more, less = Counter(made) - Counter(expected), Counter(expected) - Counter(made)
    words = [f"also {call}" for call in more.elements()] + [f"not {call}" for call in less.elements()]
    return "; ".join(words)


# --- all runs of a framework × task ----------------------------------------------------------


def summarise(comparisons: Sequence[Comparison], deviations: Iterable[tuple[int, Deviation]] = ()) -> Parity:
    """The findings over the runs of one framework × task on one model; at least one run.

    `deviations` are those of the framework, numbered.
    """
    first = comparisons[0].key
    concerned = [(number, one) for number, one in deviations if one.task in (None, first.task)]
    ordered = sorted(comparisons, key=lambda one: (one.key.case, one.key.trial))
    calls = sum(one.calls for one in ordered)
    examples: dict[str, str] = {}
    runs: Counter[str] = Counter()
    tokens: dict[str, int] = {}
    for comparison in ordered:
        runs.update({difference.name for difference in comparison.differences})
        for difference in comparison.differences:
            examples.setdefault(difference.name, difference.example)
            if difference.tokens is not None:
                tokens[difference.name] = tokens.get(difference.name, 0) + difference.tokens
    counted = [one for one in ordered if one.injected is not None]
    of_counted = sum(one.calls for one in counted)
    parts = {part: sum(one.parts.get(part, 0) for one in counted) for part in PARTS}
    return Parity(
        model=first.model,
        framework=first.framework,
        task=first.task,
        runs=len(ordered),
        cases=frozenset(one.key.case for one in ordered),
        calls=calls,
        injected_per_call=sum(one.injected or 0 for one in counted) / of_counted if of_counted else None,
        parts_per_call={part: count / of_counted for part, count in parts.items() if count} if of_counted else {},
        findings=tuple(
            Finding(
                name=name,
                runs=runs[name],
                tokens_per_call=tokens[name] / calls if name in tokens and calls else None,
                example=examples[name],
                deviations=tuple(number for number, one in concerned if _explains(one, name)),
            )
            for name in sorted(examples, key=lambda name: (name.partition(":")[0], name))
        ),
    )


def _explains(deviation: Deviation, name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in deviation.differences)


def stale(parities: Iterable[Parity], deviations: Iterable[tuple[int, Deviation]]) -> list[tuple[int, str]]:
    """The patterns of a framework's deviations that explain nothing (any more), with the deviation's number.

    `parities` must be of all cases of the tasks that the deviations are about.
    """
    found = [(parity.task, finding.name) for parity in parities for finding in parity.findings]
    return [
        (number, pattern)
        for number, deviation in deviations
        for pattern in deviation.differences
        if not pattern.startswith(_OTHER_SUITES)
        and not any(deviation.task in (None, task) and fnmatchcase(name, pattern) for task, name in found)
    ]
