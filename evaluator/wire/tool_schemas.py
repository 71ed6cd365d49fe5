"""How a tool offered to the model differs from the tool of the task: its description and its JSON schema.

No difference, because the schema says the same of the arguments:

- the order of keys, of `required`, of enum values and of the parts of an `anyOf`;
- a `$ref` and what it refers to, put in its place; `anyOf`, `oneOf` or `allOf` of one part and that part;
- `"type": ["string", "null"]`, and `anyOf` of a string and null; `const`, and an enum of one value;
- `additionalProperties` true, false or absent;
- no `parameters` at all, where the function takes none, as the protocol has it;
- `strict` false, null or absent; titles left out; blanks before and after a description.

Everything else has a name, such as `changed schema: required`. Titles added are a difference, since they cost tokens.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from pydantic import TypeAdapter

from tasks.base import Tool
from tasks.wire import SearchTool

_DEEPEST = 20
"""Levels; a schema may refer to itself."""


@dataclass(frozen=True)
class ToolSpec:
    """A tool as its task defines it. `schema` is the JSON schema of its parameters, as text."""

    name: str
    description: str
    schema: bytes


@dataclass(frozen=True)
class Change:
    """One way in which an offered tool differs: a stable name, and where and how in words."""

    name: str
    example: str


_specs: dict[Any, ToolSpec] = {}


def spec_of(tool: Tool | SearchTool) -> ToolSpec:
    """The spec of a Python function: its name, its docstring, and the schema that pydantic reads off its signature.

    A search tool has one text parameter, `query`.
    """
    if isinstance(tool, SearchTool):
        schema = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
        return ToolSpec(tool.name, tool.description, orjson.dumps(schema))
    function: Any = getattr(tool, "__func__", tool)  # tools are bound to a run, what they look like is not
    if function not in _specs:
        typed: Any = tool
        read_off = orjson.dumps(TypeAdapter(typed).json_schema())
        _specs[function] = ToolSpec(tool.__name__, inspect.getdoc(tool) or "", read_off)
    return _specs[function]


def changes(spec: ToolSpec, offered: dict[str, Any]) -> tuple[Change, ...]:
    """All ways in which `offered` (an item of the request's `tools`) differs from `spec`."""
    return _changes(spec, orjson.dumps(offered, option=orjson.OPT_SORT_KEYS))


@lru_cache(maxsize=4096)
def _changes(spec: ToolSpec, offered: bytes) -> tuple[Change, ...]:
    tool = orjson.loads(offered)
    function = tool["function"]
    found: dict[str, str] = {}

    def add(name: str, example: str) -> None:
        found.setdefault(name, f"{spec.name}: {example}")

    expected_schema, schema = orjson.loads(spec.schema), function.get("parameters") or {"type": "object"}
    expected, given = _normal(expected_schema), _normal(schema)
    moved = False
    if word := description_change(spec.description, function.get("description") or "", _descriptions(given)):
        moved = word == "moved into the parameters"
        add(f"changed description: {word}", function.get("description") or "none")
    if function.get("strict"):
        add("changed schema: strict", "strict is true")
    if titles(schema) > len(expected_schema.get("$defs") or {}):  # a model's own name is no addition
        add("changed schema: titles", f"{titles(schema)} titles")
    for name in sorted({*tool, *function} - {"type", "function", "name", "description", "parameters", "strict"}):
        add(f"changed schema: {name}", str(tool.get(name, function.get(name))))
    for name, example in _schema_changes(expected, given, ""):
        of_docstring = moved and example.partition(": ")[2] in collapsed(spec.description)
        if not (name == "description" and of_docstring):
            add(f"changed schema: {name}", example)
    return tuple(Change(name, example) for name, example in found.items())


# --- descriptions ----------------------------------------------------------------------------


def description_change(expected: str, given: str, of_parameters: list[str]) -> str | None:
    """What became of a tool's description, in a few words; None where it is the same."""
    if given.strip() == expected.strip():
        return None
    expected_line, given_line = collapsed(expected), collapsed(given)
    if given_line == expected_line:
        return "whitespace"
    if not given_line:
        return "lost"
    if expected_line in given_line:
        return "text added"
    if expected_line.startswith(given_line):
        left_out = re.sub(r"(?m)^\s*(?:Args:|\w+:)", "\n", expected[len(expected.partition("\n")[0]) :])
        parts = [collapsed(part) for part in left_out.splitlines() if part.strip()]
        in_parameters = " ".join(of_parameters)
        return "moved into the parameters" if all(part in in_parameters for part in parts) else "cut"
    return "reworded"


def _descriptions(schema: Any, depth: int = 0) -> list[str]:
    """The descriptions of all parameters, on all levels."""
    if depth > _DEEPEST:
        return []
    if isinstance(schema, list):
        return [text for part in schema for text in _descriptions(part, depth + 1)]
    if not isinstance(schema, dict):
        return []
    own = [collapsed(schema["description"])] if isinstance(schema.get("description"), str) else []
    return own + [text for part in schema.values() for text in _descriptions(part, depth + 1)]


def collapsed(text: str) -> str:
    """The text with every run of blanks made one space."""
    return " ".join(text.split())


# --- schemas ---------------------------------------------------------------------------------


def _normal(schema: Any, definitions: dict[str, Any] | None = None, depth: int = 0) -> dict[str, Any]:
    """The schema in one of its many spellings: see the top of this file."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return {}
    definitions = definitions or schema.get("$defs") or schema.get("definitions") or {}
    node = {key: value for key, value in schema.items() if key not in ("$defs", "definitions", "title", "$schema")}
    if isinstance(reference := node.pop("$ref", None), str):
        target = definitions.get(reference.rpartition("/")[2])
        return {**_normal(target, definitions, depth + 1), **_normal(node, definitions, depth + 1)}
    parts: list[Any] = [node.pop(key) for key in ("anyOf", "oneOf") if isinstance(node.get(key), list)]
    parts = [part for group in parts for part in group]
    for part in node.pop("allOf", None) or []:
        node = {**_normal(part, definitions, depth + 1), **node}
    if isinstance(types := node.get("type"), list):
        del node["type"]
        own = {key: node.pop(key) for key in ("enum", "format", "items", "properties", "required") if key in node}
        parts += [{"type": name} if name == "null" else {"type": name, **own} for name in types]
    kept = [part for part in parts if not (isinstance(part, dict) and part.get("type") == "null")]
    nullable = len(kept) < len(parts)
    if len(kept) == 1:
        inner = _normal(kept[0], definitions, depth + 1)
        nullable = nullable or inner.pop("null allowed", False)
        node = {**inner, **node}
    elif kept:
        normal = [_normal(part, definitions, depth + 1) for part in kept]
        node["anyOf"] = sorted(normal, key=lambda part: orjson.dumps(part, option=orjson.OPT_SORT_KEYS))
    if nullable:
        node["null allowed"] = True
    if "const" in node:
        node["enum"] = [node.pop("const")]
    if isinstance(node.get("enum"), list):
        node["enum"] = sorted((value for value in node["enum"] if value is not None), key=str)
    if isinstance(node.get("additionalProperties"), bool):
        del node["additionalProperties"]
    elif "additionalProperties" in node:
        node["additionalProperties"] = _normal(node["additionalProperties"], definitions, depth + 1)
    if isinstance(node.get("properties"), dict):
        node["properties"] = {name: _normal(part, definitions, depth + 1) for name, part in node["properties"].items()}
    if isinstance(node.get("items"), dict):
        node["items"] = _normal(node["items"], definitions, depth + 1)
    if isinstance(node.get("required"), list):
        node["required"] = sorted(node["required"], key=str)
    return {key: value for key, value in node.items() if value not in ([], {}) or key == "default"}


def _schema_changes(expected: dict[str, Any], given: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """What differs, in a word, and where; `path` is the parameter, `address.street` say."""
    place = path or "the parameters"
    for key in sorted({*expected, *given}):
        before, after = expected.get(key), given.get(key)
        if before == after and (key in expected) == (key in given):
            continue
        if key == "properties":
            before, after = before or {}, after or {}
            for name in sorted({*before, *after}):
                inner = f"{path}.{name}" if path else name
                if name not in after:
                    yield "parameter removed", inner
                elif name not in before:
                    yield "parameter added", inner
                else:
                    yield from _schema_changes(before[name], after[name], inner)
        elif key == "items" and before and after:
            yield from _schema_changes(before, after, f"{path}[]")
        elif key == "required":
            yield "required", f"{place}: {', '.join(before or ['none'])} → {', '.join(after or ['none'])}"
        elif key == "description":
            yield ("description" if after else "description lost"), f"{place}: {collapsed(str(after or before))}"
        elif key in ("anyOf", "items"):
            yield "type", f"{place}: {_shown(before)} → {_shown(after)}"
        else:
            yield key, f"{place}: {_shown(before, key in expected)} → {_shown(after, key in given)}"


def _shown(value: Any, is_there: bool = True) -> str:
    return orjson.dumps(value).decode() if is_there else "none"


def schema_changes(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str]]:
    """What differs between two JSON schemas of parameters: a name such as `required`, and where and how in words."""
    return list(_schema_changes(_normal(before), _normal(after), ""))


def titles(schema: Any, depth: int = 0) -> int:
    """How many parts of the schema have a title. A parameter that is called `title` is none."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return 0
    inside: list[Any] = []
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions") and isinstance(value, dict):
            inside += value.values()
        elif isinstance(value, list):
            inside += value
        else:
            inside.append(value)
    return isinstance(schema.get("title"), str) + sum(titles(part, depth + 1) for part in inside)
