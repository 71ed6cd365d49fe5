"""Tool calling in Strands Agents: one agent, and its event loop."""

from pydantic import validate_call
from strands import Agent, tool
from strands.models.openai import OpenAIModel

from tasks.base import Model
from tasks.tool_calling.spec import ToolCallingBrief


async def run(brief: ToolCallingBrief, model: Model) -> str:
    llm = OpenAIModel(
        client_args={"base_url": model.base_url, "api_key": model.api_key},
        model_id=model.name,
        params={"temperature": model.temperature},
    )
    agent = Agent(
        model=llm,
        system_prompt=brief.instructions,
        tools=[tool(validate_call(function)) for function in brief.tools],  # else nested models arrive as dictionaries
        callback_handler=None,  # the default prints every token
    )
    result = await agent.invoke_async(brief.question, limits={"turns": model.max_model_calls})
    model.report_usage(
        input_tokens=result.metrics.accumulated_usage["inputTokens"],
        output_tokens=result.metrics.accumulated_usage["outputTokens"],
    )
    if result.stop_reason == "limit_turns":  # the loop stops without an answer and without an exception
        raise RuntimeError(f"no answer after {model.max_model_calls} model calls")
    return str(result).strip()
