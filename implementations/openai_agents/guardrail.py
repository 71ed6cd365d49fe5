"""Guardrails in the OpenAI Agents SDK: on the input, on calls of tools, and on the output."""

import json

from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrailTripwireTriggered,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OutputGuardrailTripwireTriggered,
    Runner,
    ToolGuardrailFunctionOutput,
    function_tool,
    input_guardrail,
    output_guardrail,
    tool_input_guardrail,
)
from openai import AsyncOpenAI

from tasks.base import Model
from tasks.guardrail.spec import GuardrailBrief


async def run(brief: GuardrailBrief, model: Model) -> str:
    @input_guardrail(run_in_parallel=False)  # by default the model is asked meanwhile
    def question_rule(context, agent, question) -> GuardrailFunctionOutput:
        reason = brief.check_input(question)
        return GuardrailFunctionOutput(output_info=reason, tripwire_triggered=reason is not None)

    @tool_input_guardrail
    def call_rule(data) -> ToolGuardrailFunctionOutput:
        reason = brief.check_call(data.context.tool_name, json.loads(data.context.tool_arguments))
        return ToolGuardrailFunctionOutput.reject_content(reason) if reason else ToolGuardrailFunctionOutput.allow()

    @output_guardrail
    def answer_rule(context, agent, answer) -> GuardrailFunctionOutput:
        reason = brief.check_output(answer)
        return GuardrailFunctionOutput(output_info=reason, tripwire_triggered=reason is not None)

    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        name="bank clerk",
        instructions=brief.instructions,
        model=OpenAIChatCompletionsModel(model=model.name, openai_client=client),
        model_settings=ModelSettings(temperature=model.temperature),
        tools=[function_tool(tool, tool_input_guardrails=[call_rule]) for tool in brief.tools],
        input_guardrails=[question_rule],
        output_guardrails=[answer_rule],
    )
    try:
        result = await Runner.run(agent, brief.question, max_turns=model.max_model_calls)
    except (InputGuardrailTripwireTriggered, OutputGuardrailTripwireTriggered) as blocked:
        return blocked.guardrail_result.output.output_info
    return result.final_output
