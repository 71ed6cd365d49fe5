"""BFCL's own package, asked across a pipe: its cases, and what its checker says of a run.

Runs in the environment of this folder, `python -m tasks.bfcl.inside`. All that is turned into something else on the
way stands in the README.
"""

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import version
from types import ModuleType, SimpleNamespace
from typing import Any

from pydantic import TypeAdapter, ValidationError, validate_call

from tasks.base import Tool
from tasks.bfcl.spec import BfclCase, prepare, tool_name
from tasks.described import annotation, python_name
from tasks.served import serve

MODEL = "bakeoff"
"""As which model the checker knows us: one that calls functions by the names that they have in the suite."""


def _without_vendors() -> None:
    """Stand in for the table of all models, whose import would import the clients of all vendors.

    The checker asks it one thing: whether the model has underscores where functions have dots.
    """
    table = ModuleType("bfcl_eval.constants.model_config")
    table.MODEL_CONFIG_MAPPING = {MODEL: SimpleNamespace(underscore_to_dot=False)}  # type: ignore[attr-defined]
    sys.modules[table.__name__] = table


_without_vendors()

from bfcl_eval.constants.enums import Language  # noqa: E402
from bfcl_eval.constants.eval_config import POSSIBLE_ANSWER_PATH, PROMPT_PATH  # noqa: E402
from bfcl_eval.constants.type_mappings import GORILLA_TO_OPENAPI  # noqa: E402
from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker, standardize_string  # noqa: E402
from bfcl_eval.utils import (  # noqa: E402
    get_file_name_by_category,
    is_empty_output,
    is_relevance_or_irrelevance,
    load_dataset_entry,
    load_ground_truth_entry,
)

CATEGORIES = (
    "simple_python",
    "multiple",
    "parallel",
    "parallel_multiple",
    "irrelevance",
    "live_simple",
    "live_multiple",
    "live_parallel",
    "live_parallel_multiple",
    "live_irrelevance",
)
CALLED, NOT_CALLED = "It is done.", "None of the functions can do that."
"""What the scripted model says in the end: no answer is looked at."""

_ID = re.compile(r"(?<![A-Za-z0-9-])[A-Z]+-\d+")
"""What the scripted model takes for an id, which it must have been sent before it calls something with it."""


# --- the cases -------------------------------------------------------------------------------


def cases() -> list[dict[str, Any]]:
    """All cases that can be served, as data of `BfclCase`."""
    return [case for category in CATEGORIES for case in _cases_of(category)]


def _cases_of(category: str) -> Iterable[dict[str, Any]]:
    relevance = is_relevance_or_irrelevance(category)
    possible = {} if relevance else {one["id"]: one["ground_truth"] for one in load_ground_truth_entry(category)}
    for entry in load_dataset_entry(category):
        said = _said(entry["question"])
        if said is None or not entry["function"]:
            continue
        system, question = said
        functions = entry["function"]
        case = {
            "id": entry["id"].lower(),
            "kind": category,
            "size": "full",
            "version": version("bfcl-eval"),
            "data": _data(),
            "system": system,
            "question": question,
            "functions": [
                {"name": one["name"], "description": one["description"], "parameters": schema(one["parameters"])}
                for one in functions
            ],
            "answer": NOT_CALLED if relevance else CALLED,
        }
        if not relevance:
            case["possible_answers"] = possible[entry["id"]]
            case["types"] = {one["name"]: _types(one["parameters"]["properties"]) for one in functions}
            case |= gold(case)
        yield case


@cache
def _data() -> str:
    """Digest of all files that cases are made from."""
    folders = (PROMPT_PATH, POSSIBLE_ANSWER_PATH)
    files = [folder / get_file_name_by_category(category) for folder in folders for category in CATEGORIES]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files if file.is_file())).hexdigest()[:16]


