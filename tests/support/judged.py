"""Servers that judge, and traces to be judged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from doubles import Double, Message, Request
from factories import key, trace

from evaluator.analysis.judge.question import BEGIN, END
from evaluator.trace import Trace, write_trace

RIGHT = '{"verdict": "right", "why": "It greets."}'
WRONG = '{"verdict": "wrong", "why": "It does not greet."}'


def run(case_id: str, answer: str = "Hello.", **changes: Any) -> Trace:
    """A run of the model `local`."""
    return trace(key(case_id, changes.pop("trial", 1), model=changes.pop("model", "local")), answer=answer, **changes)


def write_all(traces: Path, *runs: Trace) -> None:
    for one in runs:
        write_trace(traces, one)


def told(request: Request) -> Any:
    """What a judge was told that the run did."""
    _, _, rest = request["messages"][1]["content"].partition(f"\n{BEGIN}\n")
    return orjson.loads(rest.partition(f"\n{END}")[0])


def judging(says: Callable[[str], str], asked: list[Request]) -> Double:
    """A judge that says something about an answer; what it was asked is put into `asked`."""

    def message(request: Request) -> Message:
        asked.append(request)
        return {"role": "assistant", "content": says(told(request)["answer"])}

    return Double(says=message)
