"""A worker that ends itself in the middle of a turn does so once what came before has ended."""

import signal
import subprocess
import sys
from pathlib import Path

from evaluator import ROOT

PROGRAM = """
import sys, threading, time
from pathlib import Path
from evaluator.worker.killing import Killer
from tasks.capability import Setting

def first():
    time.sleep(0.2)
    print("first", flush=True)

def second():
    print("second", flush=True)

killer = Killer(Setting(store=Path("."), killed_on="second", killed_after=["first"]))
tools = [killer.wrap(tool) for tool in (first, second)]
threads = [threading.Thread(target=tool) for tool in (tools if sys.argv[1] == "at once" else [])]
for thread in threads:
    thread.start()
for tool in tools if sys.argv[1] == "in turn" else []:
    tool()
for thread in threads:
    thread.join()
print("survived")
"""


def run(how: str) -> tuple[int, str]:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, cwd=ROOT, check=False)
    return ended.returncode, ended.stdout


def test_the_second_never_begins_and_the_first_ends_whatever_their_order() -> None:
    for how in ("in turn", "at once"):
        assert run(how) == (-signal.SIGKILL, "first\n"), how


def test_a_tool_that_is_not_meant_is_left_as_it_is() -> None:
    from evaluator.worker.killing import Killer
    from tasks.capability import Setting

    def tool() -> None: ...

    assert Killer(Setting(store=Path())).wrap(tool) is tool
