"""Guardrails in CrewAI: hooks on a crew's inputs and around its tools, and a guardrail on what its task gives."""

from crewai import LLM, Agent, Crew, Task
from crewai.hooks import HookAborted, InterceptionPoint, ToolCallHookContext
from crewai.hooks.contexts import InputContext
from crewai.hooks.dispatch import scoped_hooks
from crewai.tools import tool

from tasks.base import Model
from tasks.guardrail.spec import GuardrailBrief


async def run(brief: GuardrailBrief, model: Model) -> str:
    llm = LLM(
        model=model.name,
        custom_openai=True,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        timeout=model.timeout_s,
    )
    agent = Agent(
        role="assistant",
        goal="Answer the question.",
        backstory=brief.instructions,
        llm=llm,
        tools=[tool(function) for function in brief.tools],
        max_iter=model.max_model_calls,
    )

    def guard_input(context: InputContext) -> None:
        if reason := brief.check_input(context.inputs["question"]):
            raise HookAborted(reason)

    def guard_call(context: ToolCallHookContext) -> bool:
        return brief.check_call(context.tool_name, context.tool_input) is None

    def tell_reason(context: ToolCallHookContext) -> str | None:
        # What is returned is the call's result. By itself, the model would be told that a hook blocked it, but not why.
        return brief.check_call(context.tool_name, context.tool_input)

    task = Task(
        description="{question}",
        expected_output="The answer to the customer.",
        agent=agent,
        guardrail=lambda output: (True, brief.check_output(output.raw) or output.raw),
    )
    crew = Crew(agents=[agent], tasks=[task])
    hooks = {
        InterceptionPoint.INPUT: [guard_input],
        InterceptionPoint.PRE_TOOL_CALL: [guard_call],
        InterceptionPoint.POST_TOOL_CALL: [tell_reason],
    }
    with scoped_hooks(hooks):  # registered ones are for all crews of the process
        try:
            result = await crew.kickoff_async(inputs={"question": brief.question})
        except HookAborted as blocked:
            return blocked.reason
    return result.raw
