"""BFCL's own package, asked across a pipe: its conversations, its classes, and what its checker says of a run.

Runs in the environment of this folder, `python -m tasks.bfcl_multi_turn.inside`. All that is turned into something else
on the way stands in the README.
"""

import ast
import contextlib
import hashlib
import inspect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

from bfcl_eval.constants.eval_config import MULTI_TURN_FUNC_DOC_PATH, POSSIBLE_ANSWER_PATH, PROMPT_PATH
from bfcl_eval.constants.executable_backend_config import CLASS_FILE_PATH_MAPPING, MULTI_TURN_FUNC_DOC_FILE_MAPPING
from bfcl_eval.eval_checker.multi_turn_eval import multi_turn_utils
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker import multi_turn_checker
from bfcl_eval.utils import get_file_name_by_category, load_dataset_entry, load_ground_truth_entry
from pydantic import ValidationError, validate_call

from tasks.base import Step
from tasks.bfcl.inside import schema
from tasks.bfcl_multi_turn.spec import ConversationCase, tools_of
from tasks.described import python_name
from tasks.served import serve

CATEGORY = "multi_turn_base"
DONE = "It is done."
"""What the scripted model says when it has made the calls of a message: no answer is looked at."""

Json = dict[str, Any]


# --- the cases -------------------------------------------------------------------------------


def cases() -> list[Json]:
    """All conversations, as data of `ConversationCase`."""
    gold = {one["id"]: one["ground_truth"] for one in load_ground_truth_entry(CATEGORY)}
    return [_case(entry, gold[entry["id"]]) for entry in load_dataset_entry(CATEGORY)]


def _case(entry: Json, gold: list[list[str]]) -> Json:
    classes = entry["involved_classes"]
    messages = [message["content"] for [message] in entry["question"]]
    case = {
        "id": entry["id"],
        "kind": CATEGORY,
        "size": "full",
        "version": version("bfcl-eval"),
        "data": _data(),
        "question": messages[0],
        "further": messages[1:],
        "functions": [
            {"name": one["name"], "description": one["description"], "parameters": schema(one["parameters"])}
            for one in entry["function"]
        ],
        "classes": classes,
        "initial": {name: entry["initial_config"].get(name, {}) for name in classes},
        "gold": gold,
        "turns": [[_step(call, classes) for call in calls] for calls in gold],
        "answer": DONE,
    }
    reasons = _reasons_of_gold(ConversationCase.model_validate(case))
    return case | ({"unplayable": "; ".join(reasons)} if reasons else {})


@cache
def _data() -> str:
    """Digest of all files that cases are made from."""
    name = get_file_name_by_category(CATEGORY)
    described = [MULTI_TURN_FUNC_DOC_PATH / file for file in MULTI_TURN_FUNC_DOC_FILE_MAPPING.values()]
    files = [PROMPT_PATH / name, POSSIBLE_ANSWER_PATH / name, *sorted(described)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _step(written: str, classes: Sequence[str]) -> Json:
    """A gold call, which is written in Python, with its arguments by name."""
    call = ast.parse(written.strip(), mode="eval").body
    assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name), written
    methods = (getattr(_class(name), call.func.id, None) for name in classes)
    method = next(one for one in methods if one is not None)
    values = [ast.literal_eval(value) for value in call.args]
    named = {one.arg: ast.literal_eval(one.value) for one in call.keywords if one.arg is not None}
    _, *parameters = inspect.signature(method).parameters  # without `self`
    arguments = dict(zip(parameters, values, strict=False)) | named
    return {"tool": call.func.id, "arguments": {python_name(name): value for name, value in arguments.items()}}


def _class(name: str) -> type[Any]:
    found: type[Any] = getattr(import_module(CLASS_FILE_PATH_MAPPING[name]), name)
    return found


def _reasons_of_gold(case: ConversationCase) -> list[str]:
    """Why the gold calls are wrong once they have gone through the tools, or what a tool does not take."""
    turns: list[list[Json]] = []

    def take_down(function: str, arguments: Json) -> None:
        turns[-1].append({"name": function, "arguments": arguments})

    tools = {tool.__name__: validate_call(tool) for tool in tools_of(case, take_down)}
    for steps in case.turns:
        turns.append([])
        for step in steps:
            if refused := _refused(tools[step.tool], step):
                return [refused]
    return _reasons(case, turns)


def _refused(tool: Any, step: Step) -> str | None:
    try:
        tool(**step.arguments)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{step.tool} does not take it: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return None


# --- runs ------------------------------------------------------------------------------------

_RUNS: dict[str, ConversationCase] = {}
_NUMBERS = itertools.count(1)


def open_run(case: Json) -> Json:
    """A run of a case begins, on instances of its own."""
    run = f"run{next(_NUMBERS)}"
    _RUNS[run] = ConversationCase.model_validate(case)
    return {"run": run}


def call(run: str, function: str, arguments: Json) -> str:
    """What a function gives in a run, as the suite writes it for a model."""
    case = _RUNS[run]
    [given], _ = multi_turn_utils.execute_multi_turn_func_call(
        [_written(function, arguments)], case.initial, case.classes, run, case.id
    )
    return str(given)


def close_run(run: str) -> None:
    """A run ends."""
    del _RUNS[run]
    _forget(run)


def _written(function: str, arguments: Mapping[str, Any]) -> str:
    """A call as the suite's own handlers write what a model called."""
    return f"{function}({','.join(f'{name}={value!r}' for name, value in arguments.items())})"


def _forget(run: str) -> None:
    """Remove the instances of a run, which the suite keeps among its module's globals."""
    for name in [name for name in vars(multi_turn_utils) if name.startswith(f"{run}_")]:
        delattr(multi_turn_utils, name)


@contextlib.contextmanager
def _forgotten_afterwards() -> Iterator[str]:
    run = f"judged{next(_NUMBERS)}"
    try:
        yield run
    finally:
        _forget(run)


# --- what the suite says of a run ------------------------------------------------------------


def judge(case: Json, outcome: Json) -> Json:
    """The suite's `accuracy`, over all calls of a run, turn by turn. A run that ended without an answer is wrong."""
    turns = (outcome.get("final_state") or {}).get("turns", [])
    if outcome.get("ended", "answered") != "answered":
        why = outcome.get("error") or outcome["ended"]
        reasons = [f"ended without an answer: {why}"]
    else:
        reasons = _reasons(ConversationCase.model_validate(case), turns)
    return {"metrics": {"accuracy": not reasons}, "reasons": reasons}


def _reasons(case: ConversationCase, turns: list[list[Json]]) -> list[str]:
    """Why the calls are wrong; nothing where they are right."""
    if len(turns) != len(case.gold):  # the suite's runner asks the same before its checker
        return [f"{len(turns)} of {len(case.gold)} messages were taken"]
    made = [[[_written(one["name"], one["arguments"])] for one in calls] for calls in turns]
    entry = {"id": case.id, "initial_config": case.initial, "involved_classes": case.classes}
    with _forgotten_afterwards() as run:
        try:
            said = multi_turn_checker(made, case.gold, entry, CATEGORY, run)
        except Exception as error:  # there are calls that it does not expect
            return [f"the suite's checker failed: {type(error).__name__}: {error}"]
    return [] if said["valid"] else [said["error_message"]]


if __name__ == "__main__":
    serve({"cases": cases, "open": open_run, "call": call, "close": close_run, "judge": judge})
