"""Probes: what a framework does when the model, a tool or the user does something unusual.

A probe is a run like any other, against a model that misbehaves in one set way, and it leaves a trace
like any other. What the framework did is read off the trace alone: `behaviours` says it in words, and
whether it will do. Where more than one answer is reasonable, each of them will do.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from pydantic import ValidationError

from evaluator import discovery
from evaluator.discovery import Framework, Task, baseline_first
from evaluator.gateway import assembled_message
from evaluator.models import PROBES_NAME, resolve
from evaluator.probe_briefs import AGENTS, ProbeCase, prepare
from evaluator.runner import Job, Settings
from evaluator.tokens import text_of
from evaluator.trace import Trace
from evaluator.upstreams.probes import SILENCE, ProbeScript
from tasks.base import Outcome, Step
from tasks.grading import Grade

SHORT_TIME_LIMIT_S = 1.5
"""Of the run whose model never answers."""

GRACE_S = 2.0
"""How long after it came to a limit, of time or of model calls, a run may end by itself."""

MAX_MODEL_CALLS = 6
MOST_REFUSED_CALLS = 2 * MAX_MODEL_CALLS
"""How many calls beyond the cap a run may try: a team in which each agent tries three times, say, makes a few."""

TEMPERATURE = 0.7
"""None of the defaults that frameworks have."""

EXPECTED_FAILURE = "conformance: "
"""What a deviation's `differences` begin with where it explains a probe that fails; the probe's name follows."""

_QUOTED = 160


def settings(**changes: Any) -> Settings:
    """The limits under which frameworks are probed."""
    model = resolve(PROBES_NAME, None, None)
    limits: dict[str, Any] = {
        "model": model,
        "timeout_s": model.timeout_s,
        "jobs": 1,
        "temperature": TEMPERATURE,
        "max_model_calls": MAX_MODEL_CALLS,
    }
    return Settings(**{**limits, **changes})


@dataclass(frozen=True)
class Behaviour:
    """What a framework did in one probe on one task.

    `words` are few and the same for all frameworks that did the same; `quote` is what the model or
    the user was told, if that matters. `acceptable` is false where only another behaviour is right.
    """

    probe: str
    task: str
    framework: str
    words: str
    acceptable: bool
    quote: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a judge says of one trace."""

    words: str
    acceptable: bool = True
    quote: str = ""


class Seen:
    """A probe's trace, as the judges look at it."""

    def __init__(self, trace: Trace, case: ProbeCase) -> None:
        self.trace = trace
        self.case = case
        self.chats = trace.chats

    def messages(self, number: int) -> list[dict[str, Any]]:
        """The messages of a request, the first being 0."""
        messages = self.chats[number].request.get("messages")
        return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []

    def text(self, number: int) -> str:
        """All text of a request."""
        return "\n".join(text_of(message.get("content")) for message in self.messages(number))

    @cached_property
    def later_text(self) -> str:
        """All text of the requests after the first."""
        return "\n".join(self.text(number) for number in range(1, len(self.chats)))

    def told(self, number: int) -> list[dict[str, Any]]:
        """What a request tells the model that the one before did not."""
        before = self.messages(number - 1)
        return [m for m in self.messages(number) if m not in before and m.get("role") != "assistant"]

    @property
    def ending(self) -> Verdict:
        """How the run ended."""
        outcome = self.trace.outcome
        if outcome.ended == "call_limit":
            return Verdict("the run ends with an error at the cap")
        if outcome.ended != "answered":
            name = re.match(r"\w+(?=: )", outcome.error or "")
            return Verdict(f"the run ends with {name[0] if name else 'an error'}", quote=outcome.error or "")
        if not outcome.answer.strip():
            return Verdict("the answer is empty")
        if outcome.answer == self.case.answer:
            return Verdict("the run goes on to its answer")
        return Verdict("the run ends with words as its answer", quote=outcome.answer)

    @property
    def reaction(self) -> Verdict:
        """What the framework did about the model's first reply, and how the run ended."""
        ending = self.ending
        if len(self.chats) < 2:
            return ending
        told = "\n".join(text_of(message.get("content")) for message in self.told(1))
        what = "the model is told" if told.strip() else "the model is asked again"
        return Verdict(f"{what}, {ending.words}", quote=told or ending.quote)

    @property
    def asks_for_one_call(self) -> bool:
        """Whether the framework asks the model for one call a turn."""
        return any(chat.request.get("parallel_tool_calls") is False for chat in self.chats)

    @property
    def went_on(self) -> bool:
        """Whether the run came to the answer that the model gives at the end of its script."""
        return self.trace.outcome.ended == "answered" and self.case.answer in self.trace.outcome.answer


