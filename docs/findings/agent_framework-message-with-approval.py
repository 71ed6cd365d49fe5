r"""Microsoft Agent Framework: a message given together with an approval comes between the call and its result.

Somebody who denies a call wants to say why, and sends a text along with the response. What goes to the model is then
the call, the text, the result. OpenAI's server refuses that with 400: results must follow their calls. The result
should stand next to the call, before the text.

agent-framework-core 1.23.0: responses of a batch are taken out of the messages and appended after all of them
(agent_framework/_tools.py:5383). A text in the same message as the response is treated alike. What helps is to pass the
text with `enqueue_messages` and `MessageInjectionMiddleware`.

uv run --with agent-framework-core==1.23.0,agent-framework-openai==1.17.0 \
    docs/findings/agent_framework-message-with-approval.py
"""

import asyncio
import json

import httpx2
from agent_framework import Agent, Message, tool
from agent_framework.openai import OpenAIChatCompletionClient
from openai import AsyncOpenAI


def model(request: httpx2.Request) -> httpx2.Response:
    messages = json.loads(request.content)["messages"]
    print([message["role"] for message in messages])  # at last ['user', 'assistant', 'user', 'tool']
    call = {"id": "call_1", "type": "function", "function": {"name": "refund", "arguments": '{"amount": 80}'}}
    message = {"role": "assistant", "content": "Done.", "tool_calls": [call] if len(messages) == 1 else None}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return httpx2.Response(200, json={"id": "1", "created": 0, "model": "m", "choices": [choice]})


@tool(approval_mode="always_require")
def refund(amount: float) -> str:
    return "ok"


async def main() -> None:
    server = httpx2.AsyncClient(transport=httpx2.MockTransport(model))
    client = OpenAIChatCompletionClient("m", async_client=AsyncOpenAI(api_key="-", http_client=server))
    agent = Agent(client, tools=[refund])
    session = agent.create_session()
    [request] = (await agent.run("Refund 80 EUR.", session=session)).user_input_requests
    response = request.to_function_approval_response(approved=False)
    await agent.run([Message("user", [response]), Message("user", ["That is too much."])], session=session)


asyncio.run(main())
