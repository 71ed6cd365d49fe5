"""Gives commands damaged files of each kind that they read, and counts what came out as it should.

`uv run python tests/benchmarks/mutations.py` damages 500 files of each kind and prints the table; it takes the better
part of an hour. `--kind` keeps to some kinds, and `--first N --number 1 --kind KIND` makes one again.
"""

import argparse
import collections
import contextlib
import multiprocessing
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from damaged import KINDS, Tried, tried

from evaluator.text import table


def _tried(asked: tuple[str, int]) -> tuple[str, int, Tried]:
    name, number = asked
    return name, number, tried(KINDS[name], number)


def main() -> int:
    """Try each kind, print what came out otherwise as it comes, and the table; gives 1 where anything did."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--number", type=int, default=500, metavar="N", help="files of each kind; default: 500")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the number of the first one; default: 0")
    parser.add_argument("--kind", action="append", choices=KINDS, help="this kind only; several: one --kind for each")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="tried at once; default: 1")
    asked = parser.parse_args()
    names = asked.kind or list(KINDS)
    wrong: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in names}
    codes: dict[str, collections.Counter[int]] = {name: collections.Counter() for name in names}
    work = [(name, number) for name in names for number in range(asked.first, asked.first + asked.number)]
    start = time.monotonic()
    with (
        multiprocessing.get_context("spawn").Pool(asked.processes, maxtasksperchild=40) as pool,
        contextlib.suppress(KeyboardInterrupt),  # then the table is of what was tried
    ):
        for done, (name, number, one) in enumerate(pool.imap_unordered(_tried, work, chunksize=10), start=1):
            codes[name][one.said.code] += 1
            if one.wrong:
                wrong[name][one.wrong.strip().splitlines()[-1][:100]] += 1
                print(f"{name} {number}: {one.done}; bakeoff {one.command}\n{one.wrong}", flush=True)
            if done % 100 == 0 or done == len(work):
                print(f"{done} of {len(work)}, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    rows = [
        [
            name,
            str(codes[name].total()),
            str(codes[name].total() - wrong[name].total()),
            ", ".join(f"{count} × {code}" for code, count in sorted(codes[name].items())),
            "; ".join(f"{count} × {what}" for what, count in wrong[name].most_common()) or "nothing",
        ]
        for name in names
    ]
    print(table(["kind", "n", "as expected", "exit codes", "what went wrong"], rows, text_columns=2))
    return int(any(map(len, wrong.values())))


if __name__ == "__main__":
    sys.exit(main())
