"""What a worker does outside its scratch folder is found, whoever does it and how; what is allowed is not."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import MakeFramework, OpenHarness

from evaluator.harness.jobs import Job
from evaluator.harness.watch import Watch

MakeJob = Callable[..., Job]


HARMLESS = """
    open("note.txt", "w").write("in the working directory")
    pathlib.Path.home().joinpath("cache").mkdir()
    tempfile.NamedTemporaryFile().write(b"x")
    sqlite3.connect(":memory:")
    sqlite3.connect("here.db")
    open(os.devnull, "w").write("gone")
    open(__file__).read()
    socket.getaddrinfo("127.0.0.1", 80)
    socket.create_server(("127.0.0.1", 0))
    body = json.dumps({"messages": []}).encode()
    urllib.request.urlopen(urllib.request.Request(model.base_url + "/chat/completions", body))
"""
FAULTS = {
    "a connection": ("socket.create_connection(('127.0.0.1', 9), 1)", "connect 127.0.0.1:9, in "),
    "a connection far away": ("socket.create_connection(('192.0.2.1', 443), 0.1)", "connect 192.0.2.1:443, in "),
    "a datagram": ("socket.socket(2, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))", "sendto 127.0.0.1:9, in "),
    "a name": ("socket.getaddrinfo('telemetry.invalid', 443)", "looks up telemetry.invalid, in "),
    "a server": ("socket.create_server(('', 0))", "bind :0, in "),
    "a file": ("open(OUTSIDE + 'a', 'w')", "writes {outside}a, in "),
    "a file added to": ("os.open(OUTSIDE + 'b', os.O_APPEND | os.O_CREAT)", "writes {outside}b, in "),
    "a file by way of a link": ("os.symlink(OUTSIDE, 'link'); open('link/c', 'w')", "writes {outside}c, in "),
    "a folder": ("os.mkdir(OUTSIDE + 'd')", "os.mkdir {outside}d, in "),
    "a file moved out": ("open('e', 'w'); os.rename('e', OUTSIDE + 'e')", "os.rename {outside}e, in "),
    "a file removed": ("os.remove(OUTSIDE + 'there')", "os.remove {outside}there, in "),
    "a database": ("sqlite3.connect(OUTSIDE + 'f.db')", "sqlite3.connect {outside}f.db, in "),
    "a process": ("subprocess.run(['true', 'x'])", "starts ['true', 'x'], in "),
    "a shell": ("os.system('true')", "starts "),
    "a connection of native code": (
        "s = socket.socket(); ctypes.CDLL(None).connect(s.fileno(), ADDRESS, 16); time.sleep(0.5)",
        "connect 127.0.0.1:{port}",
    ),
    "a file of native code": (
        "ctypes.CDLL(None).open((OUTSIDE + 'g').encode(), os.O_CREAT | os.O_WRONLY, 0o600); time.sleep(0.5)",
        "writes {outside}g",
    ),
    "a file of native code in the environment": (
        "ctypes.CDLL(None).creat(os.path.join(os.path.dirname(__file__), '.venv', 'h').encode(), 0o600)",
        "changes {folder}/.venv/h",
    ),
    "a process that connects": (
        "subprocess.run([sys.executable, '-c', 'import socket, sys, time; '"
        "'s = socket.create_connection((\"127.0.0.1\", int(sys.argv[1]))); time.sleep(0.5)', str(PORT)])",
        "connect 127.0.0.1:{port}",
    ),
}


def code(statements: str, outside: Path, port: int) -> str:
    return f"""
import ctypes, json, os, pathlib, socket, sqlite3, struct, subprocess, sys, tempfile, time, urllib.request
OUTSIDE = {str(outside) + "/"!r}
PORT = {port}
ADDRESS = struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", PORT, socket.inet_aton("127.0.0.1"))

async def run(brief, model):
    {statements.strip()}
    return "done"
"""


async def watched(
    make_framework: MakeFramework,
    open_harness: OpenHarness,
    job: MakeJob,
    tmp_path: Path,
    statements: str,
    port: int = 9,
) -> list[str]:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "there").touch()
    framework = make_framework(tool_calling=code(statements, outside, port))
    async with Watch(tmp_path / "watch") as watch, open_harness(watch=watch) as harness:
        await harness.run(job(framework))
        return watch.findings(framework)


async def test_what_is_allowed_is_not_found(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, tmp_path: Path
) -> None:
    assert await watched(make_framework, open_harness, job, tmp_path, HARMLESS) == []


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_is_done_outside_is_found(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, tmp_path: Path, fault: str
) -> None:
    statements, words = FAULTS[fault]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        found = await watched(make_framework, open_harness, job, tmp_path, statements, port)
    wanted = words.format(outside=f"{tmp_path}/outside/", folder=tmp_path / "implementations/fake", port=port)
    matching = [line for line in found if line.startswith(wanted)]
    assert matching, found
    if wanted.endswith(", in "):
        assert matching[0].split(", in ")[-1].startswith(str(tmp_path / "implementations/fake/tool_calling.py")), found


async def test_what_is_done_while_importing_is_found(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, tmp_path: Path
) -> None:
    framework = make_framework(
        tool_calling=f"open({str(tmp_path / 'imported')!r}, 'w')\nasync def run(brief, model):\n    return 'x'"
    )
    async with Watch(tmp_path / "watch") as watch, open_harness(watch=watch) as harness:
        await harness.run(job(framework))
        [finding] = watch.findings(framework)
    assert finding.startswith(f"writes {tmp_path}/imported, in {framework.folder}/tool_calling.py:1")


async def test_two_frameworks_are_told_apart(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, tmp_path: Path
) -> None:
    good = make_framework("good", tool_calling="async def run(brief, model):\n    return 'x'")
    bad = make_framework("bad", tool_calling="import os\nasync def run(brief, model):\n    os.system('true')")
    async with Watch(tmp_path / "watch") as watch, open_harness(watch=watch) as harness:
        for framework in (good, bad):
            await harness.run(job(framework))
        assert watch.findings(good) == [] and len(watch.findings(bad)) == 1