Judge = Callable[[Seen], Verdict]


def _fatal(seen: Seen) -> Verdict | None:
    """What will do in no probe."""
    trace = seen.trace
    refused = next((call for call in trace.model_calls if call.status >= 400), None)
    if trace.resources.cpu_s is None:
        return Verdict("the worker is lost", False, trace.outcome.error or "")
    if trace.outcome.ended == "timeout" and seen.case.fault != SILENCE:
        return Verdict("hangs until its time limit", False)
    if refused is not None:
        return Verdict("sends what the model's server refuses", False, str(refused.response))
    if not seen.chats and seen.case.fault != SILENCE:
        return Verdict("asks the model nothing", False, trace.outcome.error or "")
    if left_open := _calls_without_result(seen):
        return Verdict("leaves calls without a result in the conversation", False, ", ".join(left_open))
    return None


def _calls_without_result(seen: Seen) -> list[str]:
    """The calls that stand in a request without a result; many servers refuse such a request."""
    names: list[str] = []
    for number in range(len(seen.chats)):
        messages = seen.messages(number)
        answered = {message.get("tool_call_id") for message in messages}
        calls = [call for message in messages for call in message.get("tool_calls") or []]
        names += [call["function"]["name"] for call in calls if call.get("id") not in answered]
    return list(dict.fromkeys(names))


# --- judges ----------------------------------------------------------------------------------


def _stops_at_the_cap(seen: Seen) -> Verdict:
    """The gateway enforces the cap, and a framework may have one of its own: either will do."""
    outcome, made, cap = seen.trace.outcome, len(seen.chats), seen.trace.setup.max_model_calls
    if outcome.refused_calls > MOST_REFUSED_CALLS:
        return Verdict("asks again and again after the gateway has refused", False, f"{outcome.refused_calls} times")
    if seen.trace.resources.wall_s - seen.chats[-1].end_s > GRACE_S:
        return Verdict(f"ends more than {GRACE_S:.0f} s after its last model call", False)
    whose = "the gateway's" if outcome.refused_calls else "its own"
    ending = seen.ending
    if outcome.ended == "call_limit":
        how = "with words as its answer" if outcome.answer.strip() else "without an answer"
        ending = Verdict(f"the run ends {how}", quote=outcome.answer)
    return Verdict(f"{made} of {cap} calls, then {ending.words}, by {whose} cap", made >= cap - 1, ending.quote)


def _keeps_the_time_limit(seen: Seen) -> Verdict:
    outcome, limit = seen.trace.outcome, seen.trace.setup.timeout_s
    if outcome.ended != "timeout":
        return Verdict(f"ends otherwise: {seen.ending.words}", False, seen.ending.quote)
    if seen.trace.resources.wall_s > limit + GRACE_S:
        return Verdict(f"ends more than {GRACE_S:.0f} s after its time limit", False)
    return Verdict("ends at its time limit")


def _sends_the_temperature(seen: Seen) -> Verdict:
    wanted = seen.trace.setup.temperature
    sent = [chat.request.get("temperature") for chat in seen.chats]
    if all(value == wanted for value in sent):
        return Verdict("sent with each request")
    return Verdict(f"sends {', '.join(sorted({str(value) for value in sent}))} in place of {wanted}", False)


def _tells_the_error(seen: Seen) -> Verdict:
    assert seen.case.refusal is not None
    if not seen.trace.tool_calls:
        return Verdict("the tool is not called", False, seen.reaction.quote)
    if _how_it_stands(seen.case.refusal, seen.later_text) in _INTACT:
        number = next(n for n in range(1, len(seen.chats)) if seen.told(n))
        return Verdict("the model is told why", quote=text_of(seen.told(number)[0].get("content")))
    reaction = seen.reaction
    return Verdict(f"the model is not told why: {reaction.words}", False, reaction.quote)


_TYPES = {
    "day": "date",
    "moment": "datetime",
    "mood": "Mood",
    "weight": "float",
    "seat": "Seat",
    "others": ["Seat", "Seat"],
    "kind": "str",
    "until": "NoneType",
}
_VISIT = {
    "day": "2026-05-01",
    "moment": "2026-05-01T19:30:00",
    "mood": "cross",
    "weight": 61.5,
    "seat": {"row": 3, "letter": "C"},
    "others": [{"row": 3, "letter": "D"}, {"row": 3, "letter": "E"}],
}


