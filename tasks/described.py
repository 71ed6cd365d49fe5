"""Typed, documented Python functions, made from descriptions in JSON Schema: the tools of outside suites."""

import inspect
import keyword
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model
from pydantic_core import to_jsonable_python

from tasks.base import Tool

Schema = Mapping[str, Any]

_PLAIN: dict[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool, "null": None}
_FREE = Annotated[dict[str, Any], WithJsonSchema({"type": "object"})]
"""An object with whatever fields. Pydantic would say that others are allowed, as they are anyway, and strict schemas
are not made of one that says so."""

_TAKEN = frozenset(dir(BaseModel))


def _nothing_on_others(schema: dict[str, Any]) -> None:
    schema.pop("additionalProperties", None)


class _Object(BaseModel):
    """An object with named fields, as a tool takes one. It may have others, as JSON Schema has it."""

    model_config = ConfigDict(
        populate_by_name=True, protected_namespaces=(), extra="allow", json_schema_extra=_nothing_on_others
    )


def described(
    name: str,
    description: str,
    parameters: Schema,
    call: Callable[[str, dict[str, Any]], Any],
    *,
    with_defaults: bool = False,
) -> Tool:
    """The function that a description speaks of. Called, it gives what `call` makes of its name and its arguments.

    `parameters` is the JSON Schema of an object. Those that are not required come last, are None by default, and are
    not among the arguments where they are None. What is no name in Python gets an underscore: `from_`. `call` is given
    the names of the description, and JSON values. Descriptions of parameters stand in the docstring. With
    `with_defaults`, the function has those that the schema names, and then None only where the schema allows it.
    """
    properties: Mapping[str, Schema] = parameters.get("properties") or {}
    required = [one for one in parameters.get("required") or () if one in properties]
    in_order = [*required, *(one for one in properties if one not in required)]
    original = {python_name(one): one for one in in_order}
    types = {new: annotation(properties[old], f"{name}_{new}") for new, old in original.items()}

    def function(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        return call(name, {original[new]: _as_json(value) for new, value in given.items() if value is not None})

    def parameter(new: str, old: str) -> inspect.Parameter:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        if old in required:
            return inspect.Parameter(new, kind, annotation=types[new])
        default = properties[old].get("default") if with_defaults else None
        of_type = types[new] if default is not None else types[new] | None
        return inspect.Parameter(new, kind, annotation=of_type, default=default)

    signature = inspect.Signature([parameter(new, old) for new, old in original.items()], return_annotation=Any)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = _docstring(description, {new: properties[old] for new, old in original.items()})
    function.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()} | {"return": Any}
    function.__signature__ = signature  # type: ignore[attr-defined]
    return function


def python_name(name: str) -> str:
    """What a parameter is called in Python: what is no name there gets underscores."""
    plain = "".join(letter if letter.isalnum() or letter == "_" else "_" for letter in name)
    if not plain or plain[0].isdigit():
        plain = f"p_{plain}"
    plain = plain.lstrip("_") or "p"  # pydantic takes what begins with an underscore for private
    return f"{plain}_" if keyword.iskeyword(plain) else plain


def annotation(schema: Schema, name: str) -> Any:
    """The Python type that a JSON Schema describes. `name` is for an object with fields of its own."""
    if options := schema.get("enum"):
        return Literal[tuple(options)]
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return _union([annotation(one, f"{name}_{number}") for number, one in enumerate(several)])
    kind = schema.get("type")
    if isinstance(kind, list):
        return _union([annotation({**schema, "type": one}, name) for one in kind])
    if kind == "array":
        items = schema.get("items")
        return list[annotation(items, name)] if items else list[Any]  # type: ignore[misc]
    if kind == "object":
        return _object(schema, name) if schema.get("properties") else _FREE
    return _PLAIN.get(str(kind), Any)


def _union(types: list[Any]) -> Any:
    union = types[0]
    for one in types[1:]:
        union = union | one
    return union


def _object(schema: Schema, name: str) -> type[BaseModel]:
    required = schema.get("required") or ()
    fields: dict[str, Any] = {}
    for old, inner in schema["properties"].items():
        new = python_name(old)
        new = f"{new}_" if new in _TAKEN else new
        kind = annotation(inner, f"{name}_{new}")
        about: dict[str, Any] = {"description": inner["description"]} if inner.get("description") else {}
        if new != old:
            about["alias"] = old
        if old in required:
            fields[new] = (Annotated[kind, Field(**about)], ...)
        else:
            fields[new] = (Annotated[kind | None, Field(**about)], None)
    return create_model(name, __base__=_Object, __doc__=schema.get("description") or None, **fields)


def _as_json(value: Any) -> Any:
    return to_jsonable_python(value, by_alias=True, exclude_none=True)


def _docstring(description: str, parameters: Mapping[str, Schema]) -> str:
    lines = [f"    {name}: {told}" for name, schema in parameters.items() if (told := _told(schema))]
    return "\n".join([description.strip(), *(["", "Args:", *lines] if lines else [])])


def _told(schema: Schema) -> str:
    return " ".join(str(schema.get("description") or "").split())
