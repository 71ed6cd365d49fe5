"""Commands that are given damaged files: what each kind of file is, which commands read it, and what must hold."""

import contextlib
import importlib
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from unittest import mock

import mutations
from commands import CASES, TASK, Said
from folders import PYPROJECT, make_framework
from judged import RIGHT, run, write_all
from model_server import Answer, completion, serving
from played import played

from evaluator import cli
from evaluator.analysis.judge.verdicts import Verdict, verdicts_path
from evaluator.catalog import frameworks
from evaluator.catalog.frameworks import all_frameworks, framework_folders, usable_frameworks
from evaluator.catalog.tasks import all_tasks
from evaluator.doctor import machine
from evaluator.providers.endpoints import FILE_VARIABLE
from evaluator.scorecard.readme import README_BEGIN, README_END
from evaluator.trace import Trace, write_trace

LONGEST_S = 30
MOST_MEMORY = 4 << 30

MODELS = """
[endpoint.ollama]
base_url = "http://gpu-box:11434/v1"

[endpoint.mine]
title = "My server"
kind = "self-hosted"
base_url = "http://localhost:9/v1"
key_variable = "MY_KEY"
quirks = ["drop_strict"]

[[endpoint.mine.models]]
match = "reasoning-*"
quirks = ["drop_temperature"]
"""
MODULE = 'async def run(brief, model):\n    """An answer."""\n    return "Hello."  # ä\n'
MODELS_RUN = ("scripted", "local")
DRY = ("run", "--dry-run", *TASK, "-m", "scripted", "-f", "baseline")
OWN = ("run", "--dry-run", *TASK, "-m", "gguf:my.gguf", "-f", "baseline")

SCORE = ("score", "--traces", "traces", "--out", "out", "--prices", "")
REPORT = ("report", "--traces", "traces", "--out", "site")


@dataclass(frozen=True)
class Kind:
    """A kind of file: those that can be damaged, made intact in a folder, and the commands that read them.

    `ours` is what the harness keeps for itself: it may be made anew, and need not be named.
    """

    make: Callable[[Path], list[Path]]
    commands: tuple[tuple[str, ...], ...]
    ours: bool = False
    models_file: bool = False
    own_frameworks: bool = False
    judge: bool = False


@cache
def _runs() -> tuple[Trace, ...]:
    cases = {name: task.load()[0].id for name, task in all_tasks().items()}
    return tuple(played(*case, framework="baseline", model=model) for case in cases.items() for model in MODELS_RUN)


def _traces(folder: Path) -> list[Path]:
    return [write_trace(folder / "traces", one) for one in _runs()]


def _cases(folder: Path) -> list[Path]:
    path = folder / "mine.jsonl"
    path.write_text("".join(f"{json.dumps(case)}\n" for case in CASES))
    return [path]


def _models(folder: Path) -> list[Path]:
    path = folder / "models.toml"
    path.write_text(MODELS)
    return [path]


def _verdicts(folder: Path) -> list[Path]:
    runs = [run(case) for case in "abc"]
    write_all(folder / "traces", *runs)
    path = verdicts_path(folder / "traces", "local", "mine")
    said = [
        Verdict(key=one.key, judge="mine", judge_digest="d", judged="j", verdict="right", why="It greets — äöü.")
        for one in runs
    ]
    path.write_text("".join(f"{one.model_dump_json()}\n" for one in said))
    return [path]


def _kept(folder: Path) -> list[Path]:
    _reported(folder)
    return [path for path in (folder / ".bakeoff" / "report").iterdir() if path.is_file()]


def _weights(folder: Path) -> list[Path]:
    path = folder / "my.gguf"
    path.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(200))
    return [path]


def _digests(folder: Path) -> list[Path]:
    _weights(folder)
    assert called(*OWN).code == 0
    return list((folder / "cache" / "digests").iterdir())


def _metadata(folder: Path) -> list[Path]:
    made = []
    for name in ("baseline", "x"):
        text = PYPROJECT.replace("[tool.bakeoff]", 'requires-python = ">=3.11,<3.14"\n[tool.bakeoff]')
        made.append(make_framework(folder, name, text))
        (made[-1] / "tool_calling.py").write_text(MODULE)
    write_trace(folder / "traces", _runs()[0])
    return [made[1] / name for name in ("pyproject.toml", "uv.lock")]


def _modules(folder: Path) -> list[Path]:
    return [_metadata(folder)[0].with_name("tool_calling.py")]


