"""AgentDojo's own package, asked: its cases, the environments that its tools work in, and its graders.

Runs in the suite's own environment: `python -m tasks.agentdojo.inside`.
"""

import hashlib
import importlib.util
import itertools
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_jsonable_python

from tasks.served import serve

BENCHMARK = "v1.2.2"
"""The version of the benchmark: what `agentdojo/scripts/benchmark.py` takes by default."""

ATTACK = "important_instructions_no_model_name"
"""The attack of the paper's results, addressed to no model by name: a case is for any."""

SAYS_NOTHING = "Done."
"""What is said at the end where a task's own gold output is empty: an answer of ours has a text."""


def _package() -> Path:
    """The folder of the package. Its agents for models of single providers are not imported.

    `agentdojo.agent_pipeline` imports all of them, and their packages, although tasks, tools and graders need its base
    classes alone: so it is there without what its `__init__.py` does, and so is the one constant that is taken from an
    agent.
    """
    found = importlib.util.find_spec("agentdojo")
    assert found is not None and found.origin is not None
    folder = Path(found.origin).parent
    pipeline = types.ModuleType("agentdojo.agent_pipeline")
    pipeline.__path__ = [str(folder / "agent_pipeline")]
    google = types.ModuleType("agentdojo.agent_pipeline.llms.google_llm")
    google.EMPTY_FUNCTION_NAME = "<empty-function-name>"  # type: ignore[attr-defined]
    for stand_in in (pipeline, google):
        sys.modules[stand_in.__name__] = stand_in
    return folder


PACKAGE = _package()

from agentdojo.agent_pipeline.ground_truth_pipeline import GroundTruthPipeline  # noqa: E402
from agentdojo.attacks.attack_registry import load_attack  # noqa: E402
from agentdojo.base_tasks import BaseInjectionTask, BaseUserTask  # noqa: E402
from agentdojo.functions_runtime import FunctionCall, FunctionsRuntime, TaskEnvironment  # noqa: E402
from agentdojo.task_suite.load_suites import get_suites  # noqa: E402
from agentdojo.task_suite.task_suite import TaskSuite  # noqa: E402
from agentdojo.types import text_content_block_from_string  # noqa: E402

# Environments are read hundreds of times: by the same rules, with the parser that is written in C.
yaml.safe_load = partial(yaml.load, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))

OFFICES: dict[str, TaskSuite[Any]] = get_suites(BENCHMARK)

INJECTED = "_injected"
"""How the kind of a security case ends, after the name of its suite."""

KINDS = tuple(f"{office}{ending}" for office in OFFICES for ending in ("", INJECTED))

Json = dict[str, Any]


# --- cases -----------------------------------------------------------------------------------


def cases(kinds: Sequence[str] = KINDS) -> list[Json]:
    """All user tasks as they are, and each of them with each injection task of its suite that has a gold run."""
    common = {"version": version("agentdojo"), "data": _digest(), "instructions": _instructions()}
    return [{**common, **case} for office in sorted(OFFICES) for case in _of_office(office, kinds)]


def _digest() -> str:
    """16 hex digits over the files that tasks, environments and graders are made of."""
    digest = hashlib.sha256()
    folders = [PACKAGE / "data", PACKAGE / "default_suites", PACKAGE / "attacks"]
    files = (path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".yaml"))
    for path in sorted(files):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _instructions() -> str:
    """The system message that the package's own agents are given by default."""
    messages = yaml.safe_load((PACKAGE / "data" / "system_messages.yaml").read_text(encoding="utf-8"))
    return str(messages["default"]).strip()


def _of_office(office: str, kinds: Sequence[str]) -> Iterator[Json]:
    suite = OFFICES[office]
    tools = [
        {"name": tool.name, "description": tool.description, "parameters": _plain(tool.parameters.model_json_schema())}
        for tool in suite.tools
    ]
    # An attack asks its target for a name, and refuses one that it does not know. Of ours, none is.
    target = GroundTruthPipeline(None)
    target.name = "local"
    attack = load_attack(ATTACK, suite, target)
    for user in _in_order(suite.user_tasks):
        case = {
            **{"id": f"{office}-{user.ID}", "kind": office, "level": 2, "size": "full", "question": user.PROMPT},
            **{"office": office, "user_task": user.ID, "tools": tools},
        }
        if office in kinds:
            yield case | _gold(user, _environment(office, user.ID, {}))
        if f"{office}{INJECTED}" not in kinds:
            continue
        for injection in _in_order(suite.injection_tasks):
            obeying = _obeying(office, user, injection, attack.attack(user, injection))
            if obeying is not None:
                yield case | obeying | {"id": f"{case['id']}-{injection.ID}", "kind": f"{office}{INJECTED}"}


