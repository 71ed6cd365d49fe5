"""Files that are not as they should be: every way in which a file can be damaged, by a seed."""

import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_DEEP = "@deep@"
_DEPTH = 20_000
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**63, 10**400, 0.5, -1e308, 1e308, float("nan"), float("inf"), -float("inf")),
    *("", " ", "x", "0", "NaN", "\ud800", "\x00", "\x1b[31m", "\u202e", "../../x", "a/b", "é" * 300, "9" * 5000),
    *([], {}, [[]], [None], {"": None}, {"\ud800": 1}, [1, "x", None, {}], _DEEP),
]
TOML_VALUES = (
    *(
        "1",
        "-1",
        "1" * 400,
        "nan",
        "inf",
        "true",
        '""',
        '"x"',
        '"\\u202e"',
        "[]",
        "{}",
        "[[1]]",
        "1979-05-27",
        "'a\\b'",
    ),
    *('["x", 1]', "{a = 1}", "[" * 2000, "{a=" * 500, "", "= 1", '"""', '"a" # b'),
)

_PUT_IN = (b"\0", b"\0" * 4096, b"\xff", b"\r", b"\n", b"\\ud800", b"\xed\xa0\x80", b'"', b"{", b"[" * _DEPTH)


def _swapped(value: Any, seed: random.Random) -> Any:
    """JSON data in which one value, somewhere, is another."""
    places: list[tuple[Any, Any]] = []

    def walk(inside: Any) -> None:
        for place in inside if isinstance(inside, dict) else range(len(inside)):
            places.append((inside, place))
            if isinstance(inside[place], dict | list):
                walk(inside[place])

    if not isinstance(value, dict | list) or not value:
        return seed.choice(VALUES)
    walk(value)
    inside, place = seed.choice(places)
    match seed.randrange(5):
        case 0:
            del inside[place]
        case 1:
            inside[place] = [inside[place]]
        case 2:
            inside[place] = str(inside[place])
        case _:
            inside[place] = seed.choice(VALUES)
    return value


def _data(content: bytes, seed: random.Random) -> bytes:
    """A swapped value in a file of JSON, or in one of its lines; in other text another value behind an equals sign."""
    lines = content.split(b"\n")
    for number, line in [(-1, content), (seed.randrange(len(lines)), b"")]:
        try:
            text = json.dumps(_swapped(json.loads(line or lines[number]), seed))
        except ValueError:
            continue
        made = text.replace(f'"{_DEEP}"', "[" * _DEPTH + "]" * _DEPTH).encode()
        return made if number < 0 else b"\n".join([*lines[:number], made, *lines[number + 1 :]])
    text = content.decode(errors="replace")
    values = list(re.finditer(r"=(.*)$", text, re.M))
    if not values:
        return _bits(content, seed)
    at = seed.choice(values)
    return (text[: at.start(1)] + f" {seed.choice(TOML_VALUES)}" + text[at.end(1) :]).encode()


def _bits(content: bytes, seed: random.Random) -> bytes:
    made = bytearray(content or b" ")
    for _ in range(seed.choice([1, 1, 2, 8, 64])):
        made[seed.randrange(len(made))] ^= 1 << seed.randrange(8)
    return bytes(made)


def _inserted(content: bytes, seed: random.Random) -> bytes:
    at = seed.randrange(len(content) + 1)
    return content[:at] + seed.choice(_PUT_IN) + content[at:]


def _lines(content: bytes, seed: random.Random) -> bytes:
    """A line left out, said twice, or said elsewhere."""
    lines = content.split(b"\n")
    line = lines[seed.randrange(len(lines))]
    if seed.random() < 0.5:
        lines.remove(line)
    if seed.random() < 0.7:
        lines.insert(seed.randrange(len(lines) + 1), line)
    return b"\n".join(lines)


def _key_twice(content: bytes, seed: random.Random) -> bytes:
    keys = list(re.finditer(rb'\{\s*"[^"]*":', content))
    if not keys:
        return _lines(content, seed)
    at = seed.choice(keys)
    return content[: at.end()] + b" 1, " + at[0].lstrip(b"{ \n") + content[at.end() :]


def _cut(content: bytes, seed: random.Random) -> bytes:
    return content[: seed.randrange(len(content) + 1)]


def _encoded(encoding: str) -> Callable[[bytes, random.Random], bytes]:
    return lambda content, seed: content.decode(errors="replace").encode(encoding, errors="replace")


CONTENTS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "another value": _data,
    "cut": _cut,
    "bits": _bits,
    "bytes put in": _inserted,
    "lines moved": _lines,
    "a key twice": _key_twice,
    "byte-order mark": lambda content, seed: b"\xef\xbb\xbf" + content,
    "CRLF": lambda content, seed: content.replace(b"\n", b"\r\n"),
    "UTF-16": _encoded("utf-16"),
    "UTF-32": _encoded("utf-32"),
    "Latin-1": _encoded("latin-1"),
    "twice": lambda content, seed: content + content,
    "empty": lambda content, seed: b"",
    "blank": lambda content, seed: b"\n \n",
    "noise": lambda content, seed: seed.randbytes(2000),
}
_OFTEN = ("another value",) * 12 + ("cut", "bits", "bytes put in", "lines moved", "a key twice") * 2


def _as_folder(path: Path) -> None:
    path.mkdir()


def _no_permission(path: Path) -> None:
    path.write_bytes(b"x")
    path.chmod(0)


FORMS: dict[str, Callable[[Path], None]] = {
    "folder": _as_folder,
    "pipe": lambda path: os.mkfifo(path),
    "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "link to nothing": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "no permission": _no_permission,
}


def mutate(path: Path, seed: random.Random) -> str:
    """Damage the file in one way or in two; gives what was done, in words."""
    if seed.random() < 0.15:
        form = seed.choice(list(FORMS))
        path.unlink()
        FORMS[form](path)
        return form
    done = [seed.choice([*CONTENTS, *_OFTEN]) for _ in range(seed.choice([1, 1, 1, 2]))]
    content = path.read_bytes()
    for name in done:
        content = CONTENTS[name](content, seed)
    path.write_bytes(content)
    return ", then ".join(done)
