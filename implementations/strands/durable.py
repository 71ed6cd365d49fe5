"""A durable run in Strands Agents: a session that is saved at each message, and each result of a tool kept in it."""

from collections.abc import AsyncGenerator

from strands import Agent, tool
from strands.middleware import ExecuteToolContext, ExecuteToolStage, MiddlewareNext, ToolResultEvent, TypedEvent
from strands.models.openai import OpenAIModel
from strands.session import SnapshotSessionManager
from strands.storage import LocalFileStorage
from strands.tools.executors import SequentialToolExecutor

from tasks.base import Model
from tasks.durable.spec import DurableBrief


async def start(brief: DurableBrief, model: Model) -> str:
    result = await build_agent(brief, model).invoke_async(brief.question)
    return str(result).strip()


async def resume(brief: DurableBrief, model: Model) -> str:
    result = await build_agent(brief, model).invoke_async()  # goes on with the conversation of the session
    return str(result).strip()


def build_agent(brief: DurableBrief, model: Model) -> Agent:
    llm = OpenAIModel(
        client_args={"base_url": model.base_url, "api_key": model.api_key},
        model_id=model.name,
        params={"temperature": model.temperature},
    )
    session = SnapshotSessionManager(brief.thread, storage=LocalFileStorage(str(brief.store)), save_latest_on="message")

    async def make_once(
        context: ExecuteToolContext, next_fn: MiddlewareNext[ExecuteToolContext, TypedEvent]
    ) -> AsyncGenerator[TypedEvent, None]:
        # The results of a turn become a message only together: alone, the session would make all of its calls again.
        results, call = context.agent.state, context.tool_use["toolUseId"]
        if kept := results.get(call):
            yield ToolResultEvent(kept)
            return
        async for event in next_fn(context):
            if isinstance(event, ToolResultEvent):
                results.set(call, event.tool_result)
                await session.save_snapshot(context.agent, is_latest=True)
            yield event

    agent = Agent(
        model=llm,
        system_prompt=brief.instructions,
        tools=[tool(function) for function in brief.tools],
        tool_executor=SequentialToolExecutor(),  # by default, the calls of a turn are made at the same time
        session_manager=session,
        callback_handler=None,  # the default prints every token
    )
    agent.add_middleware(ExecuteToolStage, make_once)
    return agent
