"""What every implementation of `tool_calling` receives of a case of BFCL: a question, and functions that do nothing."""

from collections.abc import Callable
from typing import Any, Self

from pydantic import Field, model_validator

from tasks.base import Data, Prepared, Tool, Wrap, unwrapped
from tasks.cases import Script
from tasks.described import described
from tasks.suite import SuiteCase
from tasks.tool_calling.spec import ToolCallingBrief

INSTRUCTIONS = "You are a helpful assistant."
"""Where the case has no system message of its own: BFCL then sends none, but not every framework can."""

RESULT = "Done."
"""What each function returns: BFCL says nothing of results, as it looks at the calls alone."""


class Function(Data):
    """A function that a case offers, by the suite's name. `parameters` is the JSON Schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]


class BfclCase(SuiteCase):
    """A question of BFCL and the functions that are offered with it.

    `system` is the case's own system message. `possible_answers` are the suite's: for each expected call, by the
    function's name, the values that each parameter may have. `types` are the types of all parameters as the suite's
    checker reads them, by function: that of the parameter, and that of its items. Where no call of the functions is
    right by the suite's checker, `unplayable` says why.
    """

    expectation = SuiteCase.expectation | {"possible_answers", "types", "unplayable"}

    system: str | None = None
    functions: list[Function] = Field(min_length=1)
    possible_answers: list[dict[str, dict[str, list[Any]]]] = Field(default_factory=list)
    types: dict[str, dict[str, list[str]]] = Field(default_factory=dict)
    unplayable: str | None = None

    @model_validator(mode="after")
    def _calls_are_of_its_functions(self) -> Self:
        tools = [tool_name(function.name) for function in self.functions]
        if len({*tools}) < len(tools):
            raise ValueError(f"functions have the same name: {', '.join(sorted(tools))}")
        missing = next((step.tool for turn in self.turns for step in turn if step.tool not in tools), None)
        if missing:
            raise ValueError(f"{missing} is expected to be called but is not offered: {', '.join(tools)}")
        return self


CASE_TYPE = BfclCase


def tool_name(name: str) -> str:
    """What a function is called as a tool: model servers take no dots, as the suite knows of OpenAI's."""
    return name.replace(".", "_")


def prepare(case: BfclCase, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of `case`. The final state has all calls in order, as the suite's checker reads them."""
    calls: list[dict[str, Any]] = []
    tools = [wrap(_tool(function, _taking_down(function.name, calls)), None) for function in case.functions]
    brief = ToolCallingBrief(case.system or INSTRUCTIONS, case.question, tools)
    return Prepared(brief=brief, final_state=lambda: {"calls": calls})


def _tool(function: Function, call: Callable[[str, dict[str, Any]], str]) -> Tool:
    return described(tool_name(function.name), function.description, function.parameters, call)


def _taking_down(name: str, calls: list[dict[str, Any]]) -> Callable[[str, dict[str, Any]], str]:
    def call(_: str, arguments: dict[str, Any]) -> str:
        calls.append({"name": name, "arguments": arguments})
        return RESULT

    return call


def script(case: BfclCase) -> Script:
    """How the scripted model plays `case`."""
    return case.script()
