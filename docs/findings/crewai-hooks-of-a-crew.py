"""CrewAI: a hook of one crew is called for the tools of every other crew in the process.

A method of a crew's class that is decorated with `before_tool_call` is for that crew alone, says the documentation. But
it is registered for the whole process as soon as the class has an instance, and is never taken away again: here, a crew
that allows nothing blocks the tool of another. It should see the calls of its own crew.

crewai 1.15.30: crewai/project/crew_base.py:560.

CREWAI_DISABLE_TELEMETRY=true uv run --with crewai==1.15.30 docs/findings/crewai-hooks-of-a-crew.py
"""

from crewai import Agent, BaseLLM, Crew, Task
from crewai.hooks import before_tool_call
from crewai.project import CrewBase
from crewai.tools import tool

CALL = {"id": "call_1", "type": "function", "function": {"name": "charge", "arguments": "{}"}}


class Model(BaseLLM):
    def call(self, messages: list[dict], *args: object, **kwargs: object) -> str | list[dict]:
        return messages[-1]["content"] if messages[-1]["role"] == "tool" else [CALL]

    def supports_function_calling(self) -> bool:
        return True


@CrewBase
class Strict:
    @before_tool_call
    def allow_nothing(self, context) -> bool:
        return False


@tool
def charge() -> str:
    """Charge the card."""
    return "charged"


Strict()
agent = Agent(role="clerk", goal="Charge.", backstory="-", llm=Model(model="m"), tools=[charge])
task = Task(description="Charge the card.", expected_output="-", agent=agent)
print(Crew(agents=[agent], tasks=[task]).kickoff())  # Tool execution blocked by hook. Tool: charge
