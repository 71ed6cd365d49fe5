"""Durable runs of the OpenAI Agents SDK in DBOS, which its documentation names: answers and results are steps."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, RunConfig, ToolExecutionConfig, function_tool
from dbos import DBOS, SetWorkflowID
from dbos_openai_agents import DBOSRunner
from openai import AsyncOpenAI

from tasks.base import Model
from tasks.durable.spec import DurableBrief


async def start(brief: DurableBrief, model: Model) -> str:
    with launched(brief, model) as book_trip, SetWorkflowID(brief.thread):
        return await book_trip(brief.question)


async def resume(brief: DurableBrief, model: Model) -> str:
    with launched(brief, model):  # and it goes on with what is unfinished
        trip = await DBOS.retrieve_workflow_async(brief.thread)
        return await trip.get_result()


@contextmanager
def launched(brief: DurableBrief, model: Model) -> Iterator[Callable[[str], Awaitable[str]]]:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        name="travel agent",
        instructions=brief.instructions,
        model=OpenAIChatCompletionsModel(model=model.name, openai_client=client),
        model_settings=ModelSettings(temperature=model.temperature),
        tools=[function_tool(DBOS.step()(tool)) for tool in brief.tools],
    )
    # One call after the other, so that the result of each is kept before the next begins.
    run_config = RunConfig(tool_execution=ToolExecutionConfig(max_function_tool_concurrency=1))

    @DBOS.workflow()
    async def book_trip(question: str) -> str:
        result = await DBOSRunner.run(agent, question, max_turns=model.max_model_calls, run_config=run_config)
        return result.final_output

    DBOS(config={"name": "trips", "system_database_url": f"sqlite:///{brief.store / 'dbos.sqlite'}"})
    DBOS.launch()
    try:
        yield book_trip
    finally:
        DBOS.destroy()
        # DBOS makes its threads those of the event loop (`dbos/_dbos.py:2638`), which others use after it is gone.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