def _said(turns: list[list[dict[str, str]]]) -> tuple[str | None, str] | None:
    """The system message and the question; None where an answer stands between, which no implementation is given."""
    [messages] = turns
    if any(message["role"] not in ("system", "user") for message in messages):
        return None
    system = [message["content"] for message in messages if message["role"] == "system"]
    asked = [message["content"] for message in messages if message["role"] == "user"]
    return "\n\n".join(system) or None, "\n\n".join(asked)  # as `combine_consecutive_user_prompts` of the suite does


def schema(described: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of what the suite describes in a dialect of its own."""
    kind, options = GORILLA_TO_OPENAPI.get(described.get("type"), "string"), described.get("enum")
    made: dict[str, Any] = {"type": kind}
    if "properties" in described:
        made["properties"] = {name: schema(inner) for name, inner in described["properties"].items()}
        made["required"] = [name for name in described.get("required") or () if name in described["properties"]]
    if "items" in described:
        made["items"] = schema(described["items"])
    if options and kind == "array":  # of what is in it
        made["items"] = {**made["items"], "enum": options}
    elif options and kind != "string" and all(isinstance(one, str) for one in options):  # of numbers, say, in words
        made = {"anyOf": [made, {"type": "string", "enum": options}]}
    elif options:
        made["enum"] = options
    if told := _told(described):
        made["description"] = told
    return made


_ALSO_TOLD = {
    "default": "Default is",
    "optional": "Optional",
    "minimum": "Minimum value",
    "maximum": "Maximum value",
    "minItems": "Minimum number of items",
    "maxItems": "Maximum number of items",
    "format": "Format",
}


def _told(described: Mapping[str, Any]) -> str:
    """The description, with what types do not say in words, as the suite itself adds for models that take no more."""
    told = str(described.get("description") or "")
    if described.get("type") == "float":
        told += " This is a float type value."
    for key, words in _ALSO_TOLD.items():
        if key in described and not isinstance(described[key], list):
            told += f" {words}: {described[key]}."
    return told.strip()


def _types(properties: Mapping[str, Any]) -> dict[str, list[str]]:
    """What the checker reads of the parameters: the type of each, and that of its items."""
    return {
        name: [described["type"], *([described["items"]["type"]] if "items" in described else [])]
        for name, described in properties.items()
    }


# --- how the scripted model plays them -------------------------------------------------------


def gold(data: Mapping[str, Any]) -> dict[str, Any]:
    """The calls that the possible answers name, and why they are refused where they are."""
    case = BfclCase.model_validate(data)
    messages = f"{case.system or ''}\n{case.question}"
    calls: list[dict[str, Any]] = [
        {"name": name, "arguments": _arguments(case, name, possible, messages)}
        for one in case.possible_answers
        for name, possible in one.items()
    ]
    steps = [
        {
            "tool": tool_name(call["name"]),
            "arguments": {python_name(name): value for name, value in call["arguments"].items()},
        }
        for call in calls
    ]
    reasons = _reasons(case, calls) or _reasons_of_tools(case, steps)
    return {"turns": [steps], **({"unplayable": "; ".join(reasons)} if reasons else {})}


def _arguments(case: BfclCase, name: str, possible: Mapping[str, list[Any]], messages: str) -> dict[str, Any]:
    """The first possible value of each parameter that the function takes and the messages show."""
    parameters = next(function.parameters for function in case.functions if function.name == name)
    arguments: dict[str, Any] = {}
    for parameter, values in possible.items():
        if parameter not in parameters["properties"]:
            continue
        described = parameters["properties"][parameter]
        options = [_unfolded(value) for value in values if value != ""]
        takes = _taker(described)
        taken = [value for value in [*options, *_same(options, described.get("enum", ()))] if takes(value)]
        shown = [value for value in taken if all(id in messages for id in _ids(value))]
        if best := shown or taken or ([] if "" in values else options):
            arguments[parameter] = best[0]
        elif "" in values and parameter in parameters["required"]:
            arguments[parameter] = ""
    return arguments


def _same(options: list[Any], enumerated: Iterable[Any]) -> list[Any]:
    """Those of the values of an enumeration that are the same to the checker as one of the options."""
    same = {standardize_string(option) for option in options if isinstance(option, str)}
    return [one for one in enumerated if isinstance(one, str) and standardize_string(one) in same]


def _ids(value: Any) -> list[str]:
    return _ID.findall(json.dumps(value, ensure_ascii=False))


def _reasons_of_tools(case: BfclCase, steps: list[dict[str, Any]]) -> list[str]:
    """Why the calls are wrong as they are once they have gone through the tools, or what a tool does not take."""
    prepared = prepare(case)
    tools: dict[str, Tool] = {tool.__name__: tool for tool in prepared.brief.tools}
    for step in steps:
        try:
            validate_call(tools[step["tool"]])(**step["arguments"])
        except ValidationError as error:
            first = error.errors()[0]
            return [f"{step['tool']} does not take it: {'.'.join(map(str, first['loc']))}: {first['msg']}"]
    return _reasons(case, prepared.final_state()["calls"])


def _unfolded(value: Any) -> Any:
    """A value of a possible answer: in dictionaries, each key has a list of values, too, unless it is a dictionary."""
    if isinstance(value, list):
        return [_unfolded(one) if isinstance(one, dict) else one for one in value]
    if isinstance(value, dict):
        chosen = {
            key: next((one for one in inner if one != ""), None) if isinstance(inner, list) else inner
            for key, inner in value.items()
        }
        return {key: one for key, one in chosen.items() if one is not None}
    return value


def _taker(parameter: Mapping[str, Any]) -> Callable[[Any], bool]:
    adapter: TypeAdapter[Any] = TypeAdapter(annotation(parameter, "parameter"))

    def takes(value: Any) -> bool:
        try:
            adapter.validate_python(value)
        except ValidationError:
            return False
        return True

    return takes


# --- what the suite says of a run ------------------------------------------------------------


def judge(case: dict[str, Any], outcome: dict[str, Any]) -> dict[str, Any]:
    """The suite's `accuracy`, over all calls of a run."""
    reasons = _reasons(BfclCase.model_validate(case), outcome["final_state"].get("calls", []))
    return {"metrics": {"accuracy": not reasons}, "reasons": reasons}


def _reasons(case: BfclCase, calls: list[dict[str, Any]]) -> list[str]:
    """Why the calls are wrong; nothing where they are right."""
    made = [{call["name"]: call["arguments"]} for call in calls]
    if is_relevance_or_irrelevance(case.kind):
        called = ", ".join(call["name"] for call in calls)
        return [] if is_empty_output(made) else [f"called where nothing was to be called: {called}"]
    functions = [
        {
            "name": one.name,
            "parameters": {"properties": _checked(case.types[one.name]), "required": one.parameters["required"]},
        }
        for one in case.functions
    ]
    try:
        said = ast_checker(functions, made, case.possible_answers, Language.PYTHON, case.kind, MODEL)
    except Exception as error:  # there are values that it does not expect
        return [f"the suite's checker failed: {type(error).__name__}: {error}"]
    return [] if said["valid"] else list(_errors(said["error"])) or [said["error_type"]]


def _checked(types: Mapping[str, list[str]]) -> dict[str, Any]:
    return {
        name: {"type": kinds[0], **({"items": {"type": kinds[1]}} if kinds[1:] else {})}
        for name, kinds in types.items()
    }


def _errors(said: Iterable[Any]) -> Iterable[str]:
    """What the checker said, of each call where there were several."""
    for one in said:
        if isinstance(one, dict):
            for about in one.values():
                yield from _errors(about["sub_error"])
        else:
            yield str(one)


if __name__ == "__main__":
    serve({"cases": cases, "judge": judge})
