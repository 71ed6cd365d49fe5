"""What an implementation receives: four agents with their instructions, tools and handoffs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.base import Prepared, Step, Tool, ToolCall, ToolError, Wrap, play, unwrapped
from tasks.cases import Case, Script, load_cases
from tasks.handoff.tools import AGENTS, Desk

CASES = Path(__file__).with_name("cases.jsonl")

ENTRY = "triage"

DESCRIPTIONS = {
    "triage": "Finds customers by phone number and schedules callbacks.",
    "billing": "Invoices, payments and credits.",
    "technical": "Outages, faults and slow lines, technician visits.",
    "sales": "Plans and their prices, plan changes, SIM orders.",
}
"""When to hand over to each agent."""

INSTRUCTIONS = {
    "triage": (
        "You are the triage agent of a telecom's customer support. "
        "Never answer questions about bills, faults or plans yourself: hand over to the right specialist, "
        "with every id, date and amount the customer gave. "
        "Find the customer by phone number only if no customer id is given. "
        "Schedule callbacks yourself, then answer briefly with all ids and figures found so far. "
        "If a message is not about telecom support, decline in one sentence: use no tool, hand over to nobody."
    ),
    "billing": (
        "You are the billing specialist of a telecom's customer support: invoices, payments, credits. "
        "Make only the tool calls that the customer's request needs; never guess an id. "
        "As soon as the results have what the customer asked for, answer in one or two sentences "
        "with all ids and figures found, also by others. "
        "Hand over only a request that is left and not yours: faults to technical, plans and SIMs to sales, "
        "callbacks and phone number look-ups to triage."
    ),
    "technical": (
        "You are the technical specialist of a telecom's customer support: outages, lines, technician visits. "
        "Make only the tool calls that the customer's request needs; never guess an id. "
        "As soon as the results have what the customer asked for, answer in one or two sentences "
        "with all ids and figures found, also by others. "
        "Hand over only a request that is left and not yours: "
        "invoices and credits to billing, plans and SIMs to sales, "
        "callbacks and phone number look-ups to triage."
    ),
    "sales": (
        "You are the sales specialist of a telecom's customer support: plans, plan changes, SIM orders. "
        "Make only the tool calls that the customer's request needs; never guess an id. "
        "As soon as the results have what the customer asked for, answer in one or two sentences "
        "with all ids and figures found, also by others. "
        "Hand over only a request that is left and not yours: invoices and credits to billing, faults to technical, "
        "callbacks and phone number look-ups to triage."
    ),
}

_SHORT_SPECIALIST = (
    "You are the {name} specialist of a telecom's customer support. "
    "Use a tool to do what is asked, then answer in one short sentence with the ids and figures that it gave."
)
SHORT_INSTRUCTIONS = {
    "triage": (
        "You are the triage agent of a telecom's customer support. "
        "Find customers by phone number and schedule callbacks yourself, "
        "then answer in one short sentence with the ids that you got. "
        "Hand over everything else, with all ids, dates and amounts."
    ),
    **{name: _SHORT_SPECIALIST.format(name=name) for name in AGENTS if name != ENTRY},
}
"""For the cases of level 1."""

MOST_AGENTS_AT_LEVEL_1 = 2


@dataclass(frozen=True)
class AgentSpec:
    """One agent. `description` says when to hand over to it; `handoffs` names whom it may hand over to."""

    name: str
    description: str
    instructions: str
    tools: list[Tool]
    handoffs: list[str]


@dataclass(frozen=True)
class HandoffBrief:
    """The customer's message and the agents; `entry` names the one that reads it first."""

    question: str
    agents: list[AgentSpec]
    entry: str = ENTRY