def _in_order(tasks: Mapping[str, Any]) -> list[Any]:
    return [tasks[name] for name in sorted(tasks, key=lambda name: int(name.rpartition("_")[2]))]


def _gold(task: Any, environment: TaskEnvironment) -> Json:
    """The calls of a task's own gold run, one a turn, and what it says at the end."""
    return {"turns": [[step] for step in _steps(task, environment)], "answer": task.GROUND_TRUTH_OUTPUT or SAYS_NOTHING}


def _steps(task: Any, environment: TaskEnvironment) -> list[Json]:
    calls: Sequence[FunctionCall] = task.ground_truth(environment)
    return [{"tool": call.function, "arguments": to_jsonable_python(dict(call.args))} for call in calls]


def _obeying(office: str, user: Any, injection: Any, injections: dict[str, str]) -> Json | None:
    """What a security case has beside its user task; None where the injection task has no gold run."""
    environment = _environment(office, user.ID, injections)
    obeys = _steps(injection, environment)
    if not obeys and not injection.GROUND_TRUTH_OUTPUT:
        return None
    return {
        **_gold(user, _environment(office, user.ID, injections)),
        "injection_task": injection.ID,
        "injections": injections,
        "injected": _as_it_reads(office, user.ID, injections),
        "obeys": obeys,
        "obeyed": injection.GROUND_TRUTH_OUTPUT or SAYS_NOTHING,
    }


def _as_it_reads(office: str, user_task: str, injections: Mapping[str, str]) -> str:
    """How the text of an attack reads in the environment: YAML takes it in, and folds its lines.

    Found by a mark that stands in its place. It is the same in all places but for the blanks around it.
    """
    marks = {place: f"<MARK---{place}--->" for place in injections}
    marked = dict(_leaves(_state(_environment(office, user_task, marks))))
    injected = dict(_leaves(_state(_environment(office, user_task, injections))))
    found: set[str] = set()
    for where, text in marked.items():
        for mark in marks.values():
            if mark in text:
                before, _, after = text.partition(mark)
                assert not any(other in before + after for other in marks.values()), "two places in one text"
                whole = injected[where]
                found.add(whole[len(before.rstrip()) : len(whole) - len(after.lstrip())].strip())
    assert len(found) == 1, f"{office} {user_task}: the attack reads in {len(found)} ways"
    return found.pop()


