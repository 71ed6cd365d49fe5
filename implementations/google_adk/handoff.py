"""Handoff in Google ADK: the first agent has the others as `sub_agents`, and `transfer_to_agent` moves between them."""

from typing import Any

from google.adk.agents import LlmAgent, RunConfig
from google.adk.features import FeatureName, override_feature_enabled
from google.adk.integrations.openai import OpenAILlm
from google.adk.runners import InMemoryRunner
from google.adk.tools import BaseTool, ToolContext
from google.genai import types

from tasks.base import Model
from tasks.handoff.spec import AgentSpec, HandoffBrief


async def run(brief: HandoffBrief, model: Model) -> str:
    # Off by default: without it, arguments reach the tools unchecked, and a date as text.
    override_feature_enabled(FeatureName.FUNCTION_TOOL_ARG_VALIDATION, True)
    llm = OpenAILlm(model=model.name, base_url=model.base_url, api_key=model.api_key)
    specs = {spec.name: spec for spec in brief.agents}

    def refuse_bad_transfer(tool: BaseTool, args: dict[str, Any], tool_context: ToolContext) -> dict[str, str] | None:
        # Without it, an agent that transfers to itself or to nobody known ends the run.
        if tool.name == "transfer_to_agent" and args.get("agent_name") not in specs[tool_context.agent_name].handoffs:
            return {"error": f"You cannot transfer to {args.get('agent_name')!r}."}

    def agent(spec: AgentSpec, sub_agents: list[LlmAgent]) -> LlmAgent:
        return LlmAgent(
            name=spec.name,
            description=spec.description,
            model=llm,
            instruction=lambda context: spec.instructions,  # a plain text would be a template
            tools=spec.tools,
            sub_agents=sub_agents,
            generate_content_config=types.GenerateContentConfig(temperature=model.temperature),
            before_tool_callback=refuse_bad_transfer,
            # Without it, a tool that raises ends the run and the model never hears of it.
            on_tool_error_callback=lambda tool, args, tool_context, error: {"error": str(error)},
        )

    # Agents may transfer to their sub-agents, to their parent and to its other sub-agents: here, to all others.
    root = agent(specs[brief.entry], [agent(specs[name], []) for name in specs[brief.entry].handoffs])
    runner = InMemoryRunner(root)
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
