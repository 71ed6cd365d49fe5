"""Probes: what a framework does when the model, a tool or the user does something unusual.

A probe is a run like any other, against a model that misbehaves in one set way, and it leaves a trace
like any other. What the framework did is read off the trace alone: `behaviours` says it in words, and
whether it will do. Where more than one answer is reasonable, each of them will do.
"""

from dataclasses import dataclass, field
from typing import Any

from evaluator.probes.briefs import AGENTS, ProbeCase
from evaluator.probes.judges import (
    MARKERS,
    Judge,
    Seen,
    Verdict,
    bears_silence,
    carries_long_texts,
    carries_texts,
    fatal,
    gives_typed_values,
    keeps_runs_apart,
    keeps_the_time_limit,
    makes_both,
    makes_call_and_handoff,
    reacts,
    sends_the_temperature,
    stops_at_the_cap,
    stops_the_wrong_type,
    tells_the_error,
)
from evaluator.probes.script import SILENCE
from evaluator.trace import Trace
from tasks.base import Step

SHORT_TIME_LIMIT_S = 1.5
"""Of the run whose model never answers."""

MAX_MODEL_CALLS = 6
TEMPERATURE = 0.7
"""None of the defaults that frameworks have."""

_VISIT = {
    "day": "2026-05-01",
    "moment": "2026-05-01T19:30:00",
    "mood": "cross",
    "weight": 61.5,
    "seat": {"row": 3, "letter": "C"},
    "others": [{"row": 3, "letter": "D"}, {"row": 3, "letter": "E"}],
}


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
        return fatal(seen) or self.judge(seen)


_ANSWER = "It is done."
_REFUSAL = "The note is locked away until the 7th of May."
_AWKWARD = (
    "Grüße, 你好, مرحبا, שלום, ไทย, e\u0301, 👩‍👩‍👧‍👦🏳️‍🌈 “curly” \"straight\" 'single' back\\slash "
    "{placeholder} {{double}} {0} %s ${dollar} {% tag %} <b>&amp;</b> [brackets]\nsecond line\ttab\n\nlast"
)


_LONG = " ".join(f"Line {number:04} of a long report." for number in range(1, 646))


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
        for number, marker in enumerate(MARKERS, start=1)
    )


PROBES: tuple[Probe, ...] = (
    Probe(
        "endless_calls",
        "The model calls tools for ever, in a team after one handoff.",
        stops_at_the_cap,
        (
            _case("endless_calls", "handoff", fault="endless_calls", turns=[[_BOOK]]),
            *_cases("endless_calls", "rag_qa", "tool_calling", fault="endless_calls", turns=[]),
        ),
    ),
    Probe(
        "endless_handoffs",
        "Two agents hand over to one another for ever.",
        stops_at_the_cap,
        _cases("endless_handoffs", "handoff", fault="endless_handoffs", turns=[[_BOOK], [_find("the plan")]]),
    ),
    Probe(
        "slow_model",
        "The model never answers.",
        keeps_the_time_limit,
        _cases("slow_model", fault=SILENCE),
        timeout_s=SHORT_TIME_LIMIT_S,
    ),
    Probe("temperature", f"A temperature of {TEMPERATURE} is set.", sends_the_temperature, _cases("temperature")),
    Probe(
        "tool_error",
        "A tool refuses with an error meant for the model.",
        tells_the_error,
        _cases("tool_error", "handoff", "tool_calling", refusal=_REFUSAL),
    ),
    Probe(
        "typed_values",
        "A tool takes dates, an enumeration, and nested models.",
        gives_typed_values,
        _cases(
            *("typed_values", "tool_calling"),
            tools=["describe"],
            turns=[[Step(tool="describe", arguments=_VISIT)]],
        ),
    ),
    Probe(
        "wrong_type",
        "The model calls a tool with texts where a date and a number belong.",
        stops_the_wrong_type,
        _cases("wrong_type", "tool_calling", fault="wrong_type"),
    ),
    Probe(
        "unicode",
        "Scripts of the world, emoji, quotes, braces and line breaks, in all that is said.",
        carries_texts,
        _cases(
            "unicode",
            **{name: f"{name}: {_AWKWARD}" for name in ("title", "question", "text", "found", "answer")},
        ),
    ),
    Probe(
        "long_input",
        f"A question of {len(_LONG):,} characters, and a result as long.",
        carries_long_texts,
        _cases("long_input", "tool_calling", question=f"Question: {_LONG}", found=f"Note: {_LONG}"),
    ),
    Probe(
        "empty_content",
        "The model says nothing, twice.",
        bears_silence,
        _cases("empty_content", fault="empty_content"),
    ),
    Probe(
        "unknown_tool",
        "The model calls a tool that it was not offered.",
        reacts,
        _cases("unknown_tool", fault="unknown_tool"),
    ),
    Probe(
        "malformed_arguments",
        "The arguments of a call break off in the middle.",
        reacts,
        _cases("malformed_arguments", fault="malformed_arguments"),
    ),
    Probe(
        "two_calls",
        "The model makes two calls in one turn.",
        makes_both,
        (
            _case("two_calls", "handoff", turns=[[_find("first"), _find("second")], [_BOOK]]),
            _case("two_calls", "tool_calling", turns=[[_find("first"), _find("second")]]),
        ),
    ),
    Probe(
        "call_and_handoff",
        "The model calls a tool and hands over in one turn.",
        makes_call_and_handoff,
        _cases("call_and_handoff", "handoff", fault="call_and_handoff", turns=[[_BOOK]]),
    ),
    Probe("concurrency", f"{len(MARKERS)} runs at once in one process.", keeps_runs_apart, _concurrent()),
)


BY_NAME = {probe.name: probe for probe in PROBES}