def _gives_typed_values(seen: Seen) -> Verdict:
    call = next((call for call in seen.trace.tool_calls if call.name == "describe"), None)
    if call is None or not isinstance(call.result, dict):
        return Verdict("the tool does not get its values", False, (call and call.error) or seen.reaction.quote)
    wrong = [f"{name}: {_in_words(got)}" for name, got in call.result.items() if got != _TYPES[name]]
    return Verdict("not as annotated", False, ", ".join(wrong)) if wrong else Verdict("as annotated")


def _in_words(types: Any) -> str:
    return f"list of {', '.join(dict.fromkeys(map(str, types)))}" if isinstance(types, list) else str(types)


def _stops_the_wrong_type(seen: Seen) -> Verdict:
    results = [call.result for call in seen.trace.tool_calls if call.name == "book" and call.error is None]
    for result in results:
        if result != {"day": "date", "seats": "int"}:
            return Verdict("the tool is called with values of the wrong type", False, json.dumps(result))
    return seen.reaction


_INTACT = ("unchanged", "as JSON text", "as a Python literal", "as JSON text twice")


def _how_it_stands(text: str, where: str) -> str:
    """In which form `text` stands in a longer one."""
    once = json.dumps(text, ensure_ascii=False)[1:-1]
    forms = {
        "unchanged": text,
        "as JSON text": once,
        "as a Python literal": repr(text)[1:-1],
        "as JSON text twice": json.dumps(once, ensure_ascii=False)[1:-1],
        "escaped": json.dumps(text)[1:-1],
    }
    for form, spelled in forms.items():
        if spelled in where:
            return form
    right = _longest_beginning(once, where)
    return f"cut or changed after {right:,} characters" if right else "lost"


def _longest_beginning(text: str, where: str) -> int:
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text[:middle] in where else (low, middle - 1)
    return low


def _carries_texts(seen: Seen) -> Verdict:
    case, first = seen.case, seen.text(0)
    how = {"question": _how_it_stands(case.question, first), "result": _how_it_stands(case.found, seen.later_text)}
    if case.text:
        how["instructions"] = _how_it_stands(case.text, first)
    if wanted := [step.arguments["title"] for turn in case.turns for step in turn if step.tool == "find_note"]:
        got = [call.arguments.get("title") for call in seen.trace.tool_calls if call.name == "find_note"]
        how["argument"] = "unchanged" if got == wanted else _how_it_stands(wanted[0], str(got[0]) if got else "")
    how["answer"] = _how_it_stands(case.answer, seen.trace.outcome.answer)
    changed = [f"{what} {form}" for what, form in how.items() if form != "unchanged"]
    # A result may be written as JSON; what a person wrote and what the tool gets may not change at all.
    right = all(form in (_INTACT if what == "result" else ("unchanged",)) for what, form in how.items())
    quote = "" if right or seen.trace.outcome.ended == "answered" else seen.trace.outcome.error or ""
    return Verdict(", ".join(changed) or "all unchanged", right, quote)


def _carries_long_texts(seen: Seen) -> Verdict:
    """To cut what is long may be reasonable, so how it is cut is only told."""
    return replace(_carries_texts(seen), acceptable=True)


def _reacts(seen: Seen) -> Verdict:
    return seen.reaction


def _bears_silence(seen: Seen) -> Verdict:
    asked_again = {1: "", 2: "the model is asked once more, "}.get(len(seen.chats), "the model is asked again, ")
    return replace(seen.ending, words=asked_again + seen.ending.words)


def _makes_both(seen: Seen) -> Verdict:
    wanted = [step.arguments["title"] for step in seen.case.turns[0]]
    calls = [call for call in seen.trace.tool_calls if call.name == "find_note"]
    asked_again_s = seen.chats[1].start_s if len(seen.chats) > 1 else float("inf")
    at_first = [str(call.arguments.get("title")) for call in calls if call.start_s < asked_again_s]
    if seen.asks_for_one_call:
        words = "asks for one call a turn"
    elif sorted(at_first) == sorted(wanted):
        words = "makes both" if at_first == wanted else "makes both, the second first"
    else:
        words = f"makes {' and '.join(at_first) or 'neither'} of {' and '.join(wanted)}"
        words += ", the other when asked again" if len(calls) == len(wanted) else ""
    done = seen.went_on and len(calls) == len(wanted)
    return Verdict(words, done, "" if done else seen.ending.quote)


