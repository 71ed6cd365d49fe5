"""What every implementation of the task `tool_calling` receives: instructions, question and tools."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from tasks.base import Case, Prepared, Script, Step, Tool, Wrap, load_cases, unwrapped
from tasks.tool_calling.tools import REFUND_DAYS, TODAY, Shop

INSTRUCTIONS = f"""\
You are the back-office assistant of an online shop. Today is {TODAY}. \
Get facts from the tools and never guess an id, an amount or a date. \
If a tool is temporarily unavailable, call it once more. \
If no tool can do what is asked, call none and say that you cannot do it. \
A delivered order can be refunded within {REFUND_DAYS} days of its delivery; final-sale items cannot be refunded. \
Answer in plain, short sentences with the ids and figures that you found."""

CASES = Path(__file__).with_name("cases.jsonl")

Kind = Literal[
    "one_call",
    "independent_calls",
    "chained_calls",
    "long_chain",
    "no_call",
    "no_tool",
    "flaky_tool",
    "unknown_id",
    "forbidden_refund",
]
TOOL_NAMES = frozenset(tool.__name__ for tool in Shop().tools())


def _check_tools(names: Iterable[str]) -> None:
    unknown = sorted(set(names) - TOOL_NAMES)
    if unknown:
        raise ValueError(f"there is no tool {unknown[0]!r}; there are {', '.join(sorted(TOOL_NAMES))}")


class ToolCallingCase(Case):
    """A question to the back office and the tool calls that it takes.

    `turns` are groups of calls that may be made together; `ordered` demands that the groups happen
    one after the other. `other_reads` allows further calls that change nothing. `outages` says how
    many times a tool fails before it works.
    """

    expectation = Case.expectation | {"turns", "ordered", "other_reads"}

    kind: Kind
    turns: list[list[Step]] = Field(default_factory=list)
    ordered: bool = False
    other_reads: bool = True
    outages: dict[str, int] = Field(default_factory=dict)

    @field_validator("turns")
    @classmethod
    def _tools_exist(cls, turns: list[list[Step]]) -> list[list[Step]]:
        _check_tools(step.tool for turn in turns for step in turn)
        return turns

    @field_validator("outages")
    @classmethod
    def _outages_are_of_tools(cls, outages: dict[str, int]) -> dict[str, int]:
        _check_tools(outages)
        return outages


CASE_TYPE = ToolCallingCase


@dataclass(frozen=True)
class ToolCallingBrief:
    """What an implementation gets."""

    instructions: str
    question: str
    tools: list[Tool]


def load() -> list[ToolCallingCase]:
    """The cases of this task. Raises `CasesError`."""
    return load_cases(CASES, CASE_TYPE)


def prepare(case: ToolCallingCase, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of `case` over a fresh shop."""
    shop = Shop(case.outages)
    tools = [wrap(tool, None) for tool in shop.tools()]
    return Prepared(brief=ToolCallingBrief(INSTRUCTIONS, case.question, tools), final_state=shop.state)


def script(case: ToolCallingCase) -> Script:
    """How the scripted model plays `case`."""
    return Script(turns=case.turns, needs=case.needs(), answer=case.answer)
