import inspect
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError, validate_call

from tasks.base import Tool
from tasks.described import described, python_name

BOOK = {
    "type": "object",
    "properties": {
        "class": {"type": "string", "enum": ["first", "second"], "description": "The  class\nof the seat."},
        "who": {
            "type": "object",
            "properties": {"json": {"type": "integer"}, "from": {"type": "string", "description": "Where."}},
            "required": ["from"],
        },
        "seats": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["seats"],
}


@pytest.fixture
def calls() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def book(calls: list[tuple[str, dict[str, Any]]]) -> Tool:
    def call(name: str, arguments: dict[str, Any]) -> str:
        calls.append((name, arguments))
        return "booked"

    return described("book", "Book a seat.", BOOK, call)


def test_what_is_required_comes_first_and_the_rest_may_be_left_out(book: Tool) -> None:
    parameters = inspect.signature(book).parameters
    assert [*parameters] == ["seats", "class_", "who", "note"]
    assert [one.default for one in parameters.values()] == [inspect.Parameter.empty, None, None, None]


def test_the_docstring_says_what_the_description_says(book: Tool) -> None:
    assert inspect.getdoc(book) == "Book a seat.\n\nArgs:\n    class_: The class of the seat."


def test_its_schema_is_that_of_the_description_with_names_that_python_can_have(book: Tool) -> None:
    schema = TypeAdapter(book).json_schema()
    assert schema["required"] == ["seats"]
    assert {"enum": ["first", "second"], "type": "string"} in schema["properties"]["class_"]["anyOf"]
    assert schema["properties"]["seats"] == {
        "items": {"items": {"type": "number"}, "type": "array"},
        "title": "Seats",
        "type": "array",
    }
    [who] = schema["$defs"].values()
    assert [*who["properties"]] == ["json", "from"] and who["required"] == ["from"]
    assert who["properties"]["from"]["description"] == "Where."


def test_it_is_called_with_the_names_of_the_description_and_without_what_was_left_out(
    book: Tool, calls: list[tuple[str, dict[str, Any]]]
) -> None:
    assert validate_call(book)(seats=[[1, 2.5]], class_="first", who={"from": "Oslo"}, note=None) == "booked"
    assert book([[3]]) == "booked"
    assert calls == [
        ("book", {"seats": [[1.0, 2.5]], "class": "first", "who": {"from": "Oslo"}}),
        ("book", {"seats": [[3]]}),
    ]


@pytest.mark.parametrize(
    "wrong", [{}, {"seats": "A1"}, {"seats": [[1]], "class_": "third"}, {"seats": [[1]], "who": {}}]
)
def test_what_does_not_fit_is_refused(book: Tool, wrong: dict[str, Any], calls: list[Any]) -> None:
    with pytest.raises(ValidationError):
        validate_call(book)(**wrong)
    assert not calls


@pytest.mark.parametrize(
    ("name", "in_python"),
    [("city", "city"), ("from", "from_"), ("user-id", "user_id"), ("2nd", "p_2nd"), ("_id", "id"), ("_", "p")],
)
def test_names(name: str, in_python: str) -> None:
    assert python_name(name) == in_python


def test_an_object_with_whatever_fields_is_described_as_that_and_no_more(calls: list[Any]) -> None:
    free = {"type": "object", "properties": {"what": {"type": "object"}}, "required": ["what"]}
    tool = described("keep", "Keep it.", free, lambda name, arguments: calls.append((name, arguments)))
    schema = TypeAdapter(tool).json_schema()["properties"]["what"]
    assert {name: value for name, value in schema.items() if name != "title"} == {"type": "object"}
    validate_call(tool)(what={"any": [1]})
    assert calls == [("keep", {"what": {"any": [1]}})]


def test_defaults_are_taken_over_where_asked_for(calls: list[Any]) -> None:
    last = {"type": "object", "properties": {"n": {"type": "integer", "default": 100}, "by": {"type": "string"}}}
    without, with_them = (
        described("last", "The last.", last, lambda name, arguments: calls.append(arguments), with_defaults=taken)
        for taken in (False, True)
    )
    assert inspect.signature(without).parameters["n"].default is None
    assert TypeAdapter(with_them).json_schema()["properties"]["n"]["type"] == "integer"
    validate_call(without)()
    validate_call(with_them)()
    assert calls == [{}, {"n": 100}]
