"""Guardrails in Agno: a guardrail before the agent, a hook around its tools and one after it."""

from agno.agent import Agent
from agno.exceptions import InputCheckError
from agno.guardrails import BaseGuardrail
from agno.models.openai import OpenAILike
from agno.run.base import RunStatus

from tasks.base import Model
from tasks.guardrail.spec import GuardrailBrief


async def run(brief: GuardrailBrief, model: Model) -> str:
    class QuestionGuardrail(BaseGuardrail):
        def check(self, run_input):
            if reason := brief.check_input(run_input.input_content_string()):
                raise InputCheckError(reason)

        async def async_check(self, run_input):
            self.check(run_input)

    async def guard_call(function_name, function_call, arguments):
        if reason := brief.check_call(function_name, arguments):
            return reason
        return await function_call(**arguments)

    def guard_answer(run_output):
        # An `OutputCheckError` would end the run as an error, but leave the answer in its content.
        if reason := brief.check_output(run_output.content):
            run_output.content = reason

    llm = OpenAILike(
        id=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    agent = Agent(
        model=llm,
        instructions=brief.instructions,
        tools=brief.tools,
        pre_hooks=[QuestionGuardrail()],
        tool_hooks=[guard_call],
        post_hooks=[guard_answer],
        telemetry=False,
    )
    result = await agent.arun(brief.question)
    # A question that is let in becomes a message; of one that is not, the reason is the content.
    if result.status != RunStatus.completed and result.messages:
        raise RuntimeError(result.content)
    return result.content
