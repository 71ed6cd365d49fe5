"""Probes of `handoff`: two agents of a theatre. `find_note` belongs to both, `book` to the second."""

from typing import Any

from tasks.base import Prepared, Tool, Wrap, unwrapped
from tasks.handoff.spec import AgentSpec, HandoffBrief
from tasks.probing import REFUSAL, Notes, ProbeCase, book, find, of_any_task, probe

CASE_TYPE = ProbeCase

FIRST, SECOND = AGENTS = "triage", "billing"


def _find_then_book(title: str) -> dict[str, Any]:
    """The first agent finds a note and hands over to the second, which books."""
    return {"turns": [[find(title, FIRST)], [book(SECOND)]]}


PROBES = (
    *of_any_task("handoff", _find_then_book),
    probe("handoff", "endless_calls", fault="endless_calls", turns=[[book(SECOND)]]),
    probe("handoff", "endless_handoffs", fault="endless_handoffs", turns=[[book(SECOND)], [find(agent=FIRST)]]),
    probe("handoff", "tool_error", refusal=REFUSAL, **_find_then_book("the plan")),
    probe("handoff", "two_calls", turns=[[find("first", FIRST), find("second", FIRST)], [book(SECOND)]]),
    probe("handoff", "call_and_handoff", fault="call_and_handoff", turns=[[book(SECOND)]]),
)


def prepare(case: ProbeCase, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of a probe."""
    notes = Notes(case.found, case.refusal)
    tools: dict[str, list[Tool]] = {FIRST: [notes.find_note], SECOND: [notes.find_note, notes.book]}
    agents = [
        AgentSpec(
            name=name,
            description=f"Does the {name} of a theatre.",
            instructions=f"You do the {name} of a theatre.{case.text}",
            tools=[wrap(tool, name) for tool in tools[name]],
            handoffs=[other for other in AGENTS if other != name],
        )
        for name in AGENTS
    ]
    return Prepared(brief=HandoffBrief(question=case.question, agents=agents, entry=FIRST), final_state=dict)