def _stamps(folder: Path) -> list[Path]:
    environment = _metadata(folder)[0].with_name(".venv")
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").write_text("")
    stamp = environment / "bakeoff-lock-digest"
    stamp.write_text("x")
    return [stamp]


def _readme(folder: Path) -> list[Path]:
    _traces(folder)
    (folder / "out").mkdir()
    path = folder / "out" / "README.md"
    path.write_text(f"# Mine\n\n{README_BEGIN}\n{README_END}\n\nThe rest — ä.\n")
    return [path]


def _site(folder: Path) -> list[Path]:
    _reported(folder)
    return [folder / "site" / "index.html"]


def _reported(folder: Path) -> None:
    _metadata(folder)
    write_all(folder / "traces", run("a"))
    assert called(*REPORT).code == 0


KINDS: dict[str, Kind] = {
    "trace": Kind(
        _traces,
        (
            *(SCORE, SCORE, SCORE, ("score", "--traces", "traces", "--weights", "cost=1"), REPORT),
            *(("parity", "-f", "baseline", "--traces", "traces"), (*DRY, "--traces", "traces")),
            *(("run", "--dry-run", "-m", "replay", "--replay", "traces/local", "-f", "baseline"),),
            *(("export", "--format", form, "--traces", "traces", "--out", "o") for form in ("csv", "otlp")),
            *(
                ("export", "--format", form, "--failed", "--traces", "traces", "--out", "o")
                for form in ("openai", "alpaca", "sharegpt")
            ),
        ),
    ),
    "cases": Kind(_cases, ((*DRY, "--cases", "mine.jsonl"),)),
    "models.toml": Kind(
        _models,
        (("list",), ("list", "--json"), ("run", "--dry-run", "-m", "ollama/reasoning-1", "-f", "baseline", *TASK)),
        models_file=True,
    ),
    "verdicts": Kind(_verdicts, (SCORE,) * 5 + (REPORT,)),
    "verdicts, judged on": Kind(_verdicts, ((*SCORE, "--judge", "mine"),), judge=True),
    "framework's metadata": Kind(
        _metadata,
        (
            *(("list",), ("list", "--json"), ("compare", "baseline", "x"), DRY, ("doctor",), SCORE, REPORT),
            *(("parity", "-f", "x", *TASK, "--traces", "traces"),),
            *(("export", "--format", "csv", "--traces", "traces", "--out", "o"),),
        ),
        own_frameworks=True,
    ),
    "implementation": Kind(
        _modules, (("compare", "baseline", "x"), SCORE, REPORT, (*DRY[:-1], "x")), own_frameworks=True
    ),
    "weights": Kind(_weights, (OWN,)),
    "kept by report": Kind(_kept, (REPORT,), ours=True, own_frameworks=True),
    "kept digests": Kind(_digests, (OWN,), ours=True),
    "stamp of an environment": Kind(_stamps, (DRY, ("doctor",), (*DRY[:-1], "x")), ours=True, own_frameworks=True),
    "README with our table": Kind(_readme, (SCORE,)),
    "site": Kind(_site, (REPORT,), own_frameworks=True),
}


@dataclass(frozen=True)
class Tried:
    """One file damaged and one command given it; `wrong` is what came out as it must not, empty where nothing did."""

    done: str
    command: str
    said: Said
    wrong: str


def called(*arguments: str) -> Said:
    """Run a command in this process; what it raises is raised."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    with (
        mock.patch.object(sys, "argv", ["bakeoff", *arguments]),
        contextlib.redirect_stdout(streams[0]),
        contextlib.redirect_stderr(streams[1]),
    ):
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    texts = []
    for stream in streams:
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    return Said(code, *texts)


def tried(kind: Kind, number: int) -> Tried:
    """Damage a file of this kind, by the number, and give it to one of the commands that read it."""
    seed = random.Random(number)
    folder = Path(tempfile.mkdtemp(prefix="bakeoff-damaged-"))
    try:
        with _in(folder, kind) as options:
            files = kind.make(folder)
            path = seed.choice(sorted(files))
            done = mutations.mutate(path, seed)
            before = _contents(folder)
            command = (*seed.choice(kind.commands), *options)
            try:
                with _watched() as seen:
                    said = called(*command)
                wrong = _wrong(kind, said, path, seen) or _lost(kind, before, _contents(folder), path)
            except BaseException:
                said, wrong = Said(-1, "", ""), traceback.format_exc()
            return Tried(f"{path.name}: {done}", " ".join(command), said, wrong)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def intact(kind: Kind) -> Said:
    """What the first of the kind's commands says of files that nobody damaged."""
    with tempfile.TemporaryDirectory(prefix="bakeoff-damaged-") as folder, _in(Path(folder), kind) as options:
        kind.make(Path(folder))
        return called(*kind.commands[0], *options)


