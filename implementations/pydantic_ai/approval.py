"""Approval in Pydantic AI: a run ends with the calls that wait, and its conversation is kept as JSON."""

from pydantic_ai import Agent, DeferredToolRequests, ModelSettings, Tool, ToolApproved, ToolDenied
from pydantic_ai.conversation import ConversationTypeAdapter
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from tasks.approval.spec import ApprovalBrief, Decision, Paused, Waiting
from tasks.base import Model


async def start(brief: ApprovalBrief, model: Model) -> str | Paused:
    result = await agent(brief, model).run(brief.question)
    if isinstance(result.output, DeferredToolRequests):
        kept = ConversationTypeAdapter.dump_json(result.conversation)
        (brief.store / f"{brief.thread}.json").write_bytes(kept)
        return Paused([Waiting(call.tool_name, call.args_as_dict()) for call in result.output.approvals])
    return result.output


async def resume(brief: ApprovalBrief, model: Model, decision: Decision) -> str:
    kept = (brief.store / f"{brief.thread}.json").read_bytes()
    conversation = ConversationTypeAdapter.validate_json(kept)
    match decision.verdict:
        case "approve":
            answer = ToolApproved()
        case "edit":
            answer = ToolApproved(override_args=decision.arguments)
        case "deny":
            answer = ToolDenied(decision.reason)
    requests = conversation.deferred_tool_requests
    [call] = requests.approvals
    result = await agent(brief, model).run(
        conversation=conversation,
        deferred_tool_results=requests.build_results(approvals={call.tool_call_id: answer}),
    )
    return result.output


def agent(brief: ApprovalBrief, model: Model) -> Agent[None, str | DeferredToolRequests]:
    provider = OpenAICompatibleProvider("bakeoff", base_url=model.base_url, api_key=model.api_key)
    return Agent(
        OpenAIChatModel(model.name, provider=provider),
        instructions=brief.instructions,
        model_settings=ModelSettings(temperature=model.temperature),
        tools=[Tool(tool, requires_approval=tool.__name__ in brief.gated) for tool in brief.tools],
        output_type=[str, DeferredToolRequests],
    )
