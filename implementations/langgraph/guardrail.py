"""Guardrails in LangGraph: middleware before the agent, around its tools and after it."""

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, after_agent, before_agent, wrap_tool_call
from langchain_core.messages import AIMessage, ToolMessage
from langchain_openai import ChatOpenAI

from tasks.base import Model
from tasks.guardrail.spec import GuardrailBrief


async def run(brief: GuardrailBrief, model: Model) -> str:
    llm = ChatOpenAI(
        model=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    agent = create_agent(
        llm,
        brief.tools,
        system_prompt=brief.instructions,
        middleware=guardrails(brief),
    )
    result = await agent.ainvoke({"messages": [{"role": "user", "content": brief.question}]})
    return result["messages"][-1].text


def guardrails(brief: GuardrailBrief) -> list[AgentMiddleware]:
    @before_agent(can_jump_to=["end"])
    def guard_input(state, runtime):
        if reason := brief.check_input(state["messages"][-1].text):
            return {"messages": [AIMessage(reason)], "jump_to": "end"}

    @wrap_tool_call
    async def guard_calls(request, handler):
        call = request.tool_call
        if reason := brief.check_call(call["name"], call["args"]):
            return ToolMessage(reason, tool_call_id=call["id"], name=call["name"], status="error")
        return await handler(request)

    @after_agent
    def guard_output(state, runtime):
        answer = state["messages"][-1]
        if reason := brief.check_output(answer.text):
            return {"messages": [AIMessage(reason, id=answer.id)]}  # the same id: in place of the answer

    return [guard_input, guard_calls, guard_output]
