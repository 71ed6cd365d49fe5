"""Tool calling in CrewAI, hardened: replies that are not whole are refused where they arrive, and asked for again."""

import json

from crewai import LLM, Agent
from crewai.llms.hooks.base import BaseInterceptor
from crewai.tools import tool
from pydantic import validate_call

from tasks.base import Model
from tasks.tool_calling.spec import ToolCallingBrief


async def run(brief: ToolCallingBrief, model: Model) -> str:
    llm = LLM(
        model=model.name,
        custom_openai=True,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        timeout=model.timeout_s,
        interceptor=OnlyWhole(),
    )
    agent = Agent(
        role="assistant",
        goal="Answer the question.",
        backstory=brief.instructions,
        llm=llm,
        tools=[tool(validate_call(function)) for function in brief.tools],  # else nested models arrive as dictionaries
        max_iter=model.max_model_calls,
        use_better_compaction=False,  # else a long tool result goes into a file, to be read piece by piece
        respect_context_window=False,  # else it is summarised as soon as it exceeds what CrewAI takes for the window
    )
    result = await agent.kickoff_async(brief.question)
    model.report_usage(
        input_tokens=result.usage_metrics["prompt_tokens"],
        output_tokens=result.usage_metrics["completion_tokens"],
    )
    return result.raw


class OnlyWhole(BaseInterceptor):
    """What is raised here, the client takes for a failed connection: it tries twice more."""

    def on_outbound(self, message):
        return message

    def on_inbound(self, message):
        if message.status_code == 200:
            choice = json.loads(message.read())["choices"][0]
            if choice["finish_reason"] in ("length", "content_filter"):
                raise ValueError(f"the reply ended with {choice['finish_reason']}")
            if not (choice["message"].get("tool_calls") or choice["message"].get("content")):
                raise ValueError("the reply is empty")
        return message
