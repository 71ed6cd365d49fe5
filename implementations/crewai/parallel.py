"""Parallel agents in CrewAI: a flow whose starts run at the same time, and a step that waits for all of them.

A crew's tasks with `async_execution` run at the same time, too, but the first error of one ends the crew.
"""

from crewai import LLM, Agent
from crewai.flow import Flow, and_, listen, start

from tasks.base import Model
from tasks.parallel.spec import AgentSpec, ParallelBrief


async def run(brief: ParallelBrief, model: Model) -> str:
    price, time, comfort = brief.branches

    class Trip(Flow):
        @start()
        async def ask_price(self) -> str:
            return await find(price, brief.question, model)

        @start()
        async def ask_time(self) -> str:
            return await find(time, brief.question, model)

        @start()
        async def ask_comfort(self) -> str:
            return await find(comfort, brief.question, model)

        @listen(and_(ask_price, ask_time, ask_comfort))
        async def join(self) -> str:
            return await ask(brief.join, "\n".join([brief.question, *self.method_outputs]), model)

    return await Trip().kickoff_async()


async def find(spec: AgentSpec, question: str, model: Model) -> str:
    try:
        return f"{spec.name}: {await ask(spec, question, model)}"
    except Exception as error:  # else the flow ends with it, and what the others found is lost
        return f"{spec.name}: failed with {error}"


async def ask(spec: AgentSpec, question: str, model: Model) -> str:
    llm = LLM(
        model=model.name,
        custom_openai=True,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        timeout=model.timeout_s,
    )
    agent = Agent(role=spec.name, goal="Answer the question.", backstory=spec.instructions, llm=llm)
    result = await agent.kickoff_async(question)
    return result.raw
