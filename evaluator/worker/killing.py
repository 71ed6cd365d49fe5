"""A worker that ends itself in the middle of a turn, as a machine does that fails. Needs the standard library."""

import functools
import os
import signal
import threading
import time
from typing import Any

from tasks.base import Tool
from tasks.capability import Setting

_LONGEST_WAIT_S = 2.0
_TO_SAVE_S = 0.3
"""How long a framework that runs tools at the same time has to save the result of the one that has ended."""


class Killer:
    """Ends the process at the beginning of the tool that the setting names, once the others before it have ended."""

    def __init__(self, setting: Setting) -> None:
        self._tool = setting.killed_on
        self._before = {name: threading.Event() for name in setting.killed_after}

    def wrap(self, tool: Tool) -> Tool:
        """The tool; the one that is meant never begins."""
        name = tool.__name__
        if self._tool is None or name not in {self._tool, *self._before}:
            return tool

        @functools.wraps(tool)
        def watched(*args: Any, **kwargs: Any) -> Any:
            if name == self._tool:
                self._kill()
            try:
                return tool(*args, **kwargs)
            finally:
                self._before[name].set()

        return watched

    def _kill(self) -> None:
        latest = time.monotonic() + _LONGEST_WAIT_S
        for ended in self._before.values():
            ended.wait(max(latest - time.monotonic(), 0))
        time.sleep(_TO_SAVE_S)
        os.kill(os.getpid(), signal.SIGKILL)
