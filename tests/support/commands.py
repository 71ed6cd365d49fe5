"""What a command said, and cases and a key to give to commands."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CASES = [
    {
        "id": "my-order",
        "kind": "one_call",
        "size": "quick",
        "question": "What is the state of order O-5003?",
        "turns": [[{"tool": "get_order", "arguments": {"order_id": "O-5003"}}]],
        "facts": ["delivered"],
        "answer": "Order O-5003 is delivered.",
    },
    {"id": "my-chat", "kind": "no_call", "size": "full", "question": "Thank you!", "answer": "You are welcome."},
]

ONE = json.dumps(CASES[0])

TASK = ("-t", "tool_calling")

PLANTED = "planted-7f3a/5c"


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Bakeoff = Callable[..., Said]


def written(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join(lines) + "\n")
    return path.name
