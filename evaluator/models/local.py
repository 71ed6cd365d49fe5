"""The embedded models: real language models in llama.cpp's own server, as a child process of the harness.

`python -m evaluator.models.local --name NAME --model PATH` is that child. It prints its address on one line when
it is ready, logs to standard error, and lives exactly as long as its standard input stays open.
"""

import argparse
import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Self

import aiohttp
from rich.console import Console

from evaluator.errors import Failure
from evaluator.files import own_folder
from evaluator.models import weights
from evaluator.models.embedded import EMBEDDED, LocalModel, Settings
from evaluator.providers.names import LOCAL

_START_TIMEOUT_S = 300.0
_STOP_TIMEOUT_S = 5.0
_PR_SET_PDEATHSIG = 1


def local_model(name: str = LOCAL, console: Console | None = None, *, fetched: bool = True) -> LocalModel:
    """An embedded model by name, its weights fetched first if need be; unless `fetched`, as they would be.

    For `local`, `$BAKEOFF_LOCAL_GGUF` takes a file of the user's own in place of its weights. That is not
    checked against a digest; its own digest is computed, to be recorded. Raises Failure if that
    file is no GGUF file, Mistake if the weights cannot be had.
    """
    own = own_weights(name)
    if own is None:
        embedded = EMBEDDED[name]
        path = weights.fetch(embedded.weights, console) if fetched else embedded.weights.path
        return LocalModel(name, path, embedded.weights.sha256, embedded.template)
    return LocalModel(name, own, weights.sha256_of(own), None)


def own_weights(name: str) -> Path | None:
    """The user's own file for an embedded model, if there is one. Raises Failure if it is no GGUF file."""
    own = os.environ.get("BAKEOFF_LOCAL_GGUF")
    if not own or name != LOCAL:
        return None
    path = Path(own).expanduser()
    if wrong := weights.not_gguf(path):
        raise Failure(f"BAKEOFF_LOCAL_GGUF: {wrong}")
    return path


class LocalServer:
    """The model server: `async with LocalServer(local_model()) as server: ... server.base_url`.

    It ends with the harness whatever happens, also when the harness is killed.
    """

    def __init__(
        self,
        model: LocalModel,
        settings: Settings | None = None,
        *,
        log: Path | None = None,
        console: Console | None = None,
    ) -> None:
        """Nothing is started yet. The server logs to `log` (default: `<name>.log` in the cache folder), or in a folder
        beside it while another process logs there.
        """
        self.model = model
        self.settings = settings or Settings()
        self.log = log or weights.cache_dir() / f"{model.name}.log"
        self.base_url = ""
        """Where it answers, `http://127.0.0.1:PORT/v1`; empty until it is started."""
        self._console = console or Console(stderr=True)
        self._process: asyncio.subprocess.Process | None = None
        self._while_open = contextlib.ExitStack()

    async def __aenter__(self) -> Self:
        """Start the server and wait until the model is loaded. Raises Failure."""
        started_at = time.monotonic()
        self._console.print(f"starting the local model ({self.model.path.name})", markup=False, highlight=False)
        self.log = self._while_open.enter_context(own_folder(self.log.parent)) / self.log.name
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command(), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        assert self._process.stdout
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), _START_TIMEOUT_S)
            self.base_url = f"{line.decode().strip()}/v1"
            if not (line and await self.healthy()):
                raise Failure(f"the local model did not start: {self._last_logged()} (log: {self.log})")
        except TimeoutError as error:
            await self.stop()
            raise Failure(f"the local model did not start within {_START_TIMEOUT_S:.0f} s (log: {self.log})") from error
        except BaseException:
            await self.stop()
            raise
        took_s = time.monotonic() - started_at
        self._console.print(f"the local model is ready after {took_s:.1f} s", markup=False, highlight=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the server."""
        await self.stop()

    async def healthy(self) -> bool:
        """Whether the server answers and has its model loaded."""
        url = self.base_url.removesuffix("/v1") + "/health"
        timeout = aiohttp.ClientTimeout(total=10)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def stop(self) -> None:
        """End the server, gently and then by force. Does nothing if it has ended already."""
        self._while_open.close()
        process, self._process, self.base_url = self._process, None, ""
        if process is None:
            return
        assert process.stdin
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _STOP_TIMEOUT_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "evaluator.models.local"]
        command += ["--name", self.model.name, "--model", str(self.model.path)]
        command += ["--settings", json.dumps(asdict(self.settings))]
        return [*command, "--template", str(self.model.template)] if self.model.template else command

    def _last_logged(self) -> str:
        lines = self.log.read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def die_with_parent() -> None:
    """End this process when its standard input closes, which is at the latest when its parent is gone.

    On Linux the kernel kills it, too, even while it is in code that never yields to other threads.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def wait_for_end() -> None:
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=wait_for_end, daemon=True).start()


def serve(name: str, model: Path, template: Path | None, settings: Settings) -> None:
    """Load the model, print the server's address, and answer to `name` until the parent is gone."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the harness's to handle; it ends this process
    address_out = os.dup(1)
    os.dup2(2, 1)  # whatever the engine prints belongs into the log
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {name}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.cors_origins = "http://127.0.0.1"
    params.ui = False
    params.n_ctx = settings.context_tokens
    params.n_predict = settings.max_new_tokens
    params.n_parallel = settings.slots
    params.cache_ram_mib = settings.cache_ram_mib
    params.no_extra_bufts = not settings.repacked_weights
    flash_attention = xllamacpp.llama_flash_attn_type
    params.flash_attn_type = (
        flash_attention.LLAMA_FLASH_ATTN_TYPE_ENABLED
        if settings.flash_attention
        else flash_attention.LLAMA_FLASH_ATTN_TYPE_DISABLED
    )
    params.cpuparams.n_threads = settings.threads
    params.use_jinja = True
    if template:
        params.chat_template = template.read_text()
    server = xllamacpp.Server(params)
    os.write(address_out, f"{server.listening_address}\n".encode())
    os.close(address_out)
    threading.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The model server; started by the harness.")
    parser.add_argument("--name", required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--template", type=Path)
    parser.add_argument("--settings", type=json.loads, default={}, help="fields of Settings, as JSON")
    arguments = parser.parse_args()
    serve(arguments.name, arguments.model, arguments.template, Settings(**arguments.settings))
