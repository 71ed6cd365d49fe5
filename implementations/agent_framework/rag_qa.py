"""Question answering over documents in Microsoft Agent Framework: an in-memory collection behind its search tool."""

from agent_framework import (
    Agent,
    InMemoryCollection,
    VectorStoreCollectionDefinition,
    VectorStoreField,
    create_vector_search_tool,
)
from agent_framework.openai import OpenAIChatCompletionClient, OpenAIEmbeddingClient

from tasks.base import Model
from tasks.rag_qa.spec import RagQaBrief


async def run(brief: RagQaBrief, model: Model) -> str:
    client = OpenAIChatCompletionClient(
        model.name,
        base_url=model.base_url,
        api_key=model.api_key,
    )
    # After the last round of tools comes one more call, which must be the answer.
    client.function_invocation_configuration["max_iterations"] = model.max_model_calls - 1
    # The default takes the tools away after three turns in a row with an error.
    client.function_invocation_configuration["max_consecutive_errors_per_request"] = model.max_model_calls
    # The default hides what went wrong from the model.
    client.function_invocation_configuration["include_detailed_errors"] = True
    agent = Agent(
        client,
        brief.instructions,
        tools=[
            create_vector_search_tool(
                await index(brief, model),
                name=brief.search_tool_name,
                description=brief.search_tool_description,
                top=brief.k,
                result_mapper=lambda found: found["record"]["passage"],
            )
        ],
        default_options={"temperature": model.temperature},
    )
    response = await agent.run(brief.question)
    model.report_usage(
        input_tokens=response.usage_details.get("input_token_count"),
        output_tokens=response.usage_details.get("output_token_count"),
    )
    return response.messages[-1].text


async def index(brief: RagQaBrief, model: Model) -> InMemoryCollection:
    embeddings = OpenAIEmbeddingClient(
        model=model.embedding_name,
        base_url=model.base_url,
        api_key=model.api_key,
    )
    passages = [document.passage for document in brief.documents]
    # Embedded before the collection is there, because that must be told how long the vectors are.
    embedded = await embeddings.get_embeddings(passages)
    definition = VectorStoreCollectionDefinition(
        [
            VectorStoreField("key", name="id", type_="str"),
            VectorStoreField("data", name="passage", type_="str"),
            VectorStoreField("vector", name="embedding", type_="float", dimensions=embedded[0].dimensions),
        ],
        collection_name="guide",
    )
    collection = InMemoryCollection(dict, definition=definition, embedding_generator=embeddings)
    await collection.ensure_collection_exists()
    await collection.upsert(
        [
            {"id": document.id, "passage": document.passage, "embedding": embedding.vector}
            for document, embedding in zip(brief.documents, embedded, strict=True)
        ],
        generate_vectors=False,
    )
    return collection
