"""Durable runs in Pydantic AI: the agent runs in a DBOS workflow, each step of which is kept in a database.

A process that is killed after a tool's effect and before its step is kept makes the call again when it is resumed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dbos import DBOS, SetWorkflowID
from pydantic_ai import Agent, ModelSettings
from pydantic_ai.durable_exec.dbos import DBOSDurability
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from tasks.base import Model
from tasks.durable.spec import DurableBrief


async def start(brief: DurableBrief, model: Model) -> str:
    with launched(brief, model) as book, SetWorkflowID(brief.thread):
        return await book(brief.question)


async def resume(brief: DurableBrief, model: Model) -> str:
    with launched(brief, model):  # which resumes the workflows that did not end
        workflow = await DBOS.retrieve_workflow_async(brief.thread)
        return await workflow.get_result()


@contextmanager
def launched(brief: DurableBrief, model: Model) -> Iterator[Callable]:
    DBOS(config={"name": "bakeoff", "system_database_url": f"sqlite:///{brief.store}/workflows.sqlite"})
    provider = OpenAICompatibleProvider("bakeoff", base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        OpenAIChatModel(model.name, provider=provider),
        name="booking",
        instructions=brief.instructions,
        model_settings=ModelSettings(temperature=model.temperature),
        tools=[DBOS.step()(tool) for tool in brief.tools],
        # Steps are known again by their number: tools that run at the same time may get each other's.
        capabilities=[DBOSDurability(parallel_execution_mode="sequential")],
    )

    @DBOS.workflow()
    async def book(question: str) -> str:
        result = await agent.run(question)
        return result.output

    DBOS.launch()
    try:
        yield book
    finally:
        DBOS.destroy(destroy_registry=True)
