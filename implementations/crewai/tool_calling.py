"""Tool calling in CrewAI: one agent, without a crew."""

from crewai import LLM, Agent
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
    )
    agent = Agent(
        role="assistant",
        goal="Answer the question.",
        backstory=brief.instructions,
        llm=llm,
        tools=[tool(validate_call(function)) for function in brief.tools],  # else nested models arrive as dictionaries
        max_iter=model.max_model_calls,
        use_better_compaction=False,  # else a long tool result goes into a file, to be read piece by piece
    )
    result = await agent.kickoff_async(brief.question)
    model.report_usage(
        input_tokens=result.usage_metrics["prompt_tokens"],
        output_tokens=result.usage_metrics["completion_tokens"],
    )
    return result.raw
