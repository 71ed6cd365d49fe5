"""What is recorded of a tool's calls, and what is no call's failure."""

import signal
import subprocess
import sys

import pytest

from evaluator.worker import protocol
from evaluator.worker.main import recording
from tasks.served import SuiteError

GONE = """
from evaluator.worker.main import recording
from tasks.served import SuiteGoneError

def tool() -> str:
    raise SuiteGoneError("agentdojo: its process ended")

try:
    recording("run", lambda call: print("recorded"))(tool, None)()
except BaseException:
    print("the framework heard of it")
"""


def test_an_error_of_a_tool_is_recorded_and_the_frameworks_to_handle() -> None:
    calls: list[protocol.ToolCall] = []

    def tool() -> str:
        raise SuiteError("agentdojo: call: no such account")

    with pytest.raises(SuiteError):
        recording("run", calls.append)(tool, None)()
    assert [call.error for call in calls] == ["SuiteError: agentdojo: call: no such account"]


def test_where_a_suites_process_is_gone_the_worker_ends_as_by_a_failure_of_the_machine() -> None:
    ended = subprocess.run([sys.executable, "-c", GONE], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL
    assert (ended.stdout, ended.stderr) == ("", "agentdojo: its process ended\n")
