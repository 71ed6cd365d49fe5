"""Clusters of Ray on this machine, and how what takes part in them is killed."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from evaluator import scorecard

os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

ACTOR = "ray::Node"
"""How the process of a node's actor is called."""


@dataclass
class ManyNodes:
    """A head and other nodes, each with a raylet of its own."""

    cluster: Any
    processors: int

    @property
    def address(self) -> str:
        """What `--address` takes."""
        return str(self.cluster.address)

    @property
    def logs(self) -> str:
        """Where Ray writes."""
        return str(self.cluster.head_node.get_session_dir_path())

    def others(self) -> list[Any]:
        """The nodes but the head."""
        return [node for node in self.cluster.list_all_nodes() if node is not self.cluster.head_node]

    def add(self) -> None:
        """One more node."""
        self.cluster.add_node(num_cpus=self.processors)

    def kill_raylet(self) -> None:
        """One node but the head fails, as a machine does; another takes its place."""
        node = self.others()[-1]
        os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        self.cluster.remove_node(node, allow_graceful=False)
        self.add()

    def kill_actor(self) -> bool:
        """What makes the runs of one node ends; whether there was one."""
        actors = [
            one for one in psutil.process_iter(["cmdline"]) if " ".join(one.info["cmdline"] or ()).startswith(ACTOR)
        ]
        for actor in actors[-1:]:
            with contextlib.suppress(psutil.NoSuchProcess):
                actor.kill()
        return bool(actors)


@contextlib.contextmanager
def cluster(nodes: int = 2, processors: int = 1) -> Iterator[ManyNodes]:
    """A cluster of so many nodes."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": processors, "include_dashboard": False})
    try:
        many = ManyNodes(made, processors)
        for _ in range(nodes - 1):
            many.add()
        yield many
    finally:
        made.shutdown()


def until(holds: Callable[[], bool], within_s: float = 120) -> None:
    """Wait until something holds. Raises `TimeoutError`."""
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def values(traces: Path) -> list[dict[str, Any]]:
    """What is comparable in the cells of a scorecard."""
    return without_times(json.loads(scorecard.documents(scorecard.build(traces))[scorecard.JSON_NAME])["cells"])


def without_times(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The cells without times, memory, and how many workers there were."""
    apart = ("_s_", "_mb_", "workers")
    return [{name: one for name, one in cell.items() if not any(part in name for part in apart)} for cell in cells]
