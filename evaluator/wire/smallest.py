"""The smallest spelling of what goes over the wire: the fewest tokens that say the same.

Of a tool's JSON schema stays what tells arguments apart: names, types, enums, formats, defaults, `required`, and the
descriptions. It is the same schema by the rules of `evaluator/wire/tool_schemas.py`. What is defined elsewhere in it is
put where it is used, unless that takes more tokens or a part refers to itself.
"""

from functools import lru_cache
from typing import Any

import orjson

from evaluator.wire.tokens import count_tokens
from evaluator.wire.tool_schemas import ToolSpec


def as_json(value: Any) -> str:
    """JSON without a blank, in the order of the keys."""
    return orjson.dumps(value).decode()


def as_text(value: Any) -> str:
    """What a tool gave, as a message says it: text as it is, all else as JSON."""
    return value if isinstance(value, str) else as_json(value)


def tool(name: str, description: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    """A function as a request offers it. Without parameters it takes none, by the protocol."""
    function: dict[str, Any] = {"name": name}
    if description:
        function["description"] = description
    if parameters:
        function["parameters"] = parameters
    return {"type": "function", "function": function}


@lru_cache(maxsize=1024)
def offered(spec: ToolSpec) -> bytes:
    """The tool of a task as JSON, as the canonical request offers it."""
    schema = orjson.loads(spec.schema)
    whole = _Schema(schema.pop("$defs", {}))
    spellings = [whole.inlined(schema), whole.referring(schema)]
    tools = [
        orjson.dumps(tool(spec.name, spec.description.strip(), parameters if parameters.get("properties") else None))
        for parameters in spellings
        if parameters is not None
    ]
    return min(tools, key=lambda spelling: count_tokens(spelling.decode()))


class _RefersToItselfError(Exception):
    """A part of a schema has itself among its parts."""


class _Schema:
    """A JSON schema as pydantic writes it, whose definitions were taken out of it."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions

    def inlined(self, schema: Any) -> dict[str, Any] | None:
        """The schema with each definition in all its places; None where one refers to itself."""
        try:
            small: dict[str, Any] = self._small(schema, ())
        except _RefersToItselfError:
            return None
        return small

    def referring(self, schema: Any) -> dict[str, Any]:
        """The schema with its definitions beside it."""
        small: dict[str, Any] = self._small(schema, None)
        definitions = {name: self._small(part, None) for name, part in self._definitions.items()}
        return small | ({"$defs": definitions} if definitions else {})

    def _small(self, schema: Any, inside: tuple[str, ...] | None) -> Any:
        """The part in few words. `inside` are the definitions that it is in, or None where none is put in its place."""
        if not isinstance(schema, dict):
            return schema
        node = {key: value for key, value in schema.items() if not _says_nothing(key, value)}
        reference = node.get("$ref", "").rpartition("/")[2]
        if reference and inside is not None:
            if reference in inside:
                raise _RefersToItselfError
            del node["$ref"]
            return {**self._small(self._definitions[reference], (*inside, reference)), **self._small(node, inside)}
        for key in ("anyOf", "oneOf"):
            if key in node:
                parts = [self._small(part, inside) for part in node.pop(key)]
                node = {**(_as_one(parts) or {key: parts}), **node}
        if "properties" in node:
            node["properties"] = {name: self._small(part, inside) for name, part in node["properties"].items()}
        for key in ("items", "additionalProperties"):
            if key in node:
                node[key] = self._small(node[key], inside)
        if len(node.get("enum", ())) == 1:
            [node["const"]] = node.pop("enum")
        if "description" in node:
            node["description"] = node["description"].strip()
        return node


def _says_nothing(key: str, value: Any) -> bool:
    return (
        (key == "title" and isinstance(value, str))
        or (key == "additionalProperties" and isinstance(value, bool))
        or (key == "required" and not value)
    )


def _as_one(parts: list[dict[str, Any]]) -> dict[str, Any] | None:
    """A part and null as one part that may be null, if that can be said of it."""
    kept = [part for part in parts if part != {"type": "null"}]
    if len(kept) != 1:
        return None
    [part] = kept
    if len(kept) == len(parts):
        return part
    if not isinstance(part.get("type"), str) or "const" in part:
        return None
    return {**part, "type": [part["type"], "null"]} | ({"enum": [*part["enum"], None]} if "enum" in part else {})
