"""Parallel agents in Agno: a workflow with a parallel block of steps, and a step that joins them."""

from agno.agent import Agent
from agno.models.openai import OpenAILike
from agno.run.base import RunStatus
from agno.workflow import Parallel, Step, Workflow

from tasks.base import Model
from tasks.parallel.spec import AgentSpec, ParallelBrief


async def run(brief: ParallelBrief, model: Model) -> str:
    workflow = Workflow(
        steps=[
            Parallel(*(step(branch, model) for branch in brief.branches), name="analysts"),
            step(brief.join, model),
        ],
        telemetry=False,
    )
    result = await workflow.arun(brief.question)
    if result.status != RunStatus.completed:  # errors come back as if they were the answer
        raise RuntimeError(result.content)
    return result.content


def step(spec: AgentSpec, model: Model) -> Step:
    llm = OpenAILike(
        id=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    agent = Agent(
        name=spec.name,
        model=llm,
        instructions=spec.instructions,
        telemetry=False,
    )
    return Step(name=spec.name, agent=agent)
