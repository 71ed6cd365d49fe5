"""The endpoints of `models.toml`: what is shipped, and the user's own file over it.

`[endpoint.NAME]` describes a server. A table of the same name in the user's file is laid over the shipped
one, field by field; a new name is a new endpoint.
"""

import os
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from evaluator import files
from evaluator.errors import Mistake
from evaluator.providers import quirks
from evaluator.providers.endpoint import Endpoint
from evaluator.providers.names import BUILT_IN

SHIPPED = Path(__file__).parent / "models.toml"
FILE_VARIABLE = "BAKEOFF_MODELS"

_NAME = r"[a-z0-9][a-z0-9_-]*"
_VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def is_server_url(text: str) -> bool:
    """Whether `text` is an http or https URL with a host."""
    try:
        url = urlsplit(text)
        url.port  # noqa: B018 - raises `ValueError` where it is no port
        return url.scheme in ("http", "https") and bool(url.hostname)
    except ValueError:
        return False


def _url(text: str) -> str:
    if not is_server_url(_VARIABLE.sub("1", text)):
        raise ValueError("must be a URL such as http://localhost:8000/v1, with {VARIABLE} for what differs")
    return text


def _quirk(name: str) -> str:
    if name not in quirks.BY_NAME:
        raise ValueError(f"there is no quirk {name!r}; there are {', '.join(quirks.BY_NAME)}")
    return name


Text = Annotated[str, Field(min_length=1)]
QuirkName = Annotated[str, AfterValidator(_quirk)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ModelQuirks(_Table):
    """Quirks of the models whose name matches: `*` stands for any characters."""

    match: Text
    quirks: list[QuirkName]


class EndpointTable(_Table):
    """One `[endpoint.NAME]`.

    A `{VARIABLE}` in `base_url` stands for that environment variable. `key_variable` names the one that holds the
    key; a hosted endpoint cannot do without. `price_key` is the provider's name in price lists. The rest is for
    readers: how to `start` the server, also `from_packages` of the Python registry alone, and how to `get` the model
    or the key, a model as `example`, what its documentation says (`notes`, `source`), and whether it was `tried` for
    real.
    """

    title: Text
    kind: Literal["self-hosted", "hosted"]
    base_url: Annotated[str, AfterValidator(_url)]
    key_variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    price_key: Text | None = None
    quirks: list[QuirkName] = []
    models: list[ModelQuirks] = []
    start: Text | None = None
    from_packages: Text | None = None
    get: Text | None = None
    example: Text | None = None
    notes: list[Text] = []
    source: list[Text] = []
    tried: Text = "not run here"

    @property
    def variables(self) -> list[str]:
        """The environment variables that stand in `base_url`."""
        return _VARIABLE.findall(self.base_url)

    def quirks_of(self, model: str) -> tuple[str, ...]:
        """The names of the quirks that hold for a model, in the order in which they are applied."""
        matching = (entry.quirks for entry in self.models if fnmatchcase(model, entry.match))
        return tuple(dict.fromkeys([*self.quirks, *(name for names in matching for name in names)]))


def own_file() -> Path | None:
    """The user's own file: `$BAKEOFF_MODELS`, else `models.toml` in the configuration folder if it is there."""
    if named := os.environ.get(FILE_VARIABLE):
        return Path(named).expanduser()
    path = platformdirs.user_config_path("bakeoff", appauthor=False) / "models.toml"
    return path if path.is_file() else None


def shipped() -> dict[str, EndpointTable]:
    """The shipped endpoints by name."""
    tables = _tables(SHIPPED)
    return _checked(SHIPPED, tables, tables)


def endpoints() -> dict[str, EndpointTable]:
    """Every endpoint by name: the shipped ones, and those of the user's own file. Raises `Mistake`."""
    below = _tables(SHIPPED)
    found = _checked(SHIPPED, below, below)
    if (own := own_file()) is not None:
        tables = _tables(own)
        found |= _checked(own, tables, {name: {**below.get(name, {}), **table} for name, table in tables.items()})
    return found


def reach(table: EndpointTable, name: str, model: str, base_url: str | None, key_variable: str | None) -> Endpoint:
    """Where requests for `model` of the endpoint `name` go, and with which key.

    `base_url` and `key_variable` take the place of the endpoint's own. Raises `Mistake`.
    """
    return Endpoint(
        model,
        base_url or _filled(name, table),
        _key(name, table, key_variable),
        quirks=table.quirks_of(model),
    )


def key_in(variable: str) -> str | None:
    """The key that an environment variable holds, if any. Raises `Mistake`, without showing it."""
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise Mistake(f"{variable}: holds characters that no key can have; set it again")
    return key or None


def _key(name: str, table: EndpointTable, key_variable: str | None) -> str | None:
    variable = key_variable or table.key_variable
    key = key_in(variable) if variable else None
    if key is None and table.kind == "hosted":
        wanted = variable or "--key-variable NAME"
        raise Mistake(f"endpoint {name!r} needs a key: set the environment variable {wanted} to yours")
    return key


def _filled(name: str, table: EndpointTable) -> str:
    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1], "").strip()
        if not found:
            raise Mistake(f"endpoint {name!r} needs the environment variable {match[1]} for its address")
        return found

    filled = _VARIABLE.sub(value, table.base_url)
    if not is_server_url(filled):
        variables = ", ".join(table.variables)
        raise Mistake(f"endpoint {name!r}: what {variables} holds makes no address of {table.base_url}")
    return filled


