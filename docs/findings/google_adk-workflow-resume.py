"""Google ADK: an agent in a workflow that is resumed begins anew, and calls again the tools that it had called.

An agent calls a tool; then a call to its model fails, as where the process is killed; the invocation is resumed. The
result of the tool is in the session, so that it should not run again, and it does not where the agent is the root of
the app. In a workflow it does: this prints "agent: charged 1 times" and "workflow: charged 2 times".

google-adk 2.13.0: an agent is run in a workflow for a single turn, and its input is put behind all events that it has
already, also where it is resumed without an answer of the user (google/adk/workflow/_llm_agent_wrapper.py:364 and 380).

uv run --with google-adk==2.13.0 docs/findings/google_adk-workflow-resume.py
"""

import asyncio
from contextlib import suppress

from google.adk import Agent, Workflow
from google.adk.apps import App, ResumabilityConfig
from google.adk.models import BaseLlm, LlmResponse
from google.adk.runners import InMemoryRunner
from google.genai.types import ModelContent, Part, UserContent


class _Scripted(BaseLlm):
    async def generate_content_async(self, llm_request, stream=False):
        calls.append("model")
        if calls == ["model", "charge", "model"]:
            raise ConnectionError
        call, said = Part.from_function_call(name="charge", args={}), llm_request.contents[-1].parts[0]
        yield LlmResponse(content=ModelContent("Done." if said.function_response else call))


def charge() -> None:
    calls.append("charge")


async def main(root) -> None:
    app = App(name="app", root_agent=root, resumability_config=ResumabilityConfig(is_resumable=True))
    runner = InMemoryRunner(app=app)
    session = await runner.session_service.create_session(app_name="app", user_id="user")
    begin = {"new_message": UserContent("Charge me.")}
    for _ in range(2):
        with suppress(ConnectionError):
            async for event in runner.run_async(user_id="user", session_id=session.id, **begin):
                begin = {"invocation_id": event.invocation_id}


agent = Agent(name="agent", model=_Scripted(model="scripted"), tools=[charge])
for root, calls in (agent, []), (Workflow(name="workflow", edges=[("START", agent)]), []):
    asyncio.run(main(root))
    print(f"{root.name}: charged {calls.count('charge')} times")
