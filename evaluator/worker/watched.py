"""A worker that reports what it does outside its scratch folder. Needs the standard library and pydantic.

A hook of the interpreter sees every connection, name look-up, bind, process and write that goes
through Python; each is one JSON line in a log. What native code does on its own it cannot see:
`evaluator.harness.watch` looks for that from outside.
"""

import json
import os
import sys
import sysconfig
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS = {
    "os.mkdir": (0,),
    "os.rmdir": (0,),
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.link": (1,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.utime": (0,),
    "sqlite3.connect": (0,),
}
"""Events that change the file system, and which of their arguments are paths."""

_NAMES = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_CONNECTIONS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"})
_PROCESSES = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork"})
_DEVICES = ("/dev/null", "/dev/tty")


def watch(log: str, scratch: str) -> None:
    """From now on, write down what this process does outside `scratch`."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    inside = os.path.realpath(scratch) + os.sep
    libraries = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))

    def outside(path: Any) -> str | None:
        if isinstance(path, int) or path is None:
            return None
        real = os.path.realpath(os.fsdecode(path))
        return None if (real + os.sep).startswith(inside) or real in _DEVICES else real

    def caller() -> str:
        """The nearest line of code that is not of the standard library."""
        frame = sys._getframe(2)
        while frame.f_back is not None:
            name = frame.f_code.co_filename
            in_library = name.startswith(libraries) and "site-packages" not in name
            if not in_library and not name.startswith("<") and name != __file__:
                break
            frame = frame.f_back
        return f"{frame.f_code.co_filename}:{frame.f_lineno}"

    def hook(event: str, args: tuple[Any, ...]) -> None:
        found: list[tuple[str, str]] = []
        if event == "open":
            path, _, flags = args
            where = outside(path) if isinstance(flags, int) and flags & _WRITES else None
            found = [("writes", where)] if where else []
        elif event in _PATHS:
            paths = [outside(args[i]) for i in _PATHS[event] if args[i] != ":memory:"]
            found = [(event, path) for path in paths if path]
        elif event in _NAMES:
            found = [("looks up", str(args[0]))]
        elif event in _CONNECTIONS:
            address = args[1] if len(args) > 1 else None
            if isinstance(address, tuple) and len(address) >= 2:
                found = [(event.removeprefix("socket."), f"{address[0]}:{address[1]}")]
        elif event in _PROCESSES:
            found = [("starts", repr(args[1] if event == "subprocess.Popen" else args[:1]))]
        for what, where in found:
            line = {"what": what, "where": where, "caller": caller()}
            os.write(out, json.dumps(line).encode() + b"\n")

    sys.addaudithook(hook)


if __name__ == "__main__":
    watch(sys.argv[1], sys.argv[2])
    del sys.argv[1:3]
    from evaluator.worker.main import main

    main()