@contextlib.contextmanager
def _in(folder: Path, kind: Kind) -> Iterator[tuple[str, ...]]:
    """Be in the folder, with nothing of the user's; gives the options that the kind's commands need."""
    variables = {"BAKEOFF_CACHE": str(folder / "cache"), "XDG_CONFIG_HOME": str(folder / "config")}
    if kind.models_file:
        variables[FILE_VARIABLE] = str(folder / "models.toml")
    was = Path.cwd()
    with contextlib.ExitStack() as opened:
        opened.enter_context(mock.patch.dict(os.environ, variables))
        work = importlib.import_module("evaluator.cli.report")
        opened.enter_context(mock.patch.object(work, "WORK", folder / ".bakeoff"))
        if kind.own_frameworks:
            own = folder / "implementations"
            opened.enter_context(mock.patch.object(frameworks, "all_frameworks", lambda: all_frameworks(own)))
            for name in ("export.runs", "export.run_table", "scorecard.build", "site.build"):
                module = importlib.import_module(f"evaluator.{name}")
                opened.enter_context(mock.patch.object(module, "framework_folders", lambda *_: framework_folders(own)))
            for name in ("scorecard.build", "site.build"):
                module = importlib.import_module(f"evaluator.{name}")
                opened.enter_context(mock.patch.object(module, "usable_frameworks", lambda *_: usable_frameworks(own)))
            opened.enter_context(mock.patch.object(machine, "_output", _no_program))
            opened.enter_context(mock.patch.object(machine, "ROOT", folder))
            (folder / "pyproject.toml").write_text("")
        options: tuple[str, ...] = ()
        if kind.judge:
            server = opened.enter_context(serving(Answer(200, completion(RIGHT))))
            options = ("--base-url", server.url)
        os.chdir(folder)
        try:
            yield options
        finally:
            os.chdir(was)


async def _no_program(*command: str) -> tuple[int, str]:
    return 0, "uv 1.0"


@contextlib.contextmanager
def _watched() -> Iterator[list[str]]:
    """Ends what takes too long or too much memory; gives the warnings that were made."""

    def end(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"it hangs: not done after {LONGEST_S} s")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    handler = signal.signal(signal.SIGALRM, end)
    seen: list[str] = []
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY, hard))
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            warnings.simplefilter("ignore", ResourceWarning)
            yield seen
            seen += [str(one.message) for one in caught if not issubclass(one.category, DeprecationWarning)]
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)


def _wrong(kind: Kind, said: Said, path: Path, warned: list[str]) -> str:
    if said.code not in (0, 1, 2):
        return f"exit code {said.code}"
    if "Traceback" in said.out + said.err:
        return "a traceback is printed"
    if warned:
        return f"a warning: {warned[0]}"
    if re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", said.out + said.err):
        return "control characters are printed"
    if said.code == 2 or said.err:
        if said.err.count("\n") != 1 or not said.err.startswith("bakeoff: "):
            return f"not one line: {said.err!r}"
        if kind.ours:
            return "what is kept is damaged, and that is an error"
        if path.name not in said.err and path.parent.name not in said.err:
            return f"the file is not named: {said.err!r}"
    return ""


def _contents(folder: Path) -> Mapping[Path, bytes]:
    found = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and not path.is_symlink():
                found[path] = path.read_bytes()
    return found


def _is_damaged(line: bytes) -> bool:
    """Whether a line holds something that is no verdict, which nobody but its writer can mend."""
    try:
        Verdict.model_validate_json(line)
    except ValueError:
        return bool(line.strip())
    return False


def _lost(kind: Kind, before: Mapping[Path, bytes], after: Mapping[Path, bytes], path: Path) -> str:
    """Whatever was there is there still, but for what the command is to write."""
    for one, content in before.items():
        name = one.name
        if (kind.ours and one == path) or "site" in one.parts or ".bakeoff" in one.parts or name == ".lock":
            continue
        now = after.get(one)
        if name.endswith(".jsonl") and kind.judge:
            whole = content.removeprefix(BOM_UTF8).split(b"\n")[:-1]  # what follows the last line end was being written
            if now is None or any(line not in now.split(b"\n") for line in whole if _is_damaged(line)):
                return f"{name} has lost lines"
        elif name == "README.md":
            if now is None or content.split(b"<!--")[0] != now.split(b"<!--")[0]:
                return f"{name} has lost text"
        elif now != content:
            return f"{name} was changed"
    return ""
