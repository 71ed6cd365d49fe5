"""Recorded runs of BFCL once more, by the suite's own runner from its own file format: does it say the same?

    uv run python tests/benchmarks/regrade.py [--runs 30] [--seed 1] [--traces traces/suites]

What `bakeoff run -t bfcl,bfcl_multi_turn` records is judged by the suite's checkers, which `inside.py` of their folders
calls. Here its runner (`bfcl_eval.eval_checker.eval_runner`) reads result files as the suite's own generation writes
them, decodes the calls with the suite's own handler for OpenAI-compatible servers, and writes its score files, in an
environment made for it. So many runs are taken of each of both; half of them are ones that were found wrong, as far as
there are so many. The table goes into `REGRADE.md` beside this file.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from evaluator import ROOT
from evaluator.catalog.suites import all_suites
from evaluator.harness.environments import find_uv
from evaluator.packs import frameworks_in, models_in, read_packed
from evaluator.trace import Trace

NEEDED = (
    *(
        "numpy<2",
        "pandas",
        "tqdm",
        "python-dotenv",
        "filelock",
        "pydantic",
        "openai",
        "tenacity",
        "requests",
        "overrides",
    ),
    *("tree_sitter==0.21.3", "tree-sitter-java==0.21.0", "tree-sitter-javascript==0.21.4", "mpmath"),
)
"""What the runner imports; of the suite's own requirements, the rest are other vendors' clients and models."""

RUNNER = """
import os, sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType, SimpleNamespace

folder = Path(sys.argv[1])
os.environ |= {"BFCL_PROJECT_ROOT": str(folder), "OPENAI_API_KEY": "not-used"}
table = ModuleType("bfcl_eval.constants.model_config")
table.MODEL_CONFIG_MAPPING = {}
sys.modules[table.__name__] = table
from bfcl_eval.model_handler.api_inference.openai_completion import OpenAICompletionsHandler

for model in sys.argv[2].split(","):
    table.MODEL_CONFIG_MAPPING[model] = SimpleNamespace(
        model_name=model, model_handler=OpenAICompletionsHandler, is_fc_model=True, underscore_to_dot=False,
        display_name=model, url="", org="", license="", input_price=None, output_price=None,
    )
from bfcl_eval.eval_checker import eval_runner

eval_runner.generate_leaderboard_csv = lambda *_: None
eval_runner.runner(None, sys.argv[3].split(","), folder / "result", folder / "score", allow_missing=True)
"""


SUITES = ("bfcl", "bfcl_multi_turn")
"""Of one package, in the same version."""


def chosen(root: Path, suite: str, number: int, seed: int) -> list[Trace]:
    """The runs of a suite, half of them found wrong as far as there are so many."""
    traces = [
        one
        for model in models_in(root)
        for framework in frameworks_in(root, model)
        for one in read_packed(root, model, framework)
        if isinstance(one, Trace) and one.key.task == suite and one.verdict is not None
    ]
    random.Random(seed).shuffle(traces)
    wrong = [one for one in traces if one.verdict and not one.verdict.metrics["accuracy"]][: number // 2]
    right = [one for one in traces if one.verdict and one.verdict.metrics["accuracy"]]
    return [*wrong, *right[: number - len(wrong)]]


def model_of(trace: Trace) -> str:
    """What the suite calls it: a model for each framework and model, so that each has a case but once."""
    return f"{trace.key.framework}-{trace.key.model}-{trace.key.trial}".replace("_", "-").replace("/", "-")


def result_of(trace: Trace) -> list[Any] | str:
    """What the suite's generation writes of a run: each call by name, with its arguments as a text.

    Of a conversation, the calls of each turn, each a step of its own.
    """
    state = trace.outcome.final_state

    def written(call: dict[str, Any]) -> dict[str, str]:
        return {call["name"]: json.dumps(call["arguments"])}

    if "turns" in state:
        return [[[written(call)] for call in calls] for calls in state["turns"]]
    return [written(call) for call in state["calls"]] or trace.outcome.answer


def write_results(folder: Path, traces: list[Trace], ids: dict[str, str]) -> None:
    """The files that the suite's generation would have written."""
    for trace in traces:
        kind = str(trace.case["kind"])
        path = folder / "result" / model_of(trace) / f"BFCL_v4_{kind}_result.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            entry = {"id": ids[trace.key.case], "result": result_of(trace)}
            file.write(json.dumps(entry) + "\n")


def said(folder: Path, trace: Trace, ids: dict[str, str]) -> bool:
    """What the suite's runner wrote of a run: those that are wrong stand in its score files."""
    kind = str(trace.case["kind"])
    [path] = (folder / "score" / model_of(trace)).rglob(f"BFCL_v4_{kind}_score.json")
    header, *wrong = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert header["total_count"] - header["correct_count"] == len(wrong)
    return ids[trace.key.case] not in {entry["id"] for entry in wrong}


def _word(right: bool) -> str:
    return "right" if right else "wrong"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--traces", type=Path, default=ROOT / "traces" / "suites")
    options = parser.parse_args()
    traces = [one for suite in SUITES for one in chosen(options.traces, suite, options.runs, options.seed)]
    if not traces:
        print(f"{options.traces}: has no runs of bfcl", file=sys.stderr)
        return 2
    suite = all_suites()[SUITES[0]]
    with tempfile.TemporaryDirectory() as scratch:
        folder, uv = Path(scratch), find_uv()
        python = folder / "venv" / "bin" / "python"
        subprocess.run([uv, "venv", "--quiet", folder / "venv"], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", python]
        subprocess.run([*install, "--no-deps", f"{suite.package}=={suite.version}"], check=True)
        subprocess.run([*install, *NEEDED], check=True)
        [data] = (folder / "venv").glob("lib/python*/site-packages/bfcl_eval/data")
        entries = (
            json.loads(line)
            for path in data.glob("BFCL_v4_*.json")
            if "format" not in path.name
            for line in path.open(encoding="utf-8")
        )
        ids = {entry["id"].lower(): entry["id"] for entry in entries if "id" in entry}
        write_results(folder, traces, ids)
        models = ",".join(sorted({model_of(trace) for trace in traces}))
        kinds = ",".join(sorted({str(trace.case["kind"]) for trace in traces}))
        run = [python, "-c", RUNNER, str(folder), models, kinds]
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL, cwd=folder)
        verdicts = [
            (trace, trace.verdict is not None and trace.verdict.metrics["accuracy"], said(folder, trace, ids))
            for trace in traces
        ]
    same = sum(ours == theirs for _, ours, theirs in verdicts)
    lines = [
        "# Runs of BFCL, judged once more by the suite's own runner",
        "",
        f"`tests/benchmarks/regrade.py`, {suite.package} {suite.version}: {same} of {len(verdicts)} are as recorded.",
        "",
        "| run | as recorded | by its runner |",
        "| --- | --- | --- |",
        *(
            f"| {trace.key.model} {trace.key.framework} {trace.key.case} | {_word(ours)} | {_word(theirs)} |"
            for trace, ours, theirs in sorted(verdicts, key=lambda one: str(one[0].key))
        ),
    ]
    Path(__file__).with_name("REGRADE.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    print(lines[2])
    return int(same != len(verdicts))


if __name__ == "__main__":
    sys.exit(main())
