"""Judges of probes: what a framework did, read off the trace of one run."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from evaluator.probes.script import SILENCE
from evaluator.trace import Trace
from evaluator.wire.messages import completion_of
from evaluator.wire.tokens import text_of
from tasks.probing import DESCRIBED, MARKERS, ProbeCase

GRACE_S = 2.0
"""How long after it came to a limit, of time or of model calls, a run may end by itself."""

MOST_REFUSED_CALLS = 12
"""How many calls beyond the cap a run may try: a team in which each agent tries three times, say, makes a few."""


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


def fatal(seen: Seen) -> Verdict | None:
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


def stops_at_the_cap(seen: Seen) -> Verdict:
    """Whether a run uses its calls and then ends: the gateway enforces the cap, a framework's own will do as well."""
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


def keeps_the_time_limit(seen: Seen) -> Verdict:
    """Whether the run ends at its time limit."""
    outcome, limit = seen.trace.outcome, seen.trace.setup.timeout_s
    if outcome.ended != "timeout":
        return Verdict(f"ends otherwise: {seen.ending.words}", False, seen.ending.quote)
    if seen.trace.resources.wall_s > limit + GRACE_S:
        return Verdict(f"ends more than {GRACE_S:.0f} s after its time limit", False)
    return Verdict("ends at its time limit")


def sends_the_temperature(seen: Seen) -> Verdict:
    """Whether each request has the temperature that was asked for."""
    wanted = seen.trace.setup.temperature
    sent = [chat.request.get("temperature") for chat in seen.chats]
    if all(value == wanted for value in sent):
        return Verdict("sent with each request")
    return Verdict(f"sends {', '.join(sorted({str(value) for value in sent}))} in place of {wanted}", False)


def tells_the_error(seen: Seen) -> Verdict:
    """Whether the model is told what a tool's exception says."""
    assert seen.case.refusal is not None
    if not seen.trace.tool_calls:
        return Verdict("the tool is not called", False, seen.reaction.quote)
    if _how_it_stands(seen.case.refusal, seen.later_text) in _INTACT:
        number = next(n for n in range(1, len(seen.chats)) if seen.told(n))
        return Verdict("the model is told why", quote=text_of(seen.told(number)[0].get("content")))
    reaction = seen.reaction
    return Verdict(f"the model is not told why: {reaction.words}", False, reaction.quote)


def gives_typed_values(seen: Seen) -> Verdict:
    """Whether a tool gets values of the types that it is annotated with."""
    call = next((call for call in seen.trace.tool_calls if call.name == "describe"), None)
    if call is None or not isinstance(call.result, dict):
        return Verdict("the tool does not get its values", False, (call and call.error) or seen.reaction.quote)
    wrong = [f"{name}: {_in_words(got)}" for name, got in call.result.items() if got != DESCRIBED[name]]
    return Verdict("not as annotated", False, ", ".join(wrong)) if wrong else Verdict("as annotated")


def _in_words(types: Any) -> str:
    return f"list of {', '.join(dict.fromkeys(map(str, types)))}" if isinstance(types, list) else str(types)


def stops_the_wrong_type(seen: Seen) -> Verdict:
    """Whether values of the wrong type are kept from the tool."""
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


def carries_texts(seen: Seen) -> Verdict:
    """Whether texts arrive unchanged: question, instructions, argument, result, answer."""
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


def carries_long_texts(seen: Seen) -> Verdict:
    """To cut what is long may be reasonable, so how it is cut is only told."""
    return replace(carries_texts(seen), acceptable=True)


def reacts(seen: Seen) -> Verdict:
    """What the framework does about the model's first reply; each reaction will do."""
    return seen.reaction


def bears_silence(seen: Seen) -> Verdict:
    """What becomes of a model that says nothing; each ending will do."""
    asked_again = {1: "", 2: "the model is asked once more, "}.get(len(seen.chats), "the model is asked again, ")
    return replace(seen.ending, words=asked_again + seen.ending.words)


def makes_both(seen: Seen) -> Verdict:
    """Whether two calls in one turn are both made."""
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


def makes_call_and_handoff(seen: Seen) -> Verdict:
    """What becomes of a tool call and a handoff in one turn."""
    called = bool(seen.trace.tool_calls) and seen.trace.tool_calls[0].name == "find_note"
    specialist = seen.case.turns[0][0].agent
    booked = any(call.agent == specialist for call in seen.trace.tool_calls)
    if seen.asks_for_one_call:
        words = "asks for one call a turn"
    elif called and booked:
        known = _how_it_stands(seen.case.found, seen.text(len(seen.chats) - 1)) in _INTACT
        words = "makes the call and hands over" + ("" if known else ", the specialist does not learn of the result")
    else:
        words = f"the call is {'made' if called else 'dropped'}, the handoff is {'made' if booked else 'dropped'}"
    return Verdict(words, seen.went_on, "" if seen.went_on else seen.ending.quote)


def keeps_runs_apart(seen: Seen) -> Verdict:
    """Whether nothing of one run comes into another that happens at the same time."""
    others = [marker for marker in MARKERS if marker not in seen.case.question]
    trace = seen.trace
    heard = json.dumps([[call.request for call in trace.model_calls], trace.outcome.answer], ensure_ascii=False)
    heard += json.dumps([[call.arguments, call.result] for call in trace.tool_calls], ensure_ascii=False)
    if leaked := [marker for marker in others if marker in heard]:
        return Verdict("something of another run came in", False, ", ".join(leaked))
    if not seen.went_on:
        return Verdict(f"nothing came in of another run, {seen.ending.words}", False, seen.ending.quote)
    at_once = f"Runs at once: {len(MARKERS)}."
    overlapped = at_once in completion_of(seen.chats[-1].response).text
    return Verdict("kept apart" if overlapped else "kept apart, by making them one after another")
