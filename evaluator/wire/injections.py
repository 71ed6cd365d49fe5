"""Whether a text that somebody put into a tool's result stands whole in what a model is sent, and how it is spelled."""

import json
from collections.abc import Callable, Iterable
from typing import Literal

Spelling = Literal["as it is", "escaped", "escaped twice"]


def spelled(text: str, injected: str) -> Spelling | None:
    """How `injected` stands whole in `text`: as it is; as JSON and Python write a text within a text, `\\n` for a line
    break; or so twice, one within the other. None where it does not."""
    once = _escaped([injected])
    forms: dict[Spelling, Iterable[str]] = {"as it is": [injected], "escaped": once, "escaped twice": _escaped(once)}
    return next((how for how, written in forms.items() if any(form in text for form in written)), None)


def _escaped(forms: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(escape(form) for form in forms for escape in _ESCAPES))


_ESCAPES: tuple[Callable[[str], str], ...] = (
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: json.dumps(text)[1:-1],
    lambda text: repr(f'"{text}')[2:-1],  # with which quotes Python writes a text depends on those that are in it
    lambda text: repr(f'"{text}')[2:-1].replace("\\'", "'"),
    lambda text: repr(f'"{text}')[2:-1].replace("\\'", "'").replace('"', '\\"'),
)
