"""Probes of `tool_calling`: the same brief, over the tools of a theatre."""

from tasks.base import Prepared, Wrap, unwrapped
from tasks.probing import Notes, ProbeCase, of_one_agent_with_tools
from tasks.tool_calling.spec import ToolCallingBrief

CASE_TYPE = ProbeCase

PROBES = of_one_agent_with_tools("tool_calling")


def prepare(case: ProbeCase, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of a probe."""
    notes = Notes(case.found, case.refusal)
    tools = [wrap(getattr(notes, name), None) for name in case.tools]
    instructions = f"You look after the notes and the bookings of a theatre.{case.text}"
    return Prepared(brief=ToolCallingBrief(instructions, case.question, tools), final_state=dict)
