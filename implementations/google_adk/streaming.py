"""Streaming in Google ADK: the runner's events, of which those that are partial hold pieces of the answer."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from google.adk.agents import LlmAgent, RunConfig
from google.adk.agents.run_config import StreamingMode
from google.adk.integrations.openai import OpenAILlm
from google.adk.runners import InMemoryRunner
from google.genai import types

from tasks.base import Model
from tasks.streaming.spec import StreamingBrief, ToolEnded, ToolStarted


async def stream(brief: StreamingBrief, model: Model) -> AsyncGenerator[str | ToolStarted | ToolEnded]:
    agent = LlmAgent(
        name="assistant",
        model=OpenAILlm(model=model.name, base_url=model.base_url, api_key=model.api_key),
        instruction=lambda context: brief.instructions,  # a plain text would be a template
        tools=brief.tools,
        generate_content_config=types.GenerateContentConfig(temperature=model.temperature),
        # Without it, a tool that raises ends the run and the model never hears of it.
        on_tool_error_callback=lambda tool, args, tool_context, error: {"error": str(error)},
    )
    runner = InMemoryRunner(agent)
    session = await runner.session_service.create_session(app_name=runner.app_name, user_id="user")
    run = runner.run_async(
        user_id=session.user_id,
        session_id=session.id,
        new_message=types.UserContent(brief.question),
        run_config=RunConfig(max_llm_calls=model.max_model_calls, streaming_mode=StreamingMode.SSE),
    )
    usages = []
    async with aclosing(run):  # closing the runner's events cancels the agent, and with it the model's call
        async for event in run:
            if event.partial:
                for part in event.content.parts:
                    if part.text:
                        yield part.text
                continue
            for call in event.get_function_calls():
                yield ToolStarted(call.name)
            for response in event.get_function_responses():
                yield ToolEnded(response.name)
            if event.usage_metadata:
                usages.append(event.usage_metadata)
    model.report_usage(
        input_tokens=sum(usage.prompt_token_count or 0 for usage in usages),
        output_tokens=sum(usage.candidates_token_count or 0 for usage in usages),
    )
