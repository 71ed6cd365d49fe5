"""A durable run in LlamaIndex: after each step a file has the context of the run, and a database its memory."""

import inspect
import json

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.memory import Memory
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import validate_call
from workflows import Context
from workflows.events import StepState, StepStateChanged
from workflows.handler import WorkflowHandler

from tasks.base import Model, Tool
from tasks.durable.spec import DurableBrief


async def start(brief: DurableBrief, model: Model) -> str:
    handler = travel_desk(brief, model).run(
        user_msg=brief.question,
        memory=memory(brief),
        max_iterations=model.max_model_calls + 1,  # at its limit the workflow raises before it looks at the response
    )
    return await checkpointed(handler, brief)


async def resume(brief: DurableBrief, model: Model) -> str:
    checkpoint = brief.store / f"{brief.thread}.json"
    if not checkpoint.exists():
        return await start(brief, model)
    agent = travel_desk(brief, model)
    handler = agent.run(ctx=Context.from_dict(agent, json.loads(checkpoint.read_text())))
    # The context is written without its memory. Set before the run, it would be lost once more.
    await handler.ctx.store.set("memory", memory(brief))
    return await checkpointed(handler, brief)


async def checkpointed(handler: WorkflowHandler, brief: DurableBrief) -> str:
    async for event in handler.stream_events(expose_internal=True):
        if isinstance(event, StepStateChanged) and event.step_state == StepState.NOT_RUNNING:
            written = brief.store / f"{brief.thread}.json.new"
            written.write_text(json.dumps(handler.ctx.to_dict()))
            written.rename(brief.store / f"{brief.thread}.json")
    return str(await handler)


def travel_desk(brief: DurableBrief, model: Model) -> FunctionAgent:
    llm = OpenAILike(
        model=model.name,
        api_base=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        is_chat_model=True,
        is_function_calling_model=True,
    )
    return FunctionAgent(
        llm=llm,
        system_prompt=brief.instructions,
        tools=[function_tool(tool) for tool in brief.tools],
    )


def memory(brief: DurableBrief) -> Memory:
    return Memory.from_defaults(
        session_id=brief.thread,
        async_database_uri=f"sqlite+aiosqlite:///{brief.store / 'memory.sqlite'}",
    )


def function_tool(tool: Tool) -> FunctionTool:
    return FunctionTool.from_defaults(
        validate_call(tool),  # the agent passes JSON values on as they come
        description=inspect.getdoc(tool),
        # By default the model gets a Python repr, and of an empty list nothing at all.
        callback=lambda result: json.dumps(result, ensure_ascii=False),
    )
