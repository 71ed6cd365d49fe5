"""The raw record of one run: its schema, and how it is written and read.

Times named `…_s` are seconds since the start of the run, on one monotonic clock that worker and
gateway share. Field names follow the OpenTelemetry GenAI conventions where one exists.
"""

import hashlib
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from evaluator import files
from tasks.suite import Verdict

_DEEPEST = 100
LARGEST_TRACE = 512_000_000
"""Bytes of a file that is read as a trace."""

Ended = Literal["answered", "error", "timeout", "call_limit"]
Fault = Literal["server", "harness", "machine"]
Operation = Literal["chat", "embeddings"]
Api = Literal["chat_completions", "responses"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


MODEL_NAME = re.compile(r".{1,200}", re.DOTALL)
"""What a model may be called: whatever its server calls it, as long as a line can show it."""


def check_model_name(name: str) -> str:
    """The name itself. Raises `ValueError` where no model can be called so."""
    if not MODEL_NAME.fullmatch(name) or not name.isprintable() or name != name.strip():
        raise ValueError("a model's name has 1 to 200 characters that can be printed, and no blanks around them")
    return name


class Key(_Record):
    """What identifies a run."""

    model_config = ConfigDict(frozen=True)

    model: Annotated[str, AfterValidator(check_model_name)]
    framework: str
    task: str
    case: str
    trial: int = Field(ge=1)


class Setup(_Record):
    """Everything that a result depends on, and where it was made.

    `replayed_model` is there where recorded responses answered: those of that model. `event_loop` is the loop that
    the gateway ran under, `uvloop` or `asyncio`; times compare only within one. `sitting` names, by a random token, the
    uninterrupted, interleaved recording that the run belongs to: that of one command against one model. `node` is the
    node of a cluster that made it; there is none where a command made its runs itself. Times compare only within one
    sitting, on one machine, which is one node of a cluster. Older traces have neither, and what is not made interleaved
    has no sitting.
    """

    framework_version: str
    harness_version: str
    implementation_digest: str
    lock_digest: str
    task_digest: str
    model_digest: str
    git_commit: str | None
    git_dirty: bool | None
    python: str
    platform: str
    cpu: str
    cpu_cores: int
    started_at: str
    temperature: float
    max_model_calls: int
    timeout_s: float
    jobs: int
    replayed_model: str | None = Field(default=None, exclude_if=lambda model: model is None)
    event_loop: str | None = Field(default=None, exclude_if=lambda loop: loop is None)
    sitting: str | None = Field(default=None, exclude_if=lambda token: token is None)
    node: str | None = Field(default=None, exclude_if=lambda name: name is None)


class Injected(_Record):
    """The fault that was put into a run on purpose: a row of `evaluator/faults/table.py`, how often it came in a row,
    and where: at the expected call or search of that number, from 0.

    `came` is how often it really came, where the model or its server did it; a run may end before. Of what a tool did,
    the tool calls tell.
    """

    model_config = ConfigDict(frozen=True)

    fault: str
    strength: Literal["once", "twice", "always"]
    place: Literal["first", "middle", "last"]
    moment: int
    came: int | None = None


class RecordedTimes(_Record):
    """When a call that is replayed went upstream and its bytes came back in the recorded run, on that run's clock."""

    sent_s: float
    first_byte_s: float
    received_s: float


class ModelCall(_Record):
    """One request to the model, as the gateway saw it.

    `start_s` is when the request had reached the gateway, `sent_s` when it went upstream,
    `first_byte_s` and `received_s` when the first and the last byte came back, `end_s` when the
    last byte had been handed to the framework. `response` is the body as delivered: one object,
    or the list of chunks of a stream. `usage_source` says who counted the tokens: the `upstream`,
    or the gateway with a tokenizer (`counted`). Of the output tokens the `reasoning_tokens` are those that the model
    thought with, where the server says so. `request` is as the framework sent it; `changes` names
    the quirks that changed it before it went upstream. `retry_after` is what a refusal said of that.
    `recorded` is there where the response came from a recording: then the time that the model took is
    that of the recording. `injected` is a call that a fault met on purpose. `left_s` is when the framework closed the
    connection, if it did before it had all. `waited_s` are the seconds right before `sent_s` in which the call waited
    for a limit of the server, with the `refusals` in it that were waited out.
    """

    operation: Operation = Field(alias="gen_ai.operation.name")
    request_model: str = Field(alias="gen_ai.request.model")
    api: Api = Field(default="chat_completions", exclude_if=lambda api: api == "chat_completions")
    stream: bool = False
    status: int
    error: str | None = Field(default=None, alias="error.type")
    retry_after: str | None = Field(default=None, exclude_if=lambda value: value is None)
    input_tokens: int | None = Field(default=None, alias="gen_ai.usage.input_tokens")
    output_tokens: int | None = Field(default=None, alias="gen_ai.usage.output_tokens")
    cached_tokens: int | None = Field(default=None, alias="gen_ai.usage.cache_read.input_tokens")
    reasoning_tokens: int | None = Field(
        default=None, alias="gen_ai.usage.reasoning.output_tokens", exclude_if=lambda value: value is None
    )
    usage_source: Literal["upstream", "counted"] | None = None
    start_s: float
    sent_s: float
    first_byte_s: float
    received_s: float
    end_s: float
    changes: list[str] = Field(default=[], exclude_if=lambda names: not names)
    request: Any
    response: Any
    recorded: RecordedTimes | None = Field(default=None, exclude_if=lambda times: times is None)
    injected: bool = Field(default=False, exclude_if=lambda value: not value)
    left_s: float | None = Field(default=None, exclude_if=lambda value: value is None)
    waited_s: float | None = Field(default=None, exclude_if=lambda value: not value)
    refusals: int = Field(default=0, exclude_if=lambda number: not number)

    @property
    def begun_s(self) -> float:
        """When it had reached the gateway, or after that its wait for a limit was over."""
        return self.start_s + (self.waited_s or 0.0)

    @property
    def answered(self) -> bool:
        """Whether a response came as it should."""
        return self.status < 400 and self.error is None


class TracedToolCall(_Record):
    """One call of a tool's Python function, as the worker saw it."""

    agent: str | None = Field(default=None, alias="gen_ai.agent.name")
    name: str = Field(alias="gen_ai.tool.name")
    arguments: dict[str, Any] = Field(alias="gen_ai.tool.call.arguments")
    result: Any = Field(default=None, alias="gen_ai.tool.call.result")
    error: str | None = Field(default=None, alias="error.type")
    start_s: float
    end_s: float


class RunOutcome(_Record):
    """How the run ended. `error` is a line in words unless the run `answered`.

    `refused_calls` are model calls beyond the cap: the gateway refused them, and they are not among the model calls.
    `fault` says whose fault the end was, where it was not the framework's or the model's: such a run counts for no
    framework, and is made again.
    """

    ended: Ended
    answer: str
    error: str | None = None
    refused_calls: int = Field(default=0, exclude_if=lambda number: not number)
    fault: Fault | None = Field(default=None, exclude_if=lambda fault: fault is None)
    final_state: dict[str, Any] = {}


class ReportedUsage(_Record):
    """Tokens of the run by the framework's own account, as its user would see them."""

    input_tokens: int = Field(alias="gen_ai.usage.input_tokens")
    output_tokens: int = Field(alias="gen_ai.usage.output_tokens")


class Resources(_Record):
    """`wall_s` and `cpu_s` of this run; `import_s` and memory (MB, 10^6 bytes) of its worker.

    `packages` are those in the framework's environment, and `installed_mb` is the size of their files, without
    bytecode. Older traces lack both.
    """

    wall_s: float
    cpu_s: float | None = None
    import_s: float | None = None
    memory_after_import_mb: float | None = None
    peak_memory_mb: float | None = None
    packages: int | None = Field(default=None, exclude_if=lambda value: value is None)
    installed_mb: float | None = Field(default=None, exclude_if=lambda value: value is None)


class TracedTold(_Record):
    """Something that was observed in a run of a capability task, by name: see the `drive` of the task's spec."""

    what: str
    value: Any
    at_s: float


class TracedPart(_Record):
    """One process of a run of a capability task, and how it ended: `killed` on purpose, or as any run does."""

    ended: Ended | Literal["killed"]
    answer: str
    error: str | None = None
    start_s: float
    end_s: float


class CapabilityRecord(_Record):
    """What was observed of a run of a capability task beside its calls. Its times, as all of the trace, leave out what
    passed between its processes.

    `frames` are the messages of the server of tools that the harness kept for it, by that server's own log; `children`
    how many processes were left behind at its end. `extras` are the packages that were there for capabilities alone,
    beside the framework's own.
    """

    parts: list[TracedPart]
    told: list[TracedTold]
    frames: list[dict[str, Any]] = []
    children: int = 0
    extras: list[str] = []


class Trace(_Record):
    """The raw record of one run. `case` is the case as it was asked.

    `capability` is there for a run of a capability task, `verdict` for one of an outside suite: what the suite's own
    grader said of it. `hardened` is a run with the framework's own means against faults: see
    `catalog.frameworks.hardened`.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    key: Key
    setup: Setup
    case: dict[str, Any]
    model_calls: list[ModelCall]
    tool_calls: list[TracedToolCall]
    outcome: RunOutcome
    reported_usage: ReportedUsage | None = None
    resources: Resources
    hardened: bool = Field(default=False, exclude_if=lambda value: not value)
    injected: Injected | None = Field(default=None, exclude_if=lambda fault: fault is None)
    capability: CapabilityRecord | None = Field(default=None, exclude_if=lambda record: record is None)
    verdict: Verdict | None = Field(default=None, exclude_if=lambda verdict: verdict is None)

    @property
    def chats(self) -> list[ModelCall]:
        """The model calls but for embeddings, in the order in which they reached the gateway."""
        return [call for call in self.model_calls if call.operation == "chat"]


@dataclass(frozen=True)
class DamagedTrace:
    """A file among the traces that cannot be used, and why."""

    path: Path
    reason: str


def model_folder(root: Path, model: str) -> Path:
    """The folder of a model's traces: its name, of which slashes make folders, as `ENDPOINT/MODEL` has them.

    What a folder cannot be called, or what would lead out of `root`, is written as in URLs.
    """
    quoted = quote(model, safe=_AS_IT_IS)
    if any(part in ("", ".", "..") for part in model.split("/")):
        quoted = quoted.replace("/", "%2F").replace("%2F.", "%2F%2E")
    return root / (f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted)


def model_of_folder(parts: Sequence[str]) -> str:
    """The model whose traces are in these folders, one in another: what `model_folder` was given."""
    return unquote("/".join(parts))


_AS_IT_IS = "/ @+~:,=()[]{}!'"


def trace_path(root: Path, key: Key) -> Path:
    """`<root>/<model>/<framework>/<task>/<case>.<trial>.json`."""
    return model_folder(root, key.model) / key.framework / key.task / f"{key.case}.{key.trial}.json"


def write_trace(root: Path, trace: Trace) -> Path:
    """Write the trace whole or not at all."""
    path = trace_path(root, trace.key)
    files.write_whole(path, content_of(trace))
    return path


def content_of(trace: Trace) -> bytes:
    """What stands in the trace's file."""
    data = trace.model_dump(by_alias=True)
    try:
        return _as_json(data)
    except TypeError:
        return _as_json(recordable(data))


def content_digest(content: bytes) -> str:
    """16 hex digits of a SHA-256 over what stands in a trace's file."""
    return hashlib.sha256(content).hexdigest()[:16]


def _as_json(data: dict[str, Any]) -> bytes:
    """The trace over many lines, but what went over the wire in one line each: that halves it."""
    in_a_line = [
        {**call, **{name: orjson.Fragment(orjson.dumps(call[name])) for name in ("request", "response")}}
        for call in data["model_calls"]
    ]
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps({**data, "model_calls": in_a_line}, option=options)


def recordable(value: Any, depth: int = 0) -> Any:
    """JSON data without what a JSON file cannot have: lone surrogates, huge integers, deep nesting."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return hex(value)
    if isinstance(value, dict | list) and depth >= _DEEPEST:
        return "nested too deeply to be recorded"
    if isinstance(value, dict):
        return {recordable(str(name)): recordable(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [recordable(item, depth + 1) for item in value]
    return value


def read_trace(path: Path) -> Trace | DamagedTrace:
    """Read one trace; a file that cannot be used comes back with the reason in a line."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return DamagedTrace(path, "is no regular file")
        if status.st_size > LARGEST_TRACE:
            return DamagedTrace(path, f"is larger than {LARGEST_TRACE // 10**6} MB")
        content = path.read_bytes()
    except OSError as error:
        return DamagedTrace(path, f"cannot be read: {error.strerror}")
    return trace_in(content, path)


def trace_in(content: bytes, path: Path) -> Trace | DamagedTrace:
    """The trace that JSON holds, which stands in the file at `path`."""
    try:
        return Trace.model_validate(orjson.loads(content))
    except orjson.JSONDecodeError as error:
        return DamagedTrace(path, f"line {error.lineno}: not valid JSON: {error.msg}")
    except ValidationError as error:
        first = error.errors()[0]
        return DamagedTrace(path, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")


def read_traces(root: Path, models: Sequence[str] | None = None) -> Iterator[Trace | DamagedTrace]:
    """Every trace below `root`, or below its folders of some models, one at a time, in the order of their paths."""
    return map(read_trace, trace_files(root, models))


def trace_files(root: Path, models: Sequence[str] | None = None) -> list[Path]:
    """The files of all traces below `root`, or below its folders of some models, sorted."""
    folders = [root] if models is None else [model_folder(root, model) for model in models]
    files = {path for folder in folders for path in folder.rglob("*.json")}
    return sorted(path for path in files if not path.name.startswith("."))
