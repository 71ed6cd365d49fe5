import copy
import json
from collections.abc import Callable
from datetime import date
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from evaluator.wire.tool_schemas import changes, spec_of
from tasks.wire import SearchTool


class Address(BaseModel):
    """A postal address."""

    street: str
    title: str


def tool(
    to: Address, kind: Literal["card", "esim"], day: date | None = None, copies: int = 1, notes: list[str] | None = None
) -> str:
    """Send a parcel.

    Args:
        kind: What to send.
        day: Day on which
            to send it.
    """
    return ""


SPEC = spec_of(tool)


def plain() -> dict[str, Any]:
    """The tool as pydantic spells it, without titles."""
    schema = json.loads(SPEC.schema)
    for part in [*schema["properties"].values(), *schema["$defs"]["Address"]["properties"].values()]:
        part.pop("title", None)
    function = {"name": "tool", "description": SPEC.description, "parameters": schema}
    return {"type": "function", "function": function}


def found(change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> set[str]:
    """The names of the changes, once `change` was made to the function and its parameters."""
    offered = copy.deepcopy(plain())
    change(offered["function"], offered["function"]["parameters"]["properties"])
    return {one.name for one in changes(SPEC, offered)}


def inline(function: dict[str, Any], parameters: dict[str, Any]) -> None:
    parameters["to"] = function["parameters"].pop("$defs")["Address"]


def inline_and_close(function: dict[str, Any], parameters: dict[str, Any]) -> None:
    inline(function, parameters)
    parameters["to"]["additionalProperties"] = False


def all_of(function: dict[str, Any], parameters: dict[str, Any]) -> None:
    parameters["to"] = {"allOf": [parameters["to"]]}


def type_list(function: dict[str, Any], parameters: dict[str, Any]) -> None:
    parameters["day"] = {"type": ["string", "null"], "format": "date", "default": None}
    parameters["notes"] = {"type": ["array", "null"], "items": {"type": "string"}, "default": None}


def one_of_reversed(function: dict[str, Any], parameters: dict[str, Any]) -> None:
    parameters["day"]["oneOf"] = parameters["day"].pop("anyOf")[::-1]
    parameters["kind"]["enum"].reverse()
    function["parameters"]["required"].reverse()


@pytest.mark.parametrize(
    "change",
    [
        lambda function, parameters: None,
        inline,
        inline_and_close,
        all_of,
        type_list,
        one_of_reversed,
        lambda function, parameters: function["parameters"].pop("additionalProperties"),
        lambda function, parameters: function["parameters"]["$defs"]["Address"].pop("title"),
        lambda function, parameters: function.update(strict=None, description=f"{function['description']} \n"),
    ],
)
def test_other_spellings_are_no_difference(change: Any) -> None:
    assert found(change) == set()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda function, parameters: function.update(strict=True), "strict"),
        (lambda function, parameters: parameters["copies"].update(title="Copies"), "titles"),
        (lambda function, parameters: function.update(cache={"type": "ephemeral"}), "cache"),
        (lambda function, parameters: parameters["kind"].pop("enum"), "enum"),
        (lambda function, parameters: parameters["kind"]["enum"].pop(), "enum"),
        (lambda function, parameters: parameters["copies"].update(type="number"), "type"),
        (lambda function, parameters: parameters["copies"].pop("type"), "type"),
        (lambda function, parameters: parameters["copies"].pop("default"), "default"),
        (lambda function, parameters: parameters["day"].pop("default"), "default"),
        (lambda function, parameters: parameters["day"]["anyOf"][0].pop("format"), "format"),
        (lambda function, parameters: parameters["day"]["anyOf"].pop(), "null allowed"),
        (lambda function, parameters: parameters["notes"]["anyOf"][0].pop("items"), "type"),
        (lambda function, parameters: parameters["notes"]["anyOf"][0]["items"].update(type="integer"), "type"),
        (lambda function, parameters: function["parameters"]["required"].append("copies"), "required"),
        (lambda function, parameters: function["parameters"].pop("required"), "required"),
        (lambda function, parameters: parameters.update(reason={"type": "string"}), "parameter added"),
        (lambda function, parameters: parameters.pop("copies"), "parameter removed"),
        (lambda function, parameters: function.pop("parameters"), "parameter removed"),
        (lambda function, parameters: parameters["copies"].update(description="How many."), "description"),
        (lambda function, parameters: parameters["to"].update({"$ref": "#/$defs/Gone"}), "parameter removed"),
        (lambda function, parameters: parameters["copies"].update(minimum=1), "minimum"),
    ],
)
def test_a_change_of_the_schema(change: Any, name: str) -> None:
    assert f"changed schema: {name}" in found(change)
    assert all(one.startswith("changed schema: ") for one in found(change))


def test_a_change_inside_a_nested_object() -> None:
    def change(function: dict[str, Any], parameters: dict[str, Any]) -> None:
        address = function["parameters"]["$defs"]["Address"]
        address["properties"]["street"]["type"] = "integer"
        del address["description"]

    assert found(change) == {"changed schema: type", "changed schema: description lost"}
    offered = plain()
    change(offered["function"], {})
    assert any("to.street" in one.example for one in changes(SPEC, offered))


def moved(function: dict[str, Any], parameters: dict[str, Any]) -> None:
    function["description"] = "Send a parcel."
    parameters["kind"]["description"] = "What to send."
    parameters["day"]["description"] = "Day on which\nto send it."


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda text: text.replace("\n", "\n  "), "whitespace"),
        (lambda text: f"tool(to)\n{text}", "text added"),
        (lambda text: "Send a parcel.", "cut"),
        (lambda text: "A tool.", "reworded"),
        (lambda text: "", "lost"),
    ],
)
def test_a_change_of_the_description(change: Callable[[str], str], name: str) -> None:
    changed = found(lambda function, parameters: function.update(description=change(function["description"])))
    assert changed == {f"changed description: {name}"}


def test_a_description_that_moved_into_the_parameters() -> None:
    assert found(moved) == {"changed description: moved into the parameters"}


def test_a_parameter_called_title_is_no_title() -> None:
    def change(function: dict[str, Any], parameters: dict[str, Any]) -> None:
        inline(function, parameters)
        del parameters["to"]["title"]

    assert found(change) == set()


def test_a_schema_that_refers_to_itself_ends() -> None:
    def change(function: dict[str, Any], parameters: dict[str, Any]) -> None:
        function["parameters"]["$defs"]["Address"]["properties"]["street"] = {"$ref": "#/$defs/Address"}

    assert "changed schema: type" in found(change)


def test_the_search_tool() -> None:
    spec = spec_of(SearchTool("find", "Finds."))
    query: dict[str, Any] = {"type": "string"}
    schema = {"type": "object", "properties": {"query": query}, "required": ["query"]}
    offered = {"type": "function", "function": {"name": "find", "description": "Finds.", "parameters": schema}}
    assert changes(spec, offered) == ()
    query["description"] = "The query."
    assert [change.name for change in changes(spec, offered)] == ["changed schema: description"]
