"""Finds out what a framework does outside its scratch folder: connections, look-ups, processes, files.

Three witnesses, because none sees everything: a hook inside the worker's interpreter (`watched_worker`);
for native code, samples of the connections of the process and of the files that it holds open for writing;
and the framework's own folder, its environment included, and the names in the home folder, before and
after. What native code writes elsewhere, and for less time than passes between two samples, is not seen.
"""

import asyncio
import contextlib
import ipaddress
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from evaluator.catalog.frameworks import Framework

SAMPLE_INTERVAL_S = 0.1
IDLE_SAMPLE_INTERVAL_S = 1.0
"""While the worker makes no run: a sample reads the whole table of processes, which is not for nothing."""

Snapshot = dict[str, tuple[int, int]]
"""Size and time of the last change (in ns) of each file, by path."""


def snapshot(folder: Path) -> Snapshot:
    """What lies in and below the folder. Links are not followed."""
    found: Snapshot = {}
    waiting = [os.fspath(folder)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    found[entry.path] = (0, 0)
                    waiting.append(entry.path)
                else:
                    with contextlib.suppress(OSError):
                        status = entry.stat(follow_symlinks=False)
                        found[entry.path] = (status.st_size, status.st_mtime_ns)
    return found


def changes(before: Snapshot, after: Snapshot) -> list[str]:
    """The paths that came, went or changed."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


@dataclass
class _Watched:
    """What is known of one framework's worker."""

    log: Path
    before: Snapshot
    home: set[Path]
    sampled: set[tuple[str, str]] = field(default_factory=set)


class Watch:
    """Watches the workers that are given it. Use as an async context manager.

    `allow` names the gateways; `findings` says, for one framework, everything else that it did.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` takes the logs."""
        self._folder = folder
        self._watched: dict[str, _Watched] = {}
        self._ports: set[int] = set()
        self._samplers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Watch":
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        for sampler in self._samplers:
            sampler.cancel()

    def begin(self, framework: Framework) -> Path:
        """Where the framework's worker, about to start, shall write what it does; what is there stays."""
        if framework.name not in self._watched:
            log = self._folder / f"{framework.name}.watch.jsonl"
            log.write_bytes(b"")
            self._watched[framework.name] = _Watched(log, snapshot(framework.folder), set(Path.home().iterdir()))
        return self._watched[framework.name].log

    def allow(self, base_url: str) -> None:
        """Connections to this server are expected."""
        port = urlsplit(base_url).port
        assert port is not None
        self._ports.add(port)

    def follow(self, framework: Framework, pid: int, scratch: Path, busy: Callable[[], bool]) -> None:
        """Sample the process until it ends, more often while it is `busy`."""
        sampled = self._watched[framework.name].sampled
        sampler = asyncio.create_task(self._sample(sampled, pid, scratch.resolve(), busy))
        self._samplers.add(sampler)
        sampler.add_done_callback(self._samplers.discard)

    async def _sample(self, sampled: set[tuple[str, str]], pid: int, scratch: Path, busy: Callable[[], bool]) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            worker = psutil.Process(pid)
            while True:
                for process in [worker, *worker.children(recursive=True)]:
                    with contextlib.suppress(psutil.Error):
                        sampled.update(seen(process, scratch))
                sampled_at = time.monotonic()
                await asyncio.sleep(SAMPLE_INTERVAL_S)
                while not busy() and time.monotonic() - sampled_at < IDLE_SAMPLE_INTERVAL_S:
                    await asyncio.sleep(SAMPLE_INTERVAL_S)

    def findings(self, framework: Framework) -> list[str]:
        """What the framework has done outside since its worker started, in words."""
        watched = self._watched[framework.name]
        found = []
        for line in watched.log.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if not _is_expected(event["what"], event["where"], self._ports):
                found.append(f"{event['what']} {event['where']}, in {event['caller']}")
        for what, where in sorted(watched.sampled):
            if not _is_expected(what, where, self._ports) and where != str(watched.log):
                found.append(f"{what} {where}")
        found += [f"changes {path}" for path in changes(watched.before, snapshot(framework.folder))]
        found += [f"writes {path}" for path in sorted(set(Path.home().iterdir()) - watched.home)]
        return list(dict.fromkeys(found))


def _is_expected(what: str, where: str, ports: set[int]) -> bool:
    if what == "looks up":
        return where in ("None", "localhost", "b'localhost'") or _is_address(where)
    if what == "starts":
        return where.startswith("['uname', ")  # how `platform` asks for the processor's name
    if what == "bind":  # a server is reached by a connection, which is seen; libraries try what addresses there are
        return where.rpartition(":")[0] in ("127.0.0.1", "::1", "localhost")
    if what in ("connect", "sendto"):
        host, _, port = where.rpartition(":")
        return host in ("127.0.0.1", "localhost") and int(port) in ports
    return False


def seen(process: psutil.Process, scratch: Path) -> Iterable[tuple[str, str]]:
    """What a process is connected to, and what it holds open for writing outside `scratch`. Raises `psutil.Error`."""
    for connection in process.net_connections("inet"):
        if connection.raddr:
            yield "connect", f"{connection.raddr.ip}:{connection.raddr.port}"
    for file in process.open_files():
        if getattr(file, "mode", "r") != "r" and not Path(file.path).is_relative_to(scratch):
            yield "writes", file.path


def _is_address(host: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return True
    return False
