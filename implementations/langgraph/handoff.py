"""Handoff in LangGraph: one node an agent, and tools that return a `Command` to another node."""

from langchain.agents import create_agent
from langchain.agents.middleware import ToolErrorMiddleware
from langchain.tools import ToolRuntime, tool
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command

from tasks.base import Model
from tasks.handoff.spec import AgentSpec, HandoffBrief


async def run(brief: HandoffBrief, model: Model) -> str:
    llm = ChatOpenAI(
        model=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        # A transfer discards the results of tools called in the same turn: let the model make one call a turn.
        model_kwargs={"parallel_tool_calls": False},
    )
    transfers = {spec.name: transfer_to(spec) for spec in brief.agents}
    desk = StateGraph(MessagesState)
    for spec in brief.agents:
        agent = create_agent(
            llm,
            [*spec.tools, *(transfers[name] for name in spec.handoffs)],
            system_prompt=spec.instructions,
            name=spec.name,
            # Without it, a tool that raises ends the run and the model never hears of it.
            middleware=[ToolErrorMiddleware(lambda error, request: f"Error: {error}")],
        )
        desk.add_node(spec.name, agent, destinations=tuple(spec.handoffs))
    desk.add_edge(START, brief.entry)
    result = await desk.compile().ainvoke({"messages": [{"role": "user", "content": brief.question}]})
    model.report_usage(
        input_tokens=sum(
            m.usage_metadata["input_tokens"] for m in result["messages"] if m.type == "ai" and m.usage_metadata
        ),
        output_tokens=sum(
            m.usage_metadata["output_tokens"] for m in result["messages"] if m.type == "ai" and m.usage_metadata
        ),
    )
    return result["messages"][-1].text


def transfer_to(spec: AgentSpec) -> BaseTool:
    description = f"Handoff to the {spec.name} agent to handle the request. {spec.description}"

    @tool(f"transfer_to_{spec.name}", description=description)
    def transfer(runtime: ToolRuntime) -> Command:
        done = ToolMessage(f"Transferred to {spec.name}.", tool_call_id=runtime.tool_call_id)
        messages = [*runtime.state["messages"], done]
        return Command(goto=spec.name, graph=Command.PARENT, update={"messages": messages})

    return transfer
