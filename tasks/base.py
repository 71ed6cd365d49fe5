"""What runs of all tasks share: the model handle, tools, the calls that are made of them, outcomes."""

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, PrivateAttr, validate_call
from pydantic_core import to_jsonable_python

Tool = Callable[..., Any]
"""A plain, typed, documented Python function bound to the state of one run."""

Wrap = Callable[[Tool, str | None], Tool]
"""Puts a recorder around a tool; the second argument is the agent that owns the tool."""


class ToolError(Exception):
    """A tool says no, in words meant for the model: unknown id, forbidden refund, outage."""


class Data(BaseModel):
    """Base of everything read from JSON: unknown fields are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(Data):
    """What an implementation needs to reach the model: an OpenAI-compatible endpoint and limits.

    `base_url` belongs to this run alone. `timeout_s` is in seconds of wall time for the whole run.
    """

    name: str
    base_url: str
    api_key: str
    embedding_name: str
    temperature: float
    max_model_calls: int
    timeout_s: float
    _reported_usage: tuple[int, int] | None = PrivateAttr(default=None)

    @property
    def reported_usage(self) -> tuple[int, int] | None:
        """Prompt and completion tokens of the whole run by the framework's own account; None if it gave none."""
        return self._reported_usage

    def report_usage(self, input_tokens: int | None, output_tokens: int | None) -> None:
        """Hand over what the framework itself shows its user as the tokens of this run.

        It is kept beside what the wire says, and never in its place. Does nothing where either is None.
        """
        if input_tokens is not None and output_tokens is not None:
            self._reported_usage = (input_tokens, output_tokens)


class Step(Data):
    """One expected tool call.

    `free` names arguments whose wording is not compared (a ticket's text, say). `needs` lists
    strings that must have been seen before the call can be made (an id from an earlier result).
    `error` is true where the tool is expected to refuse or fail.
    """

    tool: str
    arguments: dict[str, Any] = {}
    free: list[str] = []
    agent: str | None = None
    needs: list[str] = []
    error: bool = False


class ToolCall(Data):
    """One call of a tool's Python function as it really happened.

    `arguments` are in canonical form: bound to the signature, defaults filled in, as JSON.
    """

    agent: str | None = None
    name: str
    arguments: dict[str, Any]
    result: Any = None
    error: str | None = None


class Outcome(Data):
    """What a run did: the answer, the tool calls in order of their start, the final state.

    `retrieved` are the ids of the documents that stood in what the model was sent; None where that is not known.
    """

    answer: str
    tool_calls: list[ToolCall] = []
    final_state: dict[str, Any] = {}
    retrieved: list[str] | None = None


@dataclass(frozen=True)
class Prepared:
    """A run about to start: the brief for the implementation, and a reader of the final state."""

    brief: Any
    final_state: Callable[[], dict[str, Any]]


def unwrapped(tool: Tool, agent: str | None) -> Tool:
    """The `Wrap` that records nothing."""
    return tool


def play(steps: Sequence[Step], tools: dict[str, Tool]) -> list[ToolCall]:
    """Make the expected calls on real tools, in order; used for gold outcomes and final states.

    Raises `ToolError` where a step should have worked, `AssertionError` where it should not have.
    """
    calls: list[ToolCall] = []
    for step in steps:
        result, error = None, None
        try:
            result = to_jsonable_python(validate_call(tools[step.tool])(**step.arguments))
        except ToolError as refusal:
            if not step.error:
                raise
            error = str(refusal)
        if step.error and error is None:
            raise AssertionError(f"{step.tool} should have failed")
        arguments = bound_arguments(tools[step.tool], (), step.arguments)
        calls.append(ToolCall(agent=step.agent, name=step.tool, arguments=arguments, result=result, error=error))
    return calls


def bound_arguments(tool: Tool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by name with defaults filled in, as JSON values.

    Raises `TypeError` where they do not fit the signature.
    """
    bound = inspect.signature(tool).bind(*args, **kwargs)
    bound.apply_defaults()
    jsonable: dict[str, Any] = json.loads(json.dumps(to_jsonable_python(bound.arguments)))
    return jsonable
