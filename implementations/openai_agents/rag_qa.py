"""Question answering over documents in the OpenAI Agents SDK, which has no local index: BM25 behind a function tool."""

import bm25s
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
        tools=[search_tool(brief)],
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


def search_tool(brief: RagQaBrief) -> FunctionTool:
    passages = [document.passage for document in brief.documents]
    index = bm25s.BM25()
    index.index(tokenize(passages), show_progress=False)

    @function_tool(
        name_override=brief.search_tool_name,
        description_override=brief.search_tool_description,
        failure_error_function=lambda _, error: f"Error: {error}",  # the default hides what went wrong
    )
    def search(query: str) -> str:
        found, _ = index.retrieve(tokenize([query]), corpus=passages, k=brief.k, show_progress=False)
        return "\n\n".join(found[0])

    return search


def tokenize(texts: list[str]) -> bm25s.tokenization.Tokenized:
    # Latin words whole, Chinese characters one by one.
    pattern = r"(?u)[a-z0-9]+|[\u4e00-\u9fff]"
    return bm25s.tokenize(texts, token_pattern=pattern, stopwords=None, show_progress=False)