def _tables(path: Path) -> dict[str, dict[str, Any]]:
    """The tables `[endpoint.NAME]` of a file, not checked yet."""
    text = _text(path)
    try:
        data = files.toml_in(text)
    except ValueError as error:
        reason, _, place = str(error).rpartition(" (at ")
        line = re.search(r"line (\d+)", place)
        at_end = len(text.splitlines()) if place else ""  # "at end of document"
        where = ":".join(map(str, filter(None, [path, line[1] if line else at_end])))
        raise Mistake(f"{where}: is not valid TOML: {reason or error}") from None
    for name in data:
        if name != "endpoint":
            raise _mistake(path, text, [name], "there is no such table; write [endpoint.NAME]")
    tables = data.get("endpoint", {})
    if not isinstance(tables, dict):
        raise _mistake(path, text, ["endpoint"], "must be tables, [endpoint.NAME]")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise _mistake(path, text, ["endpoint", name], "must be a table, [endpoint.NAME]")
        if not re.fullmatch(_NAME, name) or name in BUILT_IN:
            raise _mistake(path, text, ["endpoint", name], "cannot be the name of an endpoint")
    return tables


def _text(path: Path) -> str:
    try:
        return files.read_text(path)
    except OSError as error:
        raise Mistake(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Mistake(f"{path}: is not UTF-8: {error.reason}") from None


def _checked(path: Path, written: Mapping[str, Any], tables: Mapping[str, dict[str, Any]]) -> dict[str, EndpointTable]:
    """The endpoints of `tables`. A mistake is one of the file at `path`, where `written` stands."""
    found = {}
    for name in written:
        try:
            found[name] = EndpointTable.model_validate(tables[name])
        except ValidationError as error:
            first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
            unknown = first["type"] == "extra_forbidden"
            reason = "there is no such field" if unknown else first["msg"].removeprefix("Value error, ")
            raise _mistake(path, _text(path), ["endpoint", name, *first["loc"]], reason) from None
    return found


def _mistake(path: Path, text: str, where: list[Any], reason: str) -> Mistake:
    shown = ".".join(str(part) for part in where)
    return Mistake(f"{path}:{_line_of(text, where)}: {shown}: {reason}")


def _line_of(text: str, where: list[Any]) -> int:
    """The line (from 1) where a value stands in TOML text, or its nearest table above; 1 where none is found.

    `where` is a path of table names, positions in arrays, and a field, of which the last ones may not be there.
    """
    names = [part for part in where if isinstance(part, str)]
    position = next((part for part in where if isinstance(part, int)), 0)
    best, best_depth, entries = 1, 0, 0
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]", line):
            path = table = [part.strip(" \"'") for part in header[2].split(".")]
            if header[1] == "[[" and table == names[: len(table)]:
                entries += 1
                if entries - 1 != position:
                    path = table = []
        elif field := re.match(r"\s*[\"']?([\w-]+)[\"']?\s*=", line):
            path = [*table, field[1]]
        else:
            continue
        depth = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(path, names, strict=False)))
        if depth > best_depth:
            best, best_depth = number, depth
    return best
