"""A conversation in LangGraph: LangChain's prebuilt agent graph, whose checkpointer keeps the thread."""

from langchain.agents import create_agent
from langchain.agents.middleware import ModelCallLimitMiddleware, ToolErrorMiddleware
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver

from tasks.base import Model
from tasks.conversation import ConversationBrief


async def run(brief: ConversationBrief, model: Model) -> str:
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
        middleware=[
            # Without it, a tool that raises ends the run and the model never hears of it.
            ToolErrorMiddleware(lambda error, request: f"Error: {error}"),
            ModelCallLimitMiddleware(thread_limit=model.max_model_calls, exit_behavior="error"),
        ],
        checkpointer=InMemorySaver(),
    )
    for message in brief.messages:
        result = await agent.ainvoke(
            {"messages": [{"role": "user", "content": message}]},
            {"configurable": {"thread_id": "conversation"}},
        )
    model.report_usage(
        input_tokens=sum(
            m.usage_metadata["input_tokens"] for m in result["messages"] if m.type == "ai" and m.usage_metadata
        ),
        output_tokens=sum(
            m.usage_metadata["output_tokens"] for m in result["messages"] if m.type == "ai" and m.usage_metadata
        ),
    )
    return result["messages"][-1].text
