"""Approval in LlamaIndex: a tool waits for an event, and until it comes a file has the context of the run."""

import inspect
import json

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.memory import Memory
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import validate_call
from workflows import Context
from workflows.events import HumanResponseEvent, InputRequiredEvent, WorkflowIdleEvent

from tasks.approval.spec import ApprovalBrief, Decision, Paused, Waiting
from tasks.base import Model, Tool


async def start(brief: ApprovalBrief, model: Model) -> str | Paused:
    handler = refund_desk(brief, model).run(
        user_msg=brief.question,
        memory=memory(brief),
        max_iterations=model.max_model_calls + 1,  # at its limit the workflow raises before it looks at the response
    )
    waiting = []
    async for event in handler.stream_events(expose_internal=True):
        if isinstance(event, InputRequiredEvent):
            waiting.append(Waiting(event.tool, event.arguments))
        if isinstance(event, WorkflowIdleEvent):  # what else there was to do is done
            (brief.store / f"{brief.thread}.json").write_text(json.dumps(handler.ctx.to_dict()))
            await handler.cancel_run()
            return Paused(waiting)
    return str(await handler)


async def resume(brief: ApprovalBrief, model: Model, decision: Decision) -> str:
    agent = refund_desk(brief, model)
    context = json.loads((brief.store / f"{brief.thread}.json").read_text())
    handler = agent.run(ctx=Context.from_dict(agent, context))
    # The context is written without its memory. Set before the run, it would be lost once more.
    await handler.ctx.store.set("memory", memory(brief))
    handler.ctx.send_event(HumanResponseEvent(decision=decision))
    return str(await handler)


def refund_desk(brief: ApprovalBrief, model: Model) -> FunctionAgent:
    llm = OpenAILike(
        model=model.name,
        api_base=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        is_chat_model=True,
        is_function_calling_model=True,
    )
    tools = [function_tool(tool) for tool in brief.tools]
    return FunctionAgent(
        llm=llm,
        system_prompt=brief.instructions,
        tools=[gated(tool) if tool.metadata.name in brief.gated else tool for tool in tools],
    )


def memory(brief: ApprovalBrief) -> Memory:
    return Memory.from_defaults(
        session_id=brief.thread,
        async_database_uri=f"sqlite+aiosqlite:///{brief.store / 'memory.sqlite'}",
    )


def gated(tool: FunctionTool) -> FunctionTool:
    async def ask_first(ctx: Context, **arguments):
        response = await ctx.wait_for_event(
            HumanResponseEvent,
            waiter_event=InputRequiredEvent(tool=tool.metadata.name, arguments=arguments),
            timeout=None,  # the default is about half an hour
        )
        match response.decision.verdict:
            case "deny":
                return f"Not done: {response.decision.reason}"
            case "edit":
                arguments = response.decision.arguments
        return (await tool.acall(**arguments)).content

    return FunctionTool(async_fn=ask_first, metadata=tool.metadata)


def function_tool(tool: Tool) -> FunctionTool:
    return FunctionTool.from_defaults(
        validate_call(tool),  # the agent passes JSON values on as they come
        description=inspect.getdoc(tool),
        # By default the model gets a Python repr, and of an empty list nothing at all.
        callback=lambda result: json.dumps(result, ensure_ascii=False),
    )
