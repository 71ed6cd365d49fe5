"""Question answering over documents in LangGraph: a vector store behind a retriever tool."""

from langchain.agents import create_agent
from langchain.agents.middleware import ModelCallLimitMiddleware, ToolErrorMiddleware
from langchain_core.documents import Document
from langchain_core.tools import create_retriever_tool
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from tasks.base import Model
from tasks.rag_qa.spec import RagQaBrief


async def run(brief: RagQaBrief, model: Model) -> str:
    llm = ChatOpenAI(
        model=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    embeddings = OpenAIEmbeddings(
        model=model.embedding_name,
        base_url=model.base_url,
        api_key=model.api_key,
        check_embedding_ctx_length=False,  # else it sends token numbers, after a download of their table
    )
    documents = [Document(document.passage) for document in brief.documents]
    store = await InMemoryVectorStore.afrom_documents(documents, embeddings)
    search = create_retriever_tool(
        store.as_retriever(search_kwargs={"k": brief.k}),
        brief.search_tool_name,
        brief.search_tool_description,
    )
    agent = create_agent(
        llm,
        [search],
        system_prompt=brief.instructions,
        middleware=[
            # Without it, a tool that raises ends the run and the model never hears of it.
            ToolErrorMiddleware(lambda error, request: f"Error: {error}"),
            ModelCallLimitMiddleware(run_limit=model.max_model_calls, exit_behavior="error"),
        ],
    )
    result = await agent.ainvoke({"messages": [{"role": "user", "content": brief.question}]})
    model.report_usage(
        input_tokens=sum(
            m.usage_metadata["input_tokens"] for m in result["messages"] if m.type == "ai" and m.usage_metadata
        ),
        output_tokens=sum(
            m.usage_metadata["output_tokens"] for m in result["messages"] if m.type == "ai" and m.usage_metadata
        ),
    )
    return result["messages"][-1].text
