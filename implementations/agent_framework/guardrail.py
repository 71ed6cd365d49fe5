"""Guardrails in Microsoft Agent Framework: middleware around the agent, and around each call of a tool."""

import inspect

from agent_framework import Agent, AgentResponse, Message, agent_middleware, function_middleware, tool
from agent_framework.openai import OpenAIChatCompletionClient

from tasks.base import Model
from tasks.guardrail.spec import GuardrailBrief


async def run(brief: GuardrailBrief, model: Model) -> str:
    @agent_middleware
    async def check_question_and_answer(context, call_next):
        if reason := brief.check_input(context.messages[-1].text):
            context.result = AgentResponse(messages=[Message("assistant", [reason])])
            return
        await call_next()
        if reason := brief.check_output(context.result.text):
            context.result = AgentResponse(messages=[Message("assistant", [reason])])

    @function_middleware
    async def check_call(context, call_next):
        if reason := brief.check_call(context.function.name, context.arguments):
            context.result = reason
            return
        await call_next()

    client = OpenAIChatCompletionClient(
        model.name,
        base_url=model.base_url,
        api_key=model.api_key,
    )
    agent = Agent(
        client,
        brief.instructions,
        # The default keeps the indentation of the source.
        tools=[tool(function, description=inspect.getdoc(function)) for function in brief.tools],
        default_options={"temperature": model.temperature},
        middleware=[check_question_and_answer, check_call],
    )
    response = await agent.run(brief.question)
    return response.messages[-1].text