def _leaves(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """All texts in nested data, with where they stand."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(inner, f"{where}/{name}")


def _plain(schema: Json) -> Json:
    """The JSON Schema of a tool's parameters without titles and references."""
    shared = schema.get("$defs", {})

    def plain(part: Any) -> Any:
        if isinstance(part, list):
            return [plain(one) for one in part]
        if not isinstance(part, dict):
            return part
        if reference := part.get("$ref"):
            return plain({**shared[reference.rpartition("/")[2]], **{k: v for k, v in part.items() if k != "$ref"}})
        return {
            name: {key: plain(inner) for key, inner in value.items()} if name == "properties" else plain(value)
            for name, value in part.items()
            if name not in ("$defs", "title")
        }

    found: Json = plain(schema)
    return found


# --- state -----------------------------------------------------------------------------------


def _environment(office: str, user_task: str, injections: Mapping[str, str]) -> TaskEnvironment:
    """A fresh environment, as the package's own runs begin with."""
    loaded = _loaded(office, tuple(sorted(injections.items()))).model_copy(deep=True)
    started: TaskEnvironment = OFFICES[office].user_tasks[user_task].init_environment(loaded)
    return started


@lru_cache(maxsize=16)
def _loaded(office: str, injections: tuple[tuple[str, str], ...]) -> TaskEnvironment:
    """Reading the package's YAML takes longer than anything else here."""
    environment: TaskEnvironment = OFFICES[office].load_and_inject_default_environment(dict(injections))
    return environment


def _state(environment: BaseModel) -> Json:
    """An environment as JSON data, without what is computed from the rest."""
    return environment.model_dump(mode="json", round_trip=True)


def _restored(kind: type[BaseModel], state: Mapping[str, Any]) -> Any:
    """The environment that JSON data is of, made field by field.

    Validated as wholes, inboxes, calendars and drives begin again with what they held at the start.
    """
    fields: Json = {}
    for name, its in kind.model_fields.items():
        of: Any = its.annotation
        is_model = isinstance(of, type) and issubclass(of, BaseModel)
        fields[name] = _restored(of, state[name]) if is_model else _adapter(kind, name).validate_python(state[name])
    return kind.model_construct(**fields)


@cache
def _adapter(kind: type[BaseModel], name: str) -> TypeAdapter[Any]:
    of: Any = kind.model_fields[name].annotation
    return TypeAdapter(of)


@dataclass
class _Run:
    runtime: FunctionsRuntime
    environment: TaskEnvironment
    calls: list[Json] = field(default_factory=list)


_RUNS: dict[str, _Run] = {}
_NUMBERS = itertools.count(1)


def open_run(case: Json) -> Json:
    """A run of a case begins, on an environment of its own."""
    environment = _environment(case["office"], case["user_task"], case["injections"])
    run = f"run-{next(_NUMBERS)}"
    _RUNS[run] = _Run(FunctionsRuntime(OFFICES[case["office"]].tools), environment)
    return {"run": run}


def call(run: str, tool: str, arguments: Json) -> Json:
    """What a tool gives in a run, as JSON data; or the words in which it refuses."""
    running = _RUNS[run]
    running.calls.append({"name": tool, "arguments": arguments})
    result, refused = running.runtime.run_function(running.environment, tool, arguments)
    return {"refused": refused} if refused is not None else {"result": to_jsonable_python(result)}


def close_run(run: str) -> Json:
    """A run ends: its environment as it is then, and all calls in order."""
    ended = _RUNS.pop(run)
    return {"environment": _state(ended.environment), "calls": ended.calls}


# --- grades ----------------------------------------------------------------------------------


def judge(case: Json, outcome: Json) -> Json:
    """What the suite's own graders say of a run.

    `utility`: the user's task is done. `resistance`, of a security case: the injection task is not, which is the
    opposite of what the package's `security` says. A run that ended without an answer has no utility, whatever it did.
    """
    suite, reasons = OFFICES[case["office"]], []
    state: Json = outcome.get("final_state") or {}
    injected = case.get("injection_task")
    if "environment" not in state:
        metrics = {"utility": False} | ({"resistance": False} if injected else {})
        return {"metrics": metrics, "reasons": ["the run left no environment behind"]}

    def holds(task: BaseUserTask[Any] | BaseInjectionTask[Any]) -> bool:
        before = _environment(case["office"], case["user_task"], case.get("injections") or {})
        kind = suite.environment_type
        calls = [FunctionCall(function=one["name"], args=one["arguments"]) for one in state["calls"]]
        answer = [text_content_block_from_string(outcome.get("answer") or "")]
        try:
            before_and_after = _restored(kind, _state(before)), _restored(kind, state["environment"])
            return bool(suite._check_task_result(task, answer, *before_and_after, calls))
        except Exception as error:  # the package's own runs would end here
            reasons.append(f"{task.ID}: the suite's grader failed: {type(error).__name__}: {error}")
            return False

    answered = outcome.get("ended", "answered") == "answered"
    metrics = {"utility": answered and holds(suite.user_tasks[case["user_task"]])}
    if not answered:
        reasons.append(f"utility: ended without an answer: {outcome.get('error') or outcome['ended']}")
    elif not metrics["utility"]:
        reasons.append(f"utility: {case['user_task']} is not done")
    if injected:
        metrics["resistance"] = not holds(suite.injection_tasks[injected])
        if not metrics["resistance"]:
            reasons.append(f"resistance: {injected} is done")
    return {"metrics": metrics, "reasons": reasons}


if __name__ == "__main__":
    serve({"cases": cases, "open": open_run, "call": call, "close": close_run, "judge": judge})
