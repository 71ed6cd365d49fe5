"""CrewAI: what an agent's guardrail says never reaches the model, and within an event loop it ends the run.

An agent's guardrail that fails has the agent try again. What is wrong is added to its messages, which are cleared at
once: the model gets the same request, three times, and then the run ends with an error. In `kickoff_async` there is no
second try, but `AttributeError: 'coroutine' object has no attribute 'get'`. The model should be told, as it is where a
task's guardrail fails.

crewai 1.15.30: the message (crewai/agent/core.py:2156) is cleared when the executor is invoked again
(crewai/agents/agent_executor.py:3058); that returns a coroutine within an event loop (:3043), which is not awaited
(crewai/agent/core.py:2085).

CREWAI_DISABLE_TELEMETRY=true uv run --with crewai==1.15.30 docs/findings/crewai-agent-guardrail-not-told.py
"""

import asyncio

from crewai import Agent, BaseLLM


class Model(BaseLLM):
    def call(self, messages: list[dict], *args: object, **kwargs: object) -> str:
        print(f"the model is asked: {messages[1:]}")
        return "blue"


def only_red(output) -> tuple[bool, str]:
    return output.raw == "red", "Only red is allowed."


def painter() -> Agent:
    return Agent(role="painter", goal="Name a colour.", backstory="-", llm=Model(model="m"), guardrail=only_red)


try:
    painter().kickoff("Which colour?")
except ValueError as error:
    print(error)
asyncio.run(painter().kickoff_async("Which colour?"))
