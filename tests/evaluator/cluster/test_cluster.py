"""Two nodes on this machine: the same runs as here, whatever is killed, and a key that is nowhere."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from clusters import ManyNodes, cluster, until
from commands import PLANTED
from model_server import Answer, completion, serving

from evaluator import ROOT, scorecard
from evaluator.trace import Trace, read_traces

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]

ASKED = ("-f", "baseline,pydantic_ai", "-t", "tool_calling", "-m", "scripted", "--cases", "standard")
RUNS = 32


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[ManyNodes]:
    with cluster() as made:
        yield made


def started(traces: Path, asked: Sequence[str], *more: str, **variables: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "evaluator", "run", *asked, "--traces", str(traces), *more]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def ended(process: "subprocess.Popen[str]") -> str:
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def on(nodes: ManyNodes) -> list[str]:
    return ["--engine", "ray", "--address", nodes.address]


def recorded(traces: Path) -> list[Trace]:
    found = list(read_traces(traces))
    assert all(isinstance(one, Trace) for one in found)
    return [one for one in found if isinstance(one, Trace)]


def values(traces: Path) -> list[dict[str, Any]]:
    """The cells of a scorecard without times, memory, and how many workers there were."""
    cells = json.loads(scorecard.documents(scorecard.build(traces))[scorecard.JSON_NAME])["cells"]
    apart = ("_s_", "_mb_", "workers")
    return [{name: one for name, one in cell.items() if not any(part in name for part in apart)} for cell in cells]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same runs, made by the local engine."""
    traces = tmp_path_factory.mktemp("here")
    ended(started(traces, ASKED))
    return traces


def test_two_nodes_make_what_this_machine_makes(two_nodes: ManyNodes, here: Path, tmp_path: Path) -> None:
    said = ended(started(tmp_path, ASKED, *on(two_nodes)))
    assert "ray: 2 of 2 nodes ready" in said
    made = recorded(tmp_path)
    assert len(made) == RUNS
    assert values(tmp_path) == values(here)
    nodes = defaultdict(set)
    for trace in made:
        nodes[trace.key.case].add(trace.setup.node)
    assert all(len(of_case) == 1 for of_case in nodes.values())
    assert len(set.union(*nodes.values())) == 2
    assert len({trace.setup.sitting for trace in made}) == 1
    assert not [path for path in tmp_path.rglob("*.mark")]
    assert f"{RUNS} of {RUNS} runs are recorded already" in ended(started(tmp_path, ASKED, *on(two_nodes)))


@pytest.mark.parametrize("killed", ["raylet", "actor", "driver"])
def test_what_is_killed_loses_nothing(two_nodes: ManyNodes, here: Path, tmp_path: Path, killed: str) -> None:
    driver = started(tmp_path, ASKED, *on(two_nodes))
    until(lambda: len(list(tmp_path.rglob("*.json"))) >= 3)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json") if not path.name.startswith(".")}
    if killed == "driver":
        driver.kill()
        driver.wait()
        ended(started(tmp_path, ASKED, *on(two_nodes)))
    else:
        two_nodes.kill_raylet() if killed == "raylet" else two_nodes.kill_actor()
        ended(driver)
    made = recorded(tmp_path)
    assert len(made) == len({trace.key for trace in made}) == RUNS
    assert {path: path.read_bytes() for path in before} == before
    assert values(tmp_path) == values(here)


def test_a_key_is_given_to_gateways_and_stands_nowhere(two_nodes: ManyNodes, tmp_path: Path) -> None:
    with serving(Answer(200, completion("I do not know."))) as server:
        model = ("-m", "m", "--base-url", server.url, "--key-variable", "PLANTED_KEY")
        asked = ("-f", "baseline", "-t", "tool_calling", "--cases", "quick", *model)
        ended(started(tmp_path, asked, *on(two_nodes), PLANTED_KEY=PLANTED))
    assert server.headers and all(sent["authorization"] == f"Bearer {PLANTED}" for sent in server.headers)
    written = [path for folder in (tmp_path, Path(two_nodes.logs)) for path in folder.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert not [path for path in written if PLANTED.encode() in path.read_bytes()]


def test_a_model_that_cannot_be_reached_ends_it_in_a_line(two_nodes: ManyNodes, tmp_path: Path) -> None:
    asked = ("-f", "baseline", "-t", "tool_calling", "-m", "m", "--base-url", "http://127.0.0.1:9/v1")
    process = started(tmp_path, asked, *on(two_nodes))
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "the same command goes on from here" in said
    assert "Traceback" not in said


def test_where_no_cluster_is_that_is_said(tmp_path: Path) -> None:
    process = started(tmp_path, ASKED, "--engine", "ray", "--address", "127.0.0.1:9")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "no cluster can be reached there" in said
    assert "Traceback" not in said
