"""What tests of processes share."""

import time

import psutil


def gone(pid: int, within_s: float) -> bool:
    """Whether the process ends in time; one that waits to be reaped has ended."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False
