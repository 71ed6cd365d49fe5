"""Handoff in Pydantic AI: output functions, which end an agent's run with the answer of another agent."""

from typing import Any

from pydantic_ai import Agent, ModelSettings, RunContext, ToolFailed, ToolOutput, UsageLimits
from pydantic_ai.capabilities import Hooks
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from tasks.base import Model
from tasks.handoff.spec import HandoffBrief


async def run(brief: HandoffBrief, model: Model) -> str:
    provider = OpenAICompatibleProvider("bakeoff", base_url=model.base_url, api_key=model.api_key)
    llm = OpenAIChatModel(model.name, provider=provider)
    descriptions = {spec.name: spec.description for spec in brief.agents}

    def transfer_to(name: str) -> ToolOutput[str]:
        async def transfer(ctx: RunContext, request: str) -> str:
            # Without the last message: it holds the call of this function, which has no result yet.
            conversation = ctx.messages[:-1]
            result = await agents[name].run(
                request, message_history=conversation, usage=ctx.usage, usage_limits=ctx.usage_limits
            )
            return result.output

        description = f"Handoff to the {name} agent to handle the request. {descriptions[name]}"
        return ToolOutput(transfer, name=f"transfer_to_{name}", description=description)

    agents = {
        spec.name: Agent(
            llm,
            name=spec.name,
            instructions=spec.instructions,
            model_settings=ModelSettings(temperature=model.temperature),
            tools=spec.tools,
            output_type=[str, *map(transfer_to, spec.handoffs)],
            retries=model.max_model_calls,  # the default ends the run at a tool's second wrong call in a row
            capabilities=[Hooks(tool_execute_error=tell_the_model)],
        )
        for spec in brief.agents
    }
    result = await agents[brief.entry].run(
        brief.question, usage_limits=UsageLimits(request_limit=model.max_model_calls)
    )
    model.report_usage(input_tokens=result.usage.input_tokens, output_tokens=result.usage.output_tokens)
    return result.output


def tell_the_model(ctx: RunContext, *, error: Exception, **call: Any) -> None:
    raise ToolFailed(str(error))  # any other exception ends the run
