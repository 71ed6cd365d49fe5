"""What every implementation receives of a conversation of BFCL: what the user says, and functions that have state.

The functions are methods of the suite's own classes, in the suite's own process, on instances of one run. The brief
alone needs none: the run is opened when a function is first called.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from tasks import conversation
from tasks.base import Data, Prepared, Tool, Wrap, unwrapped
from tasks.conversation import ConversationBrief, ConversationScript
from tasks.described import described
from tasks.served import served
from tasks.suite import SuiteCase

SUITE = "bfcl_multi_turn"

INSTRUCTIONS = "You are a helpful assistant."
"""BFCL sends no system message, but not every framework can."""

ALSO = (Path(str(conversation.__file__)), Path(__file__).parent.with_name("bfcl") / "inside.py")
"""What a run depends on, too: the contract, and what makes schemas of the suite's descriptions."""


class Function(Data):
    """A function that a case offers. `parameters` is the JSON Schema of an object."""

    name: str = Field(min_length=1)
    description: str
    parameters: dict[str, Any]


class ConversationCase(SuiteCase):
    """A conversation of BFCL: the user says `question`, and once that is answered, one after the other of `further`.

    `functions` are methods of the suite's `classes`, `initial` is what each class begins with, by its name. `gold` are
    the suite's own calls for each message, as it writes them. `turns` are the same calls, as the scripted model makes
    them. Where these are not right by the suite's checker, `unplayable` says why.
    """

    expectation = SuiteCase.expectation | {"gold", "unplayable"}

    further: list[str] = Field(default_factory=list)
    functions: list[Function] = Field(min_length=1)
    classes: list[str] = Field(min_length=1)
    initial: dict[str, dict[str, Any]] = Field(default_factory=dict)
    gold: list[list[str]] = Field(default_factory=list)
    unplayable: str | None = None

    @property
    def messages(self) -> list[str]:
        """What the user says, in order."""
        return [self.question, *self.further]

    @model_validator(mode="after")
    def _there_are_calls_for_each_message(self) -> Self:
        if {len(self.gold), len(self.turns)} != {len(self.messages)}:
            raise ValueError("`gold` and `turns` have a list for each message")
        return self

    @model_validator(mode="after")
    def _calls_are_of_its_functions(self) -> Self:
        offered = [function.name for function in self.functions]
        if len({*offered}) < len(offered):
            raise ValueError(f"functions have the same name: {', '.join(sorted(offered))}")
        if missing := next((step.tool for turn in self.turns for step in turn if step.tool not in offered), None):
            raise ValueError(f"{missing} is expected to be called but is not offered: {', '.join(offered)}")
        return self

    def script(self) -> ConversationScript:
        """How the scripted model plays it."""
        return ConversationScript(turns=self.turns, answer=self.answer, messages=self.messages)


CASE_TYPE = ConversationCase


class _Run:
    """One run in the suite's process, opened when it is first needed. `turns` are the calls by message."""

    def __init__(self, case: ConversationCase) -> None:
        self._case = case
        self._lock = threading.Lock()
        self._id: str | None = None
        self.turns: list[list[dict[str, Any]]] = []

    def messages(self) -> Iterator[str]:
        """What the user says. With each message its turn begins."""
        for message in self._case.messages:
            self.turns.append([])
            yield message

    def call(self, function: str, arguments: dict[str, Any]) -> str:
        """What a function gives, as the suite writes it for a model, errors included."""
        with self._lock:  # calls that come at once are made in the order that is recorded
            if self._id is None:
                self._id = served(SUITE).ask("open", case=self._case.model_dump(mode="json"))["run"]
            self.turns[-1].append({"name": function, "arguments": arguments})
            given: str = served(SUITE).ask("call", run=self._id, function=function, arguments=arguments)
        return given

    def close(self) -> dict[str, Any]:
        """The calls of each turn that began."""
        if self._id is not None:
            served(SUITE).ask("close", run=self._id)
        return {"turns": self.turns}


def tools_of(case: ConversationCase, call: Callable[[str, dict[str, Any]], Any]) -> list[Tool]:
    """The functions of a case as tools. Called, they give what `call` makes of their name and their arguments."""
    return [described(one.name, one.description, one.parameters, call) for one in case.functions]


def prepare(case: ConversationCase, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of `case`, over instances of its own."""
    run = _Run(case)
    tools = [wrap(tool, None) for tool in tools_of(case, run.call)]
    return Prepared(brief=ConversationBrief(INSTRUCTIONS, run.messages(), tools), final_state=run.close)


def script(case: ConversationCase) -> ConversationScript:
    """How the scripted model plays `case`."""
    return case.script()
