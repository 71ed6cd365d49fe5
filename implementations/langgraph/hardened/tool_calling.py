"""Tool calling in LangGraph, hardened: replies that are not whole are refused and asked for again."""

from langchain.agents import create_agent
from langchain.agents.middleware import (
    ModelCallLimitMiddleware,
    ModelRetryMiddleware,
    ToolErrorMiddleware,
    wrap_model_call,
)
from langchain_openai import ChatOpenAI

from tasks.base import Model
from tasks.tool_calling.spec import ToolCallingBrief


async def run(brief: ToolCallingBrief, model: Model) -> str:
    llm = ChatOpenAI(
        model=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    agent = create_agent(
        llm,
        brief.tools,
        system_prompt=brief.instructions,
        middleware=[
            # Without it, a tool that raises ends the run and the model never hears of it.
            ToolErrorMiddleware(lambda error, request: f"Error: {error}"),
            ModelCallLimitMiddleware(run_limit=model.max_model_calls, exit_behavior="error"),
            # What is no JSON, and what `only_whole` refuses. Errors of the server the client has retried already.
            ModelRetryMiddleware(retry_on=(ValueError,), on_failure="error"),
            only_whole,
        ],
    )
    result = await agent.ainvoke({"messages": [{"role": "user", "content": brief.question}]})
    model.report_usage(
        input_tokens=sum(
            m.usage_metadata["input_tokens"] for m in result["messages"] if m.type == "ai" and m.usage_metadata
        ),
        output_tokens=sum(
            m.usage_metadata["output_tokens"] for m in result["messages"] if m.type == "ai" and m.usage_metadata
        ),
    )
    return result["messages"][-1].text


@wrap_model_call
async def only_whole(request, handler):
    response = await handler(request)
    reply = response.result[-1]
    finish_reason = reply.response_metadata.get("finish_reason")
    if finish_reason in ("length", "content_filter"):
        raise ValueError(f"the reply ended with {finish_reason}")
    # Otherwise calls that cannot be read are left out, and what is left passes for an answer.
    if reply.invalid_tool_calls or not (reply.tool_calls or reply.text):
        raise ValueError("the reply is empty, or its calls cannot be read")
    return response
