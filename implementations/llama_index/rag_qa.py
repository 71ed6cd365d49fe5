"""Question answering over documents in LlamaIndex: a vector index behind a tool of a function-calling agent."""

from llama_index.core import VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler  # for report_usage
from llama_index.core.schema import TextNode
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

from tasks.base import Model
from tasks.rag_qa.spec import RagQaBrief


async def run(brief: RagQaBrief, model: Model) -> str:
    counter = TokenCountingHandler()  # for report_usage
    llm = OpenAILike(
        model=model.name,
        api_base=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        timeout=model.timeout_s,  # the default, a minute a call, is short for a model on a CPU
        is_chat_model=True,
        is_function_calling_model=True,
        additional_kwargs={"stream_options": {"include_usage": True}},  # else a streamed reply has no token counts
        callback_manager=CallbackManager([counter]),  # for report_usage
    )
    embed_model = OpenAILikeEmbedding(
        model_name=model.embedding_name,
        api_base=model.base_url,
        api_key=model.api_key,
        max_retries=3,  # as for the model; the default, 10, may wait for minutes
    )
    # Nodes, not documents: these it would split. And added, not given at once: that would block the event loop.
    index = VectorStoreIndex([], embed_model=embed_model)
    await index.ainsert_nodes([TextNode(text=document.passage) for document in brief.documents])
    retriever = index.as_retriever(similarity_top_k=brief.k)

    async def search(query: str) -> str:
        return "\n\n".join(found.text for found in await retriever.aretrieve(query))

    agent = FunctionAgent(
        llm=llm,
        system_prompt=brief.instructions,
        # Not a `RetrieverTool`: it would search for "query is …", and call the parameter `input`.
        tools=[
            FunctionTool.from_defaults(
                async_fn=search,
                name=brief.search_tool_name,
                description=brief.search_tool_description,
            )
        ],
    )
    # At its limit the workflow raises before it looks at the response.
    result = await agent.run(user_msg=brief.question, max_iterations=model.max_model_calls + 1)
    model.report_usage(
        input_tokens=counter.prompt_llm_token_count,
        output_tokens=counter.completion_llm_token_count,
    )
    return str(result)
