"""Guardrails in Pydantic AI: capabilities for the question, calls of tools and the answer, of pydantic-ai-harness."""

from pydantic_ai import Agent, ModelSettings
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai_harness import GuardrailResult, InputGuardrail, OutputBlocked, OutputGuardrail, ToolGuardrail
from pydantic_ai_harness.guardrails import ToolCallInfo

from tasks.base import Model
from tasks.guardrail.spec import GuardrailBrief


async def run(brief: GuardrailBrief, model: Model) -> str:
    provider = OpenAICompatibleProvider("bakeoff", base_url=model.base_url, api_key=model.api_key)

    def guard_input(question: str) -> GuardrailResult:
        return verdict(brief.check_input(question))

    def guard_call(call: ToolCallInfo) -> GuardrailResult:
        return verdict(brief.check_call(call.name, dict(call.args)))

    def guard_output(answer: object) -> GuardrailResult:
        return verdict(brief.check_output(str(answer)))

    agent = Agent(
        OpenAIChatModel(model.name, provider=provider),
        instructions=brief.instructions,
        model_settings=ModelSettings(temperature=model.temperature),
        tools=brief.tools,
        capabilities=[
            InputGuardrail(guard=guard_input),
            ToolGuardrail(guard=guard_call),
            OutputGuardrail(guard=guard_output),
        ],
    )
    try:
        result = await agent.run(brief.question)
    except OutputBlocked as blocked:
        return str(blocked)
    return result.output


def verdict(reason: str | None) -> GuardrailResult:
    return GuardrailResult.block(reason) if reason else GuardrailResult.allow()
