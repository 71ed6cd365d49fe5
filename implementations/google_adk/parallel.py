"""Agents in parallel in Google ADK: a workflow that starts three, joins what they found, and hands it to the last."""

from google.adk.agents import LlmAgent, RunConfig
from google.adk.agents.callback_context import CallbackContext
from google.adk.integrations.openai import OpenAILlm
from google.adk.models import LlmRequest, LlmResponse
from google.adk.runners import InMemoryRunner
from google.adk.workflow import START, JoinNode, Workflow
from google.genai import types

from tasks.base import Model
from tasks.parallel.spec import AgentSpec, ParallelBrief


async def run(brief: ParallelBrief, model: Model) -> str:
    llm = OpenAILlm(model=model.name, base_url=model.base_url, api_key=model.api_key)

    def agent(spec: AgentSpec, **callbacks) -> LlmAgent:
        return LlmAgent(
            name=spec.name,
            model=llm,
            instruction=lambda context: spec.instructions,  # a plain text would be a template
            generate_content_config=types.GenerateContentConfig(temperature=model.temperature),
            **callbacks,
        )

    def with_question(node_input: dict[str, str]) -> str:
        # An agent in a workflow is given what comes out of the node before it, and no more.
        found = [f"{spec.name}: {node_input[spec.name]}" for spec in brief.branches]
        return "\n".join([brief.question, *found])

    # Without the callback, one that fails ends the run of all.
    branches = tuple(agent(spec, on_model_error_callback=say_so) for spec in brief.branches)
    edges = [(START, branches, JoinNode(name="found"), with_question, agent(brief.join))]
    runner = InMemoryRunner(node=Workflow(name="workflow", edges=edges))
    session = await runner.session_service.create_session(app_name=runner.app_name, user_id="user")
    events = [
        event
        async for event in runner.run_async(
            user_id=session.user_id,
            session_id=session.id,
            new_message=types.UserContent(brief.question),
            run_config=RunConfig(max_llm_calls=model.max_model_calls),
        )
    ]
    model.report_usage(
        input_tokens=sum(e.usage_metadata.prompt_token_count or 0 for e in events if e.usage_metadata),
        output_tokens=sum(e.usage_metadata.candidates_token_count or 0 for e in events if e.usage_metadata),
    )
    final = [event.content for event in events if event.is_final_response() and event.content]
    return "".join(part.text or "" for content in final[-1:] for part in content.parts)


def say_so(callback_context: CallbackContext, llm_request: LlmRequest, error: Exception) -> LlmResponse:
    return LlmResponse(content=types.ModelContent(f"This analyst failed: {error}"))
