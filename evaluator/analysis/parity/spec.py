"""What the task's spec says of one case: what the requests of a run are read against."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import orjson

from evaluator.analysis.parity.canonical import Handover, standing_parts
from evaluator.catalog.tasks import Task
from evaluator.wire import smallest
from evaluator.wire.handoffs import is_handoff
from evaluator.wire.tool_schemas import ToolSpec, spec_of


@dataclass(frozen=True)
class AgentSpec:
    """What a request of an agent is read against."""

    name: str
    instructions: str
    tools: dict[str, ToolSpec]
    handover: Handover


@dataclass(frozen=True)
class TaskSpec:
    """What the requests of a run are read against.

    `passages` are the documents to search by id, where the framework brings the search itself.
    """

    question: str
    agents: tuple[AgentSpec, ...]
    passages: dict[str, str]
    k: int

    @cached_property
    def standing_parts(self) -> dict[str, dict[str, int]]:
        """By agent: the tokens of its canonical requests but for the conversation, by part."""
        return {
            agent.name: standing_parts(
                agent.instructions,
                self.question,
                [smallest.offered(tool) for tool in agent.tools.values()],
                agent.handover.tools,
            )
            for agent in self.agents
        }

    @cached_property
    def _defaults(self) -> dict[str, dict[str, Any]]:
        tools = {name: orjson.loads(tool.schema) for agent in self.agents for name, tool in agent.tools.items()}
        return {
            name: {key: one["default"] for key, one in schema.get("properties", {}).items() if "default" in one}
            for name, schema in tools.items()
        }

    def defaults(self, tool: str) -> dict[str, Any]:
        """What the parameters of a tool are where a call leaves them out; none for a tool that no agent has."""
        return self._defaults.get(tool, {})

    def is_handoff(self, tool: str) -> bool:
        """Whether a tool that no agent owns looks like one that hands over to another agent."""
        if any(tool in agent.tools for agent in self.agents) or not any(
            agent.handover.targets for agent in self.agents
        ):
            return False
        return is_handoff(tool, [agent.name for agent in self.agents])


def task_spec(task: Task, case: dict[str, Any]) -> TaskSpec:
    """What `task` says of one case. Raises `pydantic.ValidationError` for a case that is none of this task."""
    return _task_spec(task, orjson.dumps(case))


@lru_cache(maxsize=256)
def _task_spec(task: Task, case: bytes) -> TaskSpec:
    wire = task.on_the_wire(task.prepare(task.read_case(orjson.loads(case))).brief)
    described = {agent.name: agent.description for agent in wire.agents}
    agents = tuple(
        AgentSpec(
            agent.name,
            agent.instructions.strip(),
            _by_name(map(spec_of, agent.tools)),
            Handover({name: described[name] for name in agent.hands_over_to}),
        )
        for agent in wire.agents
    )
    return TaskSpec(wire.question.strip(), agents, dict(wire.passages), wire.k)


def _by_name(tools: Iterable[ToolSpec]) -> dict[str, ToolSpec]:
    return {tool.name: tool for tool in tools}
