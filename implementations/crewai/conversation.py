"""A conversation in CrewAI: one agent, without a crew, which is given all messages so far."""

from crewai import LLM, Agent
from crewai.tools import tool
from pydantic import validate_call

from tasks.base import Model
from tasks.conversation import ConversationBrief


async def run(brief: ConversationBrief, model: Model) -> str:
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
        tools=[tool(validate_call(function)) for function in brief.tools],  # else nested models arrive as dictionaries
        max_iter=model.max_model_calls,
        use_better_compaction=False,  # else a long tool result goes into a file, to be read piece by piece
    )
    messages = []
    usages = []  # for report_usage
    for message in brief.messages:
        result = await agent.kickoff_async([*messages, {"role": "user", "content": message}])
        messages = [said for said in result.messages if said["role"] != "system"]  # which each kickoff begins with
        usages.append(result.usage_metrics)  # for report_usage
    model.report_usage(
        input_tokens=sum(usage["prompt_tokens"] for usage in usages),
        output_tokens=sum(usage["completion_tokens"] for usage in usages),
    )
    return result.raw
