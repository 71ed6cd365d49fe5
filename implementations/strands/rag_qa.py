"""Question answering over documents in Strands Agents: a memory store, searched by key words, behind a tool."""

from strands import Agent
from strands.memory import MemoryManager
from strands.models.openai import OpenAIModel
from strands.storage import InMemoryStorage
from strands.vended_memory_stores import FileMemoryStore

from tasks.base import Model
from tasks.rag_qa.spec import RagQaBrief


async def run(brief: RagQaBrief, model: Model) -> str:
    llm = OpenAIModel(
        client_args={"base_url": model.base_url, "api_key": model.api_key},
        model_id=model.name,
        params={"temperature": model.temperature},
    )
    guide = FileMemoryStore(name="guide", storage=InMemoryStorage(), max_search_results=brief.k)
    for document in brief.documents:
        await guide.add(document.passage)
    memory = MemoryManager(
        stores=[guide],
        search_tool_config={"name": brief.search_tool_name, "description": brief.search_tool_description},
        injection=False,  # else it searches before every model call and puts what it finds into the prompt
    )
    agent = Agent(
        model=llm,
        system_prompt=brief.instructions,
        memory_manager=memory,
        callback_handler=None,  # the default prints every token
        retry_strategy=None,  # the default waits 4 to 64 seconds before it tries again
    )
    result = await agent.invoke_async(brief.question, limits={"turns": model.max_model_calls})
    model.report_usage(
        input_tokens=result.metrics.accumulated_usage["inputTokens"],
        output_tokens=result.metrics.accumulated_usage["outputTokens"],
    )
    if result.stop_reason == "limit_turns":  # the loop stops without an answer and without an exception
        raise RuntimeError(f"no answer after {model.max_model_calls} model calls")
    return str(result).strip()
