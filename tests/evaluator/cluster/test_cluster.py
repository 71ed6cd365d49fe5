"""Two nodes on this machine: the same runs as here, whatever is killed, and a key that is nowhere."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import buckets
import fsspec
import pytest
from clusters import ManyNodes, cluster, until, values, without_times
from commands import PLANTED
from model_server import Answer, completion, serving

from evaluator import ROOT, scorecard
from evaluator.stores import store_at
from evaluator.trace import Trace, read_traces

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]

ASKED = ("-f", "baseline,pydantic_ai", "-t", "tool_calling", "-m", "scripted", "--cases", "standard")
RUNS = 32


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[ManyNodes]:
    """Two nodes, which reach a server of S3, as this process does."""
    with buckets.served() as address, pytest.MonkeyPatch.context() as variables:
        for name, value in buckets.environment(address).items():
            variables.setenv(name, value)
        with cluster() as made:
            yield made


def started(traces: Path | str, asked: Sequence[str], *more: str, **variables: str) -> "subprocess.Popen[str]":
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


def test_a_limit_holds_over_nodes_and_what_is_refused_is_seen_by_no_framework(
    two_nodes: ManyNodes, tmp_path: Path
) -> None:
    taken: list[float] = []
    refused: list[float] = []

    def answered(number: int, headers: dict[str, str]) -> Answer:
        """Five in any second, and no more."""
        now = time.monotonic()
        if sum(at > now - 1 for at in taken) >= 5:
            refused.append(now)
            return Answer(429, {"error": {"message": "too many requests"}}, {"Retry-After": "1"})
        taken.append(now)
        return Answer(200, completion("I do not know."))

    with serving(answered) as server:
        model = ("-m", "m", "--base-url", server.url, "--jobs", "8", "--rpm", "300")
        asked = ("-f", "baseline", "-t", "tool_calling", "--cases", "standard", "--trials", "4", *model)
        ended(started(tmp_path, asked, *on(two_nodes)))
    made = recorded(tmp_path)
    assert len(made) == len(taken) == 64
    assert len({trace.setup.node for trace in made}) == 2
    assert all(call.status == 200 for trace in made for call in trace.model_calls)
    assert all(trace.outcome.ended == "answered" for trace in made)
    assert any(call.waited_s for trace in made for call in trace.model_calls)
    assert (len(taken) - 1) / (taken[-1] - taken[0]) < 5 * 1.05


def test_a_bucket_is_all_that_resuming_and_scoring_need(two_nodes: ManyNodes, here: Path, tmp_path: Path) -> None:
    bucket = f"s3://of-tests-{os.getpid()}"
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # of clients that have another environment
    fsspec.filesystem("s3").mkdir(bucket)
    url = f"{bucket}/traces"
    copy = store_at(url).folder.parent
    driver = started(url, ASKED, *on(two_nodes))
    until(lambda: len(fsspec.filesystem("s3", use_listings_cache=False).find(url)) >= 5)
    driver.kill()
    driver.wait()
    shutil.rmtree(copy)
    said = ended(started(url, ASKED, *on(two_nodes)))
    assert f"of {RUNS} runs are recorded already in {url}" in said
    shutil.rmtree(copy)
    command = [sys.executable, "-m", "evaluator", "score", "--traces", url, "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert without_times(json.loads((tmp_path / scorecard.JSON_NAME).read_bytes())["cells"]) == values(here)


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
