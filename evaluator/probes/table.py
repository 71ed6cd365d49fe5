"""Probes: what a framework does when the model, a tool or the user does something unusual.

A probe is a run like any other, against a model that misbehaves in one set way, and it leaves a trace
like any other. What the framework did is read off the trace alone: `behaviours` says it in words, and
whether it will do. Where more than one answer is reasonable, each of them will do.

A row says what a probe is about. Its cases come from the tasks, each of which has those that make sense in it.
"""

from dataclasses import dataclass

from evaluator.probes.judges import (
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
from evaluator.trace import Trace
from tasks.probing import LONG, MARKERS, ProbeCase

SHORT_TIME_LIMIT_S = 1.5
"""Of the run whose model never answers."""

MAX_MODEL_CALLS = 6
TEMPERATURE = 0.7
"""None of the defaults that frameworks have."""


@dataclass(frozen=True)
class Probe:
    """One row: what happens, and who judges it. `timeout_s` is there where a run has another time limit."""

    name: str
    meaning: str
    judge: Judge
    timeout_s: float | None = None

    def verdict(self, trace: Trace, case: ProbeCase) -> Verdict:
        """What one trace of this probe shows."""
        seen = Seen(trace, case)
        return fatal(seen) or self.judge(seen)


PROBES: tuple[Probe, ...] = (
    Probe("endless_calls", "The model calls tools for ever, in a team after one handoff.", stops_at_the_cap),
    Probe("endless_handoffs", "Two agents hand over to one another for ever.", stops_at_the_cap),
    Probe("slow_model", "The model never answers.", keeps_the_time_limit, timeout_s=SHORT_TIME_LIMIT_S),
    Probe("temperature", f"A temperature of {TEMPERATURE} is set.", sends_the_temperature),
    Probe("tool_error", "A tool refuses with an error meant for the model.", tells_the_error),
    Probe("typed_values", "A tool takes dates, an enumeration, and nested models.", gives_typed_values),
    Probe("wrong_type", "The model calls a tool with texts where a date and a number belong.", stops_the_wrong_type),
    Probe(
        "unicode", "Scripts of the world, emoji, quotes, braces and line breaks, in all that is said.", carries_texts
    ),
    Probe("long_input", f"A question of {len(LONG):,} characters, and a result as long.", carries_long_texts),
    Probe("empty_content", "The model says nothing, twice.", bears_silence),
    Probe("unknown_tool", "The model calls a tool that it was not offered.", reacts),
    Probe("malformed_arguments", "The arguments of a call break off in the middle.", reacts),
    Probe("two_calls", "The model makes two calls in one turn.", makes_both),
    Probe("call_and_handoff", "The model calls a tool and hands over in one turn.", makes_call_and_handoff),
    Probe("concurrency", f"{len(MARKERS)} runs at once in one process.", keeps_runs_apart),
)


BY_NAME = {probe.name: probe for probe in PROBES}
