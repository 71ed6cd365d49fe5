"""How the work of scoring grows with what a model's server replies: with calls in one message, and letters of answers.

`uv run python tests/benchmarks/growth.py` takes some minutes. For each kind of reply it measures sizes n, 2n and 4n in
one run, and prints the seconds and the exponent of the growth between the last two: 1 is linear, 2 is quadratic. Where
a limit on what is graded was reached, it is less.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "support"))

from huge_replies import ANSWERS, CALLS, answering, calling, searching

from evaluator.analysis import parity
from evaluator.analysis.graded_run import grade_run
from evaluator.catalog.tasks import all_tasks
from evaluator.trace import Trace

TASKS = all_tasks()
Work = Callable[[Trace], Any]
WORK: dict[str, Work] = {
    "parity": lambda trace: parity.compare(parity.observe(trace, TASKS[trace.key.task])),
    "grading": lambda trace: grade_run(trace, TASKS[trace.key.task]),
}


def seconds(work: Work, trace: Trace) -> float:
    """Processor time of one piece of work."""
    start = time.process_time()
    work(trace)
    return time.process_time() - start


def kinds(calls: int, characters: int) -> Iterator[tuple[str, Callable[[int], Trace], int]]:
    """Each kind of reply by its name, how a trace with it is made, and the smallest size."""
    for name, told in product(CALLS, (True, False)):
        words = name if told else f"{name}, results not told"
        yield f"calls: {words}", partial(calling, name, told=told), calls
    for told in (True, False):
        yield f"calls: searches{'' if told else ', results not told'}", partial(searching, told=told), calls
    for name in ANSWERS:
        for task in TASKS:
            yield f"answer: {name}, {task}", partial(answering, name, task_name=task), characters


def main() -> None:
    """Measure every kind."""
    parser = argparse.ArgumentParser(description="How the work of scoring grows with the size of a reply.")
    parser.add_argument("--calls", type=int, default=2_500, help="the smallest number of calls in one message")
    parser.add_argument("--characters", type=int, default=250_000, help="the fewest characters of an answer")
    parser.add_argument("--only", default="", help="the kinds with this in their names")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = []
    for name, made, size in kinds(asked.calls, asked.characters):
        if asked.only not in name:
            continue
        for what, work in WORK.items():
            times = [seconds(work, made(times * size)) for times in (1, 2, 4)]
            exponent = math.log2(max(times[2], 1e-3) / max(times[1], 1e-3))
            rows.append({"kind": name, "work": what, "size": size, "seconds": times, "exponent": exponent})
            if not asked.json:
                shown = "  ".join(f"{one:8.2f}" for one in times)
                print(f"{name:48} {what:8} {size:>9,} {shown}  {exponent:5.2f}", flush=True)
    if asked.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
