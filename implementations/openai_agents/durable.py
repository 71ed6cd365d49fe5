"""Durable runs of the OpenAI Agents SDK with DBOS, as its documentation has it: answers and results are kept."""

from collections.abc import Awaitable, Callable

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, RunConfig, ToolExecutionConfig, function_tool
from dbos import DBOS, DBOSConfig, SetWorkflowID
from dbos_openai_agents import DBOSRunner
from openai import AsyncOpenAI

from tasks.base import Model
from tasks.durable.spec import DurableBrief


async def start(brief: DurableBrief, model: Model) -> str:
    book_trip = launched(brief, model)
    with SetWorkflowID(brief.thread):
        return await book_trip(brief.question)


async def resume(brief: DurableBrief, model: Model) -> str:
    launched(brief, model)  # which recovers what is unfinished
    workflow = await DBOS.retrieve_workflow_async(brief.thread)
    return await workflow.get_result()


def launched(brief: DurableBrief, model: Model) -> Callable[[str], Awaitable[str]]:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        name="travel agent",
        instructions=brief.instructions,
        model=OpenAIChatCompletionsModel(model=model.name, openai_client=client),
        model_settings=ModelSettings(temperature=model.temperature),
        tools=[function_tool(DBOS.step()(tool)) for tool in brief.tools],
    )
    # One tool after the other: each result is kept before the next tool begins.
    run_config = RunConfig(tool_execution=ToolExecutionConfig(max_function_tool_concurrency=1))

    @DBOS.workflow()
    async def book_trip(question: str) -> str:
        result = await DBOSRunner.run(agent, question, max_turns=model.max_model_calls, run_config=run_config)
        return result.final_output

    config: DBOSConfig = {"name": "trips", "system_database_url": f"sqlite:///{brief.store / 'dbos.sqlite'}"}
    DBOS(config=config)
    DBOS.launch()
    return book_trip