def _makes_call_and_handoff(seen: Seen) -> Verdict:
    called = bool(seen.trace.tool_calls) and seen.trace.tool_calls[0].name == "find_note"
    booked = any(call.agent == AGENTS[1] for call in seen.trace.tool_calls)
    if seen.asks_for_one_call:
        words = "asks for one call a turn"
    elif called and booked:
        known = _how_it_stands(seen.case.found, seen.text(len(seen.chats) - 1)) in _INTACT
        words = "makes the call and hands over" + ("" if known else ", the specialist does not learn of the result")
    else:
        words = f"the call is {'made' if called else 'dropped'}, the handoff is {'made' if booked else 'dropped'}"
    return Verdict(words, seen.went_on, "" if seen.went_on else seen.ending.quote)


def _keeps_runs_apart(seen: Seen) -> Verdict:
    others = [marker for marker in _MARKERS if marker not in seen.case.question]
    trace = seen.trace
    heard = json.dumps([[call.request for call in trace.model_calls], trace.outcome.answer], ensure_ascii=False)
    heard += json.dumps([[call.arguments, call.result] for call in trace.tool_calls], ensure_ascii=False)
    if leaked := [marker for marker in others if marker in heard]:
        return Verdict("something of another run came in", False, ", ".join(leaked))
    if not seen.went_on:
        return Verdict(f"nothing came in of another run, {seen.ending.words}", False, seen.ending.quote)
    at_once = f"Runs at once: {len(_MARKERS)}."
    overlapped = at_once in text_of(assembled_message(seen.chats[-1].response).get("content"))
    return Verdict("kept apart" if overlapped else "kept apart, by making them one after another")


# --- the probes ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """One row: what happens, in which tasks and with which cases, and who judges it."""

    name: str
    meaning: str
    judge: Judge
    cases: tuple[ProbeCase, ...] = field(repr=False)
    timeout_s: float | None = None

    def verdict(self, trace: Trace, case: ProbeCase) -> Verdict:
        """What one trace of this probe shows."""
        seen = Seen(trace, case)
        return _fatal(seen) or self.judge(seen)


_ANSWER = "It is done."
_REFUSAL = "The note is locked away until the 7th of May."
_AWKWARD = (
    "Grüße, 你好, مرحبا, שלום, ไทย, e\u0301, 👩‍👩‍👧‍👦🏳️‍🌈 “curly” \"straight\" 'single' back\\slash "
    "{placeholder} {{double}} {0} %s ${dollar} {% tag %} <b>&amp;</b> [brackets]\nsecond line\ttab\n\nlast"
)
_LONG = " ".join(f"Line {number:04} of a long report." for number in range(1, 646))
_MARKERS = ("amberfield", "birchwater", "coralstone", "dellhaven")


def _find(title: str, agent: str = AGENTS[0], **fields: Any) -> Step:
    return Step(tool="find_note", arguments={"title": title}, agent=agent, **fields)


_BOOK = Step(tool="book", arguments={"day": "2026-05-01", "seats": 3}, agent=AGENTS[1])


def _cases(probe: str, *tasks: str, **fields: Any) -> tuple[ProbeCase, ...]:
    """A case for each task: one call or search, in a team with a handoff, and the answer."""
    return tuple(_case(probe, task, **fields) for task in tasks or ("handoff", "rag_qa", "tool_calling"))


def _case(probe: str, task: str, title: str = "the plan", **fields: Any) -> ProbeCase:
    scripts: dict[str, dict[str, Any]] = {
        "handoff": {"turns": [[_find(title)], [_BOOK]]},
        "rag_qa": {"searches": ["note"]},
        "tool_calling": {"turns": [[_find(title)]]},
    }
    common = {"id": probe, "kind": probe, "task": task, "question": "What does the note say?", "answer": _ANSWER}
    return ProbeCase.model_validate({**common, **scripts[task], **fields})


def _concurrent() -> tuple[ProbeCase, ...]:
    return tuple(
        _case(
            "concurrency",
            task,
            title=f"the plan for {marker}",
            id=f"concurrency-{number}",
            question=f"What does the note for {marker} say?",
            found=f"The note for {marker}.",
            facts=[f"The note for {marker}"],
            together=f"concurrency {task}",
        )
        for task in ("handoff", "rag_qa", "tool_calling")
        for number, marker in enumerate(_MARKERS, start=1)
    )


