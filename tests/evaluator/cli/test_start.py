"""How a command starts: what is imported for it, what its help is, and where it can run."""

import inspect
import re
import subprocess
import sys
from importlib import import_module

import pytest
import typer

from evaluator import cli

HEAVY = ("numpy", "matplotlib", "aiohttp", "uvicorn", "onnxruntime", "huggingface_hub", "xllamacpp", "bpe_openai")


def imported(*arguments: str) -> set[str]:
    """The modules that a command has imported at its end."""
    program = (
        "import sys; from evaluator.cli import main; sys.argv = ['bakeoff', *sys.argv[1:]]\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_the_help_of_all_imports_no_command() -> None:
    modules = imported("--help")
    ours = {name for name in modules if name.startswith(("evaluator", "tasks"))}
    assert ours == {"evaluator", "evaluator.cli", "evaluator.errors"}
    assert not modules & {*HEAVY, "pydantic"}


@pytest.mark.parametrize("arguments", [("list",), ("list", "--json"), ("compare", "--help"), ("run", "--help")])
def test_a_light_command_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert not imported(*arguments) & {*HEAVY}


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_help_of_all_says_of_each_command_what_its_own_help_begins_with(name: str) -> None:
    command = typer.main.get_command(import_module(f"evaluator.cli.{name}").app)
    assert command.name == name
    first, *_ = inspect.cleandoc(command.help or "").split("\n\n")
    assert re.sub(r"\s+", " ", first) == cli.COMMANDS[name]


def test_natively_on_windows_it_says_where_it_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith("bakeoff: ") and all(word in said.err for word in ("Linux", "macOS", "WSL"))
