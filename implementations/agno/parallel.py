"""Parallel agents in Agno: a workflow with a parallel block of steps, and a step that joins what they found."""

from agno.agent import Agent
from agno.models.openai import OpenAILike
from agno.run.base import RunStatus
from agno.workflow import Parallel, Step, StepInput, StepOutput, Workflow

from tasks.base import Model
from tasks.parallel.spec import AgentSpec, ParallelBrief


async def run(brief: ParallelBrief, model: Model) -> str:
    editor = agent_of(brief.join, model)

    # An agent as the next step would be given what was found, but not the question.
    async def join(step_input: StepInput) -> StepOutput:
        found = [
            f"{output.step_name}: {output.content if output.success else f'failed with {output.error}'}"
            for output in step_input.get_step_output("analysts").steps
        ]
        result = await editor.arun("\n".join([step_input.input, *found]))
        return StepOutput(content=result.content, success=result.status == RunStatus.completed)

    analysts = [Step(name=branch.name, agent=agent_of(branch, model)) for branch in brief.branches]
    workflow = Workflow(
        steps=[Parallel(*analysts, name="analysts"), join],
        telemetry=False,
    )
    result = await workflow.arun(brief.question)
    if not result.step_results[-1].success:  # errors come back as if they were the answer
        raise RuntimeError(result.content)
    return result.content


def agent_of(spec: AgentSpec, model: Model) -> Agent:
    return Agent(
        name=spec.name,
        model=OpenAILike(
            id=model.name,
            base_url=model.base_url,
            api_key=model.api_key,
            temperature=model.temperature,
        ),
        instructions=spec.instructions,
        telemetry=False,
    )
