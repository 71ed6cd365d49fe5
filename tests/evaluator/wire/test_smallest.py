"""The smallest spelling of a tool, beside its spec."""

import json
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, Optional

import pytest

from evaluator.catalog.tasks import all_tasks
from evaluator.wire import smallest
from evaluator.wire.tokens import count_tokens
from evaluator.wire.tool_schemas import ToolSpec, changes, spec_of
from tasks.wire import SearchTool

TOOLS = [
    spec_of(tool)
    for task in all_tasks().values()
    for agent in task.on_the_wire(task.prepare(task.load()[0]).brief).agents
    for tool in agent.tools
]


@pytest.mark.parametrize("spec", TOOLS, ids=lambda spec: spec.name)
def test_it_says_the_same_in_fewer_tokens(spec: ToolSpec) -> None:
    tool = json.loads(smallest.offered(spec))
    assert changes(spec, tool) == ()
    as_pydantic_writes = smallest.tool(spec.name, spec.description, json.loads(spec.schema))
    assert count_tokens(smallest.as_json(tool)) <= count_tokens(smallest.as_json(as_pydantic_writes))


@dataclass
class Place:
    """A place."""

    title: str
    zip: str = "0"


@dataclass
class Node:
    next: Optional["Node"] = None


def many(
    title: str,
    day: date | None = None,
    kind: Literal["a", "b"] | None = None,
    only: Literal["c"] = "c",
    either: int | str = 1,
    places: list[Place] | None = None,
    counts: dict[str, int] | None = None,
) -> None:
    """Do it.

    Args:
        day: When.
    """


def test_what_stays_of_a_schema() -> None:
    place = {
        "description": "A place.",
        "properties": {"title": {"type": "string"}, "zip": {"default": "0", "type": "string"}},
        "required": ["title"],
        "type": "object",
    }
    assert json.loads(smallest.offered(spec_of(many))) == {
        "type": "function",
        "function": {
            "name": "many",
            "description": "Do it.\n\nArgs:\n    day: When.",
            "parameters": {
                "type": "object",
                "properties": {
                    "title": {"type": "string"},
                    "day": {"format": "date", "type": ["string", "null"], "default": None},
                    "kind": {"enum": ["a", "b", None], "type": ["string", "null"], "default": None},
                    "only": {"const": "c", "default": "c", "type": "string"},
                    "either": {"anyOf": [{"type": "integer"}, {"type": "string"}], "default": 1},
                    "places": {"items": place, "type": ["array", "null"], "default": None},
                    "counts": {
                        "additionalProperties": {"type": "integer"},
                        "type": ["object", "null"],
                        "default": None,
                    },
                },
                "required": ["title"],
            },
        },
    }
    assert changes(spec_of(many), json.loads(smallest.offered(spec_of(many)))) == ()


def walk(node: Node, places: list[Place], more: list[Place], most: list[Place]) -> None:
    """Walk."""


def test_what_refers_to_itself_or_is_used_often_stays_beside_the_rest() -> None:
    schema = json.loads(smallest.offered(spec_of(walk)))["function"]["parameters"]
    assert schema["properties"]["node"] == {"$ref": "#/$defs/Node"}
    assert schema["$defs"].keys() == {"Node", "Place"}
    assert changes(spec_of(walk), smallest.tool("walk", "Walk.", schema)) == ()


def ring() -> None:
    """Ring."""


def test_a_tool_without_parameters_has_none() -> None:
    tool = smallest.offered(spec_of(ring))
    assert tool == b'{"type":"function","function":{"name":"ring","description":"Ring."}}'
    assert changes(spec_of(ring), json.loads(tool)) == ()


def test_a_tool_without_a_description_has_none() -> None:
    tool = json.loads(smallest.offered(spec_of(SearchTool("look", ""))))
    assert "description" not in tool["function"]


@pytest.mark.parametrize(("value", "text"), [("plain", "plain"), ({"a": [1, "ä"]}, '{"a":[1,"ä"]}'), (None, "null")])
def test_what_a_tool_gave(value: Any, text: str) -> None:
    assert smallest.as_text(value) == text
