"""The one tool of the server, as it tells of itself, before its description changes and after."""

from typing import Any

NAME = "stock_of"
DESCRIPTION = "How many of an article the warehouse has."
ADDED = "What is reserved is not counted."
LATER_DESCRIPTION = f"{DESCRIPTION} {ADDED}"
"""The description after the first call of a server that `changes`."""

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"article": {"type": "string", "description": "Its name in the singular, such as lamp."}},
    "required": ["article"],
}
RESULT: dict[str, Any] = {"type": "object", "properties": {"result": {"type": "integer"}}, "required": ["result"]}
STOCK = 42
"""What the tool always returns."""

SLOW_S = 8.0
"""Seconds after which a `slow` server answers a call."""