PROBES: tuple[Probe, ...] = (
    Probe(
        "endless_calls",
        "The model calls tools for ever, in a team after one handoff.",
        _stops_at_the_cap,
        (
            _case("endless_calls", "handoff", fault="endless_calls", turns=[[_BOOK]]),
            *_cases("endless_calls", "rag_qa", "tool_calling", fault="endless_calls", turns=[]),
        ),
    ),
    Probe(
        "endless_handoffs",
        "Two agents hand over to one another for ever.",
        _stops_at_the_cap,
        _cases("endless_handoffs", "handoff", fault="endless_handoffs", turns=[[_BOOK], [_find("the plan")]]),
    ),
    Probe(
        "slow_model",
        "The model never answers.",
        _keeps_the_time_limit,
        _cases("slow_model", fault=SILENCE),
        timeout_s=SHORT_TIME_LIMIT_S,
    ),
    Probe("temperature", f"A temperature of {TEMPERATURE} is set.", _sends_the_temperature, _cases("temperature")),
    Probe(
        "tool_error",
        "A tool refuses with an error meant for the model.",
        _tells_the_error,
        _cases("tool_error", "handoff", "tool_calling", refusal=_REFUSAL),
    ),
    Probe(
        "typed_values",
        "A tool takes dates, an enumeration, and nested models.",
        _gives_typed_values,
        _cases(
            *("typed_values", "tool_calling"),
            tools=["describe"],
            turns=[[Step(tool="describe", arguments=_VISIT)]],
        ),
    ),
    Probe(
        "wrong_type",
        "The model calls a tool with texts where a date and a number belong.",
        _stops_the_wrong_type,
        _cases("wrong_type", "tool_calling", fault="wrong_type"),
    ),
    Probe(
        "unicode",
        "Scripts of the world, emoji, quotes, braces and line breaks, in all that is said.",
        _carries_texts,
        _cases(
            "unicode",
            **{name: f"{name}: {_AWKWARD}" for name in ("title", "question", "text", "found", "answer")},
        ),
    ),
    Probe(
        "long_input",
        f"A question of {len(_LONG):,} characters, and a result as long.",
        _carries_long_texts,
        _cases("long_input", "tool_calling", question=f"Question: {_LONG}", found=f"Note: {_LONG}"),
    ),
    Probe(
        "empty_content",
        "The model says nothing, twice.",
        _bears_silence,
        _cases("empty_content", fault="empty_content"),
    ),
    Probe(
        "unknown_tool",
        "The model calls a tool that it was not offered.",
        _reacts,
        _cases("unknown_tool", fault="unknown_tool"),
    ),
    Probe(
        "malformed_arguments",
        "The arguments of a call break off in the middle.",
        _reacts,
        _cases("malformed_arguments", fault="malformed_arguments"),
    ),
    Probe(
        "two_calls",
        "The model makes two calls in one turn.",
        _makes_both,
        (
            _case("two_calls", "handoff", turns=[[_find("first"), _find("second")], [_BOOK]]),
            _case("two_calls", "tool_calling", turns=[[_find("first"), _find("second")]]),
        ),
    ),
    Probe(
        "call_and_handoff",
        "The model calls a tool and hands over in one turn.",
        _makes_call_and_handoff,
        _cases("call_and_handoff", "handoff", fault="call_and_handoff", turns=[[_BOOK]]),
    ),
    Probe("concurrency", f"{len(_MARKERS)} runs at once in one process.", _keeps_runs_apart, _concurrent()),
)
_BY_NAME = {probe.name: probe for probe in PROBES}


def jobs(frameworks: Iterable[Framework], task_names: Iterable[str] | None = None) -> list[Job]:
    """The runs that probe these frameworks: one trial each, in all tasks unless some are named."""
    wanted = set(task_names) if task_names is not None else None
    tasks = discovery.tasks()
    return [
        Job(framework, _probed(tasks[case.task], framework), case, 1, probe.timeout_s, case.together)
        for probe in PROBES
        for case in probe.cases
        if case.task in tasks and (wanted is None or case.task in wanted)
        for framework in frameworks
    ]


def _probed(task: Task, framework: Framework) -> Task:
    """The task with the cases of its probes: the implementation stays the same, the brief is another."""
    cases = [case for probe in PROBES for case in probe.cases if case.task == task.name]
    return replace(
        task,
        case_type=ProbeCase,
        load=lambda: cases,
        prepare=prepare,
        script=partial(_script, framework.name),
        grade=_never_graded,
    )


