"""Tool calling in Agent Framework, hardened: a chat middleware asks again, and errors in a row end the loop."""

import inspect
import json

from agent_framework import Agent, chat_middleware, tool
from agent_framework.exceptions import ChatClientException, ChatClientInvalidResponseException
from agent_framework.openai import OpenAIChatCompletionClient
from pydantic import validate_call

from tasks.base import Model
from tasks.tool_calling.spec import ToolCallingBrief


@chat_middleware
async def ask_again(context, call_next):
    for attempt in range(4):
        try:
            await call_next()
        except ChatClientException as error:
            # A body that is no JSON; everything else the client has retried.
            if attempt == 3 or not isinstance(error.__cause__, ValueError):
                raise
        else:
            said = any(message.contents for message in context.result.messages)
            if said and context.result.finish_reason not in ("length", "content_filter"):
                return
    raise ChatClientInvalidResponseException(f"no whole reply: {context.result.finish_reason}")


async def run(brief: ToolCallingBrief, model: Model) -> str:
    client = OpenAIChatCompletionClient(
        model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        middleware=[ask_again],
    )
    # After the last round of tools comes one more call, which must be the answer.
    client.function_invocation_configuration["max_iterations"] = model.max_model_calls - 1
    # One more than the default, which takes the tools away: a tool that refuses a request counts, too.
    client.function_invocation_configuration["max_consecutive_errors_per_request"] = 4
    # The default hides what went wrong from the model.
    client.function_invocation_configuration["include_detailed_errors"] = True
    tools = [
        tool(
            validate_call(function),  # else nested models stay dictionaries
            description=inspect.getdoc(function),  # the default keeps the indentation of the source
            # The default escapes everything that is not ASCII.
            result_parser=lambda result: json.dumps(result, ensure_ascii=False),
        )
        for function in brief.tools
    ]
    agent = Agent(
        client,
        brief.instructions,
        tools=tools,
        default_options={"temperature": model.temperature},
    )
    response = await agent.run(brief.question)
    model.report_usage(
        input_tokens=response.usage_details.get("input_token_count"),
        output_tokens=response.usage_details.get("output_token_count"),
    )
    return response.messages[-1].text
