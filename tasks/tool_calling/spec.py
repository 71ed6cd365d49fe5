"""What every implementation of the task `tool_calling` receives: instructions, question and tools."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.base import Prepared, Step, Tool, ToolError, Wrap, play, unwrapped
from tasks.cases import Case, Script, load_cases
from tasks.tool_calling.tools import REFUND_DAYS, TODAY, Shop

INSTRUCTIONS = f"""\
You are the back-office assistant of an online shop. Today is {TODAY}. \
Get facts from the tools and never guess an id, an amount or a date. \
If a tool is temporarily unavailable, call it once more. \
If no tool can do what is asked, call none and say that you cannot do it. \
A delivered order can be refunded within {REFUND_DAYS} days of its delivery; final-sale items cannot be refunded. \
Answer in plain, short sentences with the ids and figures that you found."""

SHORT_INSTRUCTIONS = f"""\
You are the back-office assistant of an online shop. Today is {TODAY}. \
Use a tool to do what is asked, then answer in one short sentence with the ids and figures that it gave."""
"""For the cases of level 1."""

MOST_TOOLS_AT_LEVEL_1 = 3

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
    "recovered_error",
    "decision",
    "several_demands",
]
TOOL_NAMES = [tool.__name__ for tool in Shop().tools()]


def _check_tools(names: Iterable[str]) -> None:
    unknown = sorted(set(names) - set(TOOL_NAMES))
    if unknown:
        raise ValueError(f"there is no tool {unknown[0]!r}; there are {', '.join(sorted(TOOL_NAMES))}")


class ToolCallingCase(Case):
    """A question to the back office and the tool calls that it takes.

    `turns` are groups of calls that may be made together; `ordered` demands that the groups happen
    one after the other. `other_reads` allows further calls that change nothing. `tools` names those that
    are offered, and `prompt` says which instructions are given. `outages` says how many times a tool fails
    before it works.
    """

    expectation = Case.expectation | {"turns", "ordered", "other_reads"}

    kind: Kind
    turns: list[list[Step]] = Field(default_factory=list)
    ordered: bool = False
    other_reads: bool = True
    tools: list[str] = Field(default=TOOL_NAMES, min_length=1)
    prompt: Literal["full", "short"] = "full"
    outages: dict[str, int] = Field(default_factory=dict)

    @field_validator("tools")
    @classmethod
    def _offered_tools_exist(cls, tools: list[str]) -> list[str]:
        _check_tools(tools)
        return tools

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

    @model_validator(mode="after")
    def _level_1_is_small(self) -> Self:
        if self.level == 1 and len(self.tools) > MOST_TOOLS_AT_LEVEL_1:
            raise ValueError(
                f"level 1 offers at most {MOST_TOOLS_AT_LEVEL_1} tools, not {len(self.tools)}: name them in `tools`"
            )
        if self.level == 1 and self.prompt != "short":
            raise ValueError('level 1 has the short prompt: say `"prompt": "short"`')
        return self

    @model_validator(mode="after")
    def _calls_are_of_offered_tools_and_work(self) -> Self:
        steps = [step for turn in self.turns for step in turn]
        missing = next((step.tool for step in steps if step.tool not in self.tools), None)
        if missing:
            raise ValueError(f"{missing} is expected to be called but is not in `tools`: {', '.join(self.tools)}")
        try:
            play(steps, {tool.__name__: tool for tool in Shop(self.outages).tools()})
        except ToolError as error:
            raise ValueError(f"an expected call fails: {error}") from None
        return self


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
    tools = [wrap(tool, None) for tool in shop.tools() if tool.__name__ in case.tools]
    instructions = INSTRUCTIONS if case.prompt == "full" else SHORT_INSTRUCTIONS
    return Prepared(brief=ToolCallingBrief(instructions, case.question, tools), final_state=shop.state)


def script(case: ToolCallingCase) -> Script:
    """How the scripted model plays `case`."""
    return Script(turns=case.turns, needs=case.needs(), answer=case.answer)
