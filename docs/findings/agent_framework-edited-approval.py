r"""Microsoft Agent Framework: a call that a person edited is made as it was, and nothing says so.

A response to an approval request may hold a call with other arguments. The original ones are run, without an error or a
warning. The arguments should be run that were approved, or the response refused.

agent-framework-core 1.23.0: the response is bound to the recorded call, whatever call it holds
(agent_framework/_tools.py:3178); only an id that does not match is warned of (agent_framework/_tools.py:3277).

uv run --with agent-framework-core==1.23.0,agent-framework-openai==1.17.0 \
    docs/findings/agent_framework-edited-approval.py
"""

import asyncio
import json

import httpx2
from agent_framework import Agent, Message, tool
from agent_framework.openai import OpenAIChatCompletionClient
from openai import AsyncOpenAI


def model(request: httpx2.Request) -> httpx2.Response:
    done = json.loads(request.content)["messages"][-1]["role"] == "tool"
    call = {"id": "call_1", "type": "function", "function": {"name": "refund", "arguments": '{"amount": 80}'}}
    message = {"role": "assistant", "content": "Done.", "tool_calls": None if done else [call]}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return httpx2.Response(200, json={"id": "1", "created": 0, "model": "m", "choices": [choice]})


@tool(approval_mode="always_require")
def refund(amount: float) -> str:
    print(f"refunded: {amount}")
    return "ok"


async def main() -> None:
    server = httpx2.AsyncClient(transport=httpx2.MockTransport(model))
    client = OpenAIChatCompletionClient("m", async_client=AsyncOpenAI(api_key="-", http_client=server))
    agent = Agent(client, tools=[refund])
    session = agent.create_session()
    [request] = (await agent.run("Refund 80 EUR.", session=session)).user_input_requests
    response = request.to_function_approval_response(approved=True)
    response.function_call.arguments = '{"amount": 55}'
    await agent.run(Message("user", [response]), session=session)  # prints 80.0


asyncio.run(main())
