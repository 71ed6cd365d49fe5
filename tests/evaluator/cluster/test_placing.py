"""Runs are given to nodes that come and go: none is lost, none counts twice, and what is compared stays together."""

import asyncio
import contextlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from factories import trace
from fakes import MakeFramework

from evaluator.cluster.node import Result
from evaluator.cluster.placing import AHEAD, ATTEMPTS, LostError, Placing
from evaluator.errors import Failure
from evaluator.harness.engine import NOT_YET, Made, Round
from evaluator.harness.jobs import Job
from evaluator.harness.runner import ModelGoneError

MakeJob = Callable[..., Job]
Name = tuple[str, str, int]

MADE = Result(made=Made.of(trace()))


def name(job: Job) -> Name:
    return job.framework.name, job.case.id, job.trial


@dataclass
class Node:
    """A node that makes each run in a moment, and is lost after so many."""

    name: str
    lost_after: int = 10**6
    gives: Result = MADE
    made: list[Name] = field(default_factory=list)
    again: set[Name] = field(default_factory=set)
    with_it: int = 0
    most: int = 0

    async def run(self, job: Job, again: bool) -> Result:
        self.with_it += 1
        self.most = max(self.most, self.with_it)
        try:
            await asyncio.sleep(0.001)
            if len(self.made) >= self.lost_after:
                raise LostError(self.name)
            self.made.append(name(job))
            if again:
                self.again.add(name(job))
            return self.gives
        finally:
            self.with_it -= 1


@dataclass
class Heard:
    """What was heard of runs, and which rounds were under way."""

    counted: list[Name] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    were_lost: list[Name] = field(default_factory=list)
    under_way: set[int] = field(default_factory=set)
    most_under_way: int = 0
    whole: list[int] = field(default_factory=list)

    @contextlib.contextmanager
    def begin(self, one: Round) -> Iterator["Heard"]:
        self.under_way.add(one[0])
        self.most_under_way = max(self.most_under_way, len(self.under_way))
        yield self
        self.under_way.remove(one[0])
        self.whole.append(one[0])

    def started(self, job: Job) -> None:
        """Nothing is made of it."""

    def finished(self, job: Job, made: Made) -> None:
        self.counted.append(name(job))

    def not_made(self, job: Job, why: str) -> None:
        self.left_out.append(why)

    def lost(self, job: Job) -> None:
        self.were_lost.append(name(job))


@pytest.fixture
def rounds(make_framework: MakeFramework, job: MakeJob) -> list[Round]:
    """Twelve rounds of one case with three frameworks."""
    frameworks = [make_framework(name) for name in "abc"]
    return [(number, [job(one, id=f"case-{number}") for one in frameworks]) for number in range(12)]


def names(rounds: list[Round]) -> list[Name]:
    return sorted(name(job) for _, jobs in rounds for job in jobs)


async def nobody(node: Node) -> None:
    """Nobody takes the place of a node that is lost."""


async def test_every_run_is_made_once_and_those_of_a_case_on_one_node(rounds: list[Round]) -> None:
    nodes, heard = [Node("one"), Node("two")], Heard()
    placing = Placing(slots=2, lost=nobody)
    for node in nodes:
        placing.join(node)
    await placing.make(iter(rounds), heard.begin)
    assert sorted(heard.counted) == sorted(nodes[0].made + nodes[1].made) == names(rounds)
    assert not {case for _, case, _ in nodes[0].made} & {case for _, case, _ in nodes[1].made}
    assert all(node.made for node in nodes)
    assert sorted(heard.whole) == [number for number, _ in rounds]


@pytest.mark.parametrize("slots", [1, 2, 5])
async def test_no_node_has_more_than_its_share(rounds: list[Round], slots: int) -> None:
    node = Node("one")
    placing = Placing(slots=slots, lost=nobody)
    placing.join(node)
    await placing.make(iter(rounds), Heard().begin)
    assert node.most == AHEAD * slots


