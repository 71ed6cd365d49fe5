"""A conversation in Strands Agents: one agent, which keeps its messages."""

from pydantic import validate_call
from strands import Agent, tool
from strands.agent.conversation_manager import NullConversationManager
from strands.models.openai import OpenAIModel

from tasks.base import Model
from tasks.conversation import ConversationBrief


async def run(brief: ConversationBrief, model: Model) -> str:
    llm = OpenAIModel(
        client_args={"base_url": model.base_url, "api_key": model.api_key},
        model_id=model.name,
        params={"temperature": model.temperature},
    )
    agent = Agent(
        model=llm,
        system_prompt=brief.instructions,
        tools=[tool(validate_call(function)) for function in brief.tools],  # else nested models arrive as dictionaries
        conversation_manager=NullConversationManager(),  # the default keeps the last 40 messages
        callback_handler=None,  # the default prints every token
    )
    for message in brief.messages:
        result = await agent.invoke_async(message)
    model.report_usage(
        input_tokens=result.metrics.accumulated_usage["inputTokens"],
        output_tokens=result.metrics.accumulated_usage["outputTokens"],
    )
    return str(result).strip()