def _script(framework: str, case: ProbeCase) -> ProbeScript:
    return ProbeScript(
        fault=case.fault,
        turns=case.turns,
        searches=case.searches,
        needs=case.facts,
        answer=case.answer,
        meeting=f"{framework} {case.together}" if case.together else None,
        parties=len(_MARKERS),
    )


def _never_graded(case: ProbeCase, outcome: Outcome) -> Grade:
    raise NotImplementedError("a probe is judged by its trace")


def behaviours(traces: Iterable[Trace]) -> list[Behaviour]:
    """What the frameworks did, one entry for each framework, task and probe, in the order of `PROBES`.

    Traces of other models than the probing one, and of probes that there are no more, are passed over.
    """
    verdicts: dict[tuple[int, str, tuple[bool, str]], list[Verdict]] = {}
    for trace in sorted(traces, key=lambda trace: trace.key.case):
        found = judged(trace)
        if found is not None:
            probe, verdict = found
            place = PROBES.index(probe), trace.key.task, baseline_first(trace.key.framework)
            verdicts.setdefault(place, []).append(verdict)
    return [
        Behaviour(PROBES[number].name, task, framework, *_together(verdicts[number, task, (other, framework)]))
        for number, task, (other, framework) in sorted(verdicts)
    ]


def judged(trace: Trace) -> tuple[Probe, Verdict] | None:
    """The probe that a trace is of, and what it shows; None for a trace that is of none, or of one that is no more."""
    if trace.key.model != PROBES_NAME:
        return None
    try:
        case = ProbeCase.model_validate(trace.case)
    except ValidationError:
        return None
    probe = _BY_NAME.get(case.kind)
    return (probe, probe.verdict(trace, case)) if probe else None


def _together(verdicts: Sequence[Verdict]) -> tuple[str, bool, str]:
    """One verdict on runs of the same probe: what is wrong comes first, each thing is said once."""
    ordered = sorted(dict.fromkeys(verdicts), key=lambda verdict: verdict.acceptable)
    words = "; ".join(dict.fromkeys(verdict.words for verdict in ordered))
    quote = "; ".join(dict.fromkeys(verdict.quote for verdict in ordered if verdict.quote))
    return words, all(verdict.acceptable for verdict in ordered), quote[:_QUOTED]


@dataclass(frozen=True)
class Shared:
    """What several frameworks did alike in one probe. `tasks` are None where it is all tasks of the probe."""

    probe: str
    meaning: str
    words: str
    acceptable: bool
    frameworks: tuple[tuple[str, tuple[str, ...] | None], ...]


def shared(behaviours: Iterable[Behaviour]) -> list[Shared]:
    """The behaviours by what was done: for each probe the most common first, what will not do last."""
    tasks_of: dict[tuple[str, str], list[str]] = {}
    groups: dict[tuple[str, str, bool], dict[str, list[str]]] = {}
    for one in behaviours:
        tasks_of.setdefault((one.probe, one.framework), []).append(one.task)
        alike = groups.setdefault((one.probe, one.words, one.acceptable), {})
        alike.setdefault(one.framework, []).append(one.task)
    rows = [
        Shared(
            probe=probe,
            meaning=_BY_NAME[probe].meaning,
            words=words,
            acceptable=acceptable,
            frameworks=tuple(
                (name, None if tasks == tasks_of[probe, name] else tuple(tasks)) for name, tasks in alike.items()
            ),
        )
        for (probe, words, acceptable), alike in groups.items()
    ]
    return sorted(
        rows, key=lambda row: (PROBES.index(_BY_NAME[row.probe]), not row.acceptable, -len(row.frameworks), row.words)
    )


def unexpected(behaviour: Behaviour, frameworks: Mapping[str, Framework]) -> bool:
    """Whether a behaviour will not do, and no deviation of its framework says why it cannot be otherwise."""
    framework = frameworks.get(behaviour.framework)
    note = expected_failure(framework, behaviour.probe, behaviour.task) if framework else None
    return not behaviour.acceptable and note is None


def expected_failure(framework: Framework, check: str, task: str | None = None) -> str | None:
    """The note of the deviation that says why the framework fails a probe or another check, if there is one.

    Without a task, that of any task will do.
    """
    for deviation in framework.deviations:
        if (task is None or deviation.task in (None, task)) and EXPECTED_FAILURE + check in deviation.differences:
            return deviation.note
    return None
