"""Handoff in CrewAI: a crew whose first agent delegates to its coworkers."""

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool

from tasks.base import Model
from tasks.handoff.spec import HandoffBrief


async def run(brief: HandoffBrief, model: Model) -> str:
    agents = {
        spec.name: Agent(
            role=spec.name,
            goal=spec.description,
            backstory=spec.instructions,
            llm=LLM(
                model=model.name,
                custom_openai=True,
                base_url=model.base_url,
                api_key=model.api_key,
                temperature=model.temperature,
                timeout=model.timeout_s,
            ),
            tools=[tool(function) for function in spec.tools],
            allow_delegation=True,
            max_iter=model.max_model_calls,
            use_better_compaction=False,  # else a long tool result goes into a file, to be read piece by piece
        )
        for spec in brief.agents
    }
    task = Task(
        description=brief.question,
        expected_output="The answer to the customer.",
        agent=agents[brief.entry],
    )
    crew = Crew(agents=list(agents.values()), tasks=[task])
    result = await crew.kickoff_async()
    model.report_usage(
        input_tokens=result.token_usage.prompt_tokens,
        output_tokens=result.token_usage.completion_tokens,
    )
    return result.raw