async def test_a_round_is_taken_only_when_there_is_room_for_it(rounds: list[Round]) -> None:
    heard = Heard()
    placing = Placing(slots=1, lost=nobody)
    placing.join(Node("one"))
    await placing.make(iter(rounds), heard.begin)
    assert heard.most_under_way == 2  # of three runs each, where two are with the node
    assert heard.whole == [number for number, _ in rounds]


@pytest.mark.parametrize("seed", range(20))
async def test_what_was_with_a_node_that_is_lost_is_made_by_others(rounds: list[Round], seed: int) -> None:
    chance, heard = random.Random(seed), Heard()
    nodes: list[Node] = []

    async def comes_again(lost: Node) -> None:
        if chance.random() < 0.5:
            await asyncio.sleep(0)
        join()

    def join() -> None:
        nodes.append(Node(f"node {len(nodes)}", lost_after=chance.randrange(6, 15)))
        placing.join(nodes[-1])

    placing = Placing(slots=2, lost=comes_again)
    join()
    join()
    await placing.make(iter(rounds), heard.begin)
    made = Counter(one for node in nodes for one in node.made)
    assert len(nodes) > 2
    assert sorted(heard.counted) == sorted(made) == names(rounds)
    assert set(made.values()) == {1}
    assert {*heard.were_lost} == {one for node in nodes for one in node.again}
    by_case = defaultdict(set)
    for node in nodes:
        for _, case, _ in node.made:
            by_case[case].add(node.name)
    again = {case for node in nodes for _, case, _ in node.again}
    assert {case for case, where in by_case.items() if len(where) > 1} <= again


async def test_a_round_that_may_not_be_taken_yet_is_taken_once_a_run_is_over(rounds: list[Round]) -> None:
    heard, refused = Heard(), 0

    def one_at_a_time() -> Iterator[Round | None]:
        nonlocal refused
        for one in rounds:
            while heard.under_way:
                refused += 1
                yield NOT_YET
            yield one

    placing = Placing(slots=5, lost=nobody)
    placing.join(Node("one"))
    await placing.make(one_at_a_time(), heard.begin)
    assert refused and heard.most_under_way == 1
    assert sorted(heard.counted) == names(rounds)


async def test_a_run_with_which_nodes_are_lost_is_given_up(rounds: list[Round]) -> None:
    heard, joined = Heard(), 0

    async def comes_again(lost: Node) -> None:
        nonlocal joined
        joined += 1
        placing.join(Node(f"again {joined}", lost_after=0))

    placing = Placing(slots=2, lost=comes_again)
    placing.join(Node("first", lost_after=0))
    await placing.make(iter(rounds[:1]), heard.begin)
    assert (joined >= ATTEMPTS, heard.counted) == (True, [])
    assert sorted(heard.left_out) == [
        f"{framework}: the node was lost {ATTEMPTS} times that made the run" for framework in "abc"
    ]


async def test_what_a_node_could_not_make_is_not_made_elsewhere(rounds: list[Round]) -> None:
    node, heard = Node("one", gives=Result(not_made="a: the worker was killed")), Heard()
    placing = Placing(slots=2, lost=nobody)
    placing.join(node)
    await placing.make(iter(rounds[:1]), heard.begin)
    assert (len(node.made), heard.left_out) == (3, ["a: the worker was killed"] * 3)


async def test_a_model_that_is_gone_ends_it(rounds: list[Round]) -> None:
    node = Node("one", gives=Result(gone="the server is out of reach"))
    placing = Placing(slots=2, lost=nobody)
    placing.join(node)
    with pytest.raises(ModelGoneError, match="out of reach"):
        await placing.make(iter(rounds), Heard().begin)


async def test_it_waits_for_a_node_until_there_will_be_none(rounds: list[Round]) -> None:
    placing: Placing[Node] = Placing(slots=2, lost=nobody)
    placing.join(Node("one", lost_after=2))
    making = asyncio.create_task(placing.make(iter(rounds), Heard().begin))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not making.done()
    placing.fail(Failure("ray: no node is left"))
    with pytest.raises(Failure, match="no node is left"):
        await making