class HandoffCase(Case):
    """A customer's message and the tool calls that serve it, each by the agent that owns the tool.

    `ordered` demands the turns one after the other; `other_reads` allows reading tools beyond them. `agents`
    names those that are there, and `prompt` says which instructions they have.
    """

    expectation = Case.expectation | {"turns", "ordered", "other_reads"}

    kind: Literal[
        "direct",
        "details",
        "own_work",
        "two_hops",
        "back_to_triage",
        "out_of_scope",
        "two_problems",
        "unknown_id",
        "refused",
        "recovered_error",
        "decision",
        "three_agents",
        "three_problems",
    ]
    turns: list[list[Step]] = Field(default=[])
    ordered: bool = True
    other_reads: bool = True
    agents: list[str] = Field(default=list(AGENTS))
    prompt: Literal["full", "short"] = "full"

    @field_validator("agents")
    @classmethod
    def _agents_exist_and_the_first_reads(cls, agents: list[str]) -> list[str]:
        unknown = sorted(set(agents) - set(AGENTS))
        if unknown:
            raise ValueError(f"there is no agent {unknown[0]!r}; there are {', '.join(AGENTS)}")
        if ENTRY not in agents:
            raise ValueError(f"{ENTRY} must be there: it reads the customer's message")
        return agents

    @field_validator("turns")
    @classmethod
    def _calls_work_and_agents_own_their_tools(cls, turns: list[list[Step]]) -> list[list[Step]]:
        owners = {tool.__name__: agent for agent in AGENTS for tool in Desk().tools_of(agent)}
        for step in (step for turn in turns for step in turn):
            if step.tool not in owners:
                raise ValueError(f"there is no tool {step.tool}")
            if step.agent != owners[step.tool]:
                raise ValueError(f"{step.tool} is a tool of {owners[step.tool]}, not of {step.agent}")
        if any(len({step.agent for step in turn}) != 1 for turn in turns):
            raise ValueError("each turn must be the calls of one agent")
        try:
            play_gold(turns)
        except ToolError as error:
            raise ValueError(f"an expected call fails: {error}") from None
        return turns

    @model_validator(mode="after")
    def _level_1_is_small(self) -> Self:
        if self.level == 1 and len(self.agents) > MOST_AGENTS_AT_LEVEL_1:
            raise ValueError(
                f"level 1 has at most {MOST_AGENTS_AT_LEVEL_1} agents, not {len(self.agents)}: name them in `agents`"
            )
        if self.level == 1 and self.prompt != "short":
            raise ValueError('level 1 has the short prompt: say `"prompt": "short"`')
        return self

    @model_validator(mode="after")
    def _calls_are_of_agents_that_are_there(self) -> Self:
        for step in (step for turn in self.turns for step in turn):
            if step.agent not in self.agents:
                raise ValueError(f"{step.tool} is a tool of {step.agent}, who is not in `agents`")
        return self


CASE_TYPE = HandoffCase


def play_gold(turns: Sequence[Sequence[Step]]) -> tuple[list[ToolCall], dict[str, Any]]:
    """The expected calls, made on a fresh desk, and the state that they leave."""
    desk = Desk()
    tools = {tool.__name__: tool for agent in AGENTS for tool in desk.tools_of(agent)}
    return play([step for turn in turns for step in turn], tools), desk.state()


def load(path: Path = CASES) -> list[HandoffCase]:
    """The cases of a file. Raises `CasesError`."""
    return load_cases(path, HandoffCase)


def prepare(case: HandoffCase, wrap: Wrap = unwrapped) -> Prepared:
    """A fresh desk and the agents working on it."""
    desk = Desk()
    there = [name for name in AGENTS if name in case.agents]
    instructions = INSTRUCTIONS if case.prompt == "full" else SHORT_INSTRUCTIONS
    agents = [
        AgentSpec(
            name=name,
            description=DESCRIPTIONS[name],
            instructions=instructions[name],
            tools=[wrap(tool, name) for tool in desk.tools_of(name)],
            handoffs=[other for other in there if other != name],
        )
        for name in there
    ]
    return Prepared(brief=HandoffBrief(question=case.question, agents=agents), final_state=desk.state)


def script(case: HandoffCase) -> Script:
    """How the scripted model plays the case."""
    return Script(turns=case.turns, needs=case.needs(), answer=case.answer)
