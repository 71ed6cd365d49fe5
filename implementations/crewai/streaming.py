"""Streaming in CrewAI: a flow's stream of frames, of the model that its agent asks and of the tools."""

from collections.abc import AsyncIterator

from crewai import LLM, Agent
from crewai.flow import Flow, start
from crewai.tools import tool

from tasks.base import Model
from tasks.streaming.spec import StreamingBrief, ToolEnded, ToolStarted


async def stream(brief: StreamingBrief, model: Model) -> AsyncIterator[str | ToolStarted | ToolEnded]:
    llm = LLM(
        model=model.name,
        custom_openai=True,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        timeout=model.timeout_s,
        stream=True,
    )
    agent = Agent(
        role="assistant",
        goal="Answer the question.",
        backstory=brief.instructions,
        llm=llm,
        tools=[tool(function) for function in brief.tools],
        max_iter=model.max_model_calls,
    )

    class Answer(Flow):
        @start()
        async def ask(self):
            return await agent.kickoff_async(brief.question)

    async with Answer().astream() as frames:
        async for frame in frames:
            match frame.type:
                case "llm_stream_chunk" if not frame.data.get("tool_call"):
                    yield frame.content
                case "tool_usage_started":
                    yield ToolStarted(frame.data["tool_name"])
                case "tool_usage_finished" | "tool_usage_error":
                    yield ToolEnded(frame.data["tool_name"])
    usage = frames.result.usage_metrics
    model.report_usage(input_tokens=usage["prompt_tokens"], output_tokens=usage["completion_tokens"])
