"""A conversation in Microsoft Agent Framework: one agent, the chat client's function loop, and a session."""

import inspect

from agent_framework import Agent, tool
from agent_framework.openai import OpenAIChatCompletionClient
from pydantic import validate_call

from tasks.base import Model
from tasks.conversation import ConversationBrief


async def run(brief: ConversationBrief, model: Model) -> str:
    client = OpenAIChatCompletionClient(
        model.name,
        base_url=model.base_url,
        api_key=model.api_key,
    )
    # After the last round of tools comes one more call, which must be the answer.
    client.function_invocation_configuration["max_iterations"] = model.max_model_calls - 1
    # The default takes the tools away after three turns in a row with an error.
    client.function_invocation_configuration["max_consecutive_errors_per_request"] = model.max_model_calls
    # The default hides what went wrong from the model.
    client.function_invocation_configuration["include_detailed_errors"] = True
    tools = [
        tool(
            validate_call(function),  # else nested models stay dictionaries
            description=inspect.getdoc(function),  # the default keeps the indentation of the source
        )
        for function in brief.tools
    ]
    agent = Agent(
        client,
        brief.instructions,
        tools=tools,
        default_options={"temperature": model.temperature},
    )
    session = agent.create_session()
    usages = []  # for report_usage
    for message in brief.messages:
        response = await agent.run(message, session=session)
        usages.append(response.usage_details)  # for report_usage
    model.report_usage(
        input_tokens=sum(usage.get("input_token_count") or 0 for usage in usages),
        output_tokens=sum(usage.get("output_token_count") or 0 for usage in usages),
    )
    return response.messages[-1].text
