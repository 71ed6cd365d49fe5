"""Question answering over documents in the OpenAI Agents SDK, which has no local index: embeddings behind a tool."""

from agents import Agent, FunctionTool, ModelSettings, OpenAIChatCompletionsModel, RunConfig, Runner, function_tool
from openai import AsyncOpenAI

from tasks.base import Model
from tasks.rag_qa.spec import RagQaBrief


async def run(brief: RagQaBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        name="assistant",
        instructions=brief.instructions,
        model=OpenAIChatCompletionsModel(model=model.name, openai_client=client),
        model_settings=ModelSettings(temperature=model.temperature),
        tools=[await search_tool(brief, client, model)],
    )
    result = await Runner.run(
        agent,
        brief.question,
        max_turns=model.max_model_calls,
        run_config=RunConfig(tool_not_found_behavior="return_error_to_model"),
    )
    model.report_usage(
        input_tokens=result.context_wrapper.usage.input_tokens,
        output_tokens=result.context_wrapper.usage.output_tokens,
    )
    return result.final_output


async def search_tool(brief: RagQaBrief, client: AsyncOpenAI, model: Model) -> FunctionTool:
    passages = [document.passage for document in brief.documents]
    vectors = await embed(client, model, passages)

    @function_tool(
        name_override=brief.search_tool_name,
        description_override=brief.search_tool_description,
        failure_error_function=lambda _, error: f"Error: {error}",  # the default hides what went wrong
    )
    async def search(query: str) -> str:
        [wanted] = await embed(client, model, [query])
        similarity = [sum(a * b for a, b in zip(vector, wanted, strict=True)) for vector in vectors]
        best = sorted(range(len(passages)), key=lambda i: similarity[i], reverse=True)[: brief.k]
        return "\n\n".join(passages[i] for i in best)

    return search


async def embed(client: AsyncOpenAI, model: Model, texts: list[str]) -> list[list[float]]:
    response = await client.embeddings.create(model=model.embedding_name, input=texts)
    return [item.embedding for item in response.data]
