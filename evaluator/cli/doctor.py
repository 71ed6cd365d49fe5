"""`bakeoff doctor`."""

import asyncio
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from evaluator import ROOT
from evaluator.cli.options import BaseUrlOption, KeyVariableOption, command, console, every_framework
from evaluator.doctor import machine, report
from evaluator.doctor import model as doctor_model
from evaluator.errors import Mistake
from evaluator.models import specs
from evaluator.providers.names import PROBES_NAME, REPLAY, SCRIPTED
from evaluator.trace import read_traces

app = command()


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff doctor                       is everything here that runs need? Installs and fetches nothing

    bakeoff doctor -m llamacpp/qwen2.5   can this model's server do what the tasks need?

    bakeoff doctor -m gguf:~/models/Qwen3-4B-Q4_K_M.gguf

    bakeoff doctor -m qwen3 --base-url http://localhost:11434/v1 --json"""
)
def doctor(
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="MODEL", help="Examine a model instead of this machine.")
    ] = None,
    base_url: BaseUrlOption = None,
    key_variable: KeyVariableOption = None,
    time_limit: Annotated[
        float, typer.Option(min=1, metavar="S", help="Seconds that the checks of a model may take together.")
    ] = doctor_model.TIME_LIMIT_S,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check this machine: uv, Python, disk, environments, locks and weights. With -m, check a model.

    A model is asked what the tasks ask, in the ways in which frameworks ask it: in about a minute, with few tokens.

    Exit code 1 if something is not in order that runs need.
    """
    if model is None:
        if base_url is not None or key_variable is not None:
            raise Mistake("--base-url and --key-variable say where a model is: name it with -m MODEL")
        examine = partial(machine.examine, list(every_framework().values()))
        passed = asyncio.run(report.tell(console, "this machine", examine, as_json))
    else:
        spec = specs.resolve(model, base_url, key_variable)
        if spec.name == PROBES_NAME:
            raise Mistake(f"--model {model!r} misbehaves on purpose: there is nothing to examine")
        if spec.name == REPLAY:
            raise Mistake(f"--model {model!r} answers what was recorded, and nothing else")
        passed = asyncio.run(_examine_model(spec, time_limit, as_json))
    if not passed:
        raise typer.Exit(1)


async def _examine_model(spec: specs.ModelSpec, time_limit_s: float, as_json: bool) -> bool:
    needs = await asyncio.to_thread(
        doctor_model.recorded, read_traces(ROOT / "traces" / SCRIPTED), doctor_model.sent_forms()
    )
    async with specs.running(spec, Console(stderr=True)) as upstream:
        try:
            seen = doctor_model.Seen(doctor_model.Examination(upstream, time_limit_s), needs, spec.timeout_s)
            return await report.tell(console, spec.name, partial(doctor_model.examine, seen), as_json)
        finally:
            await upstream.close()
