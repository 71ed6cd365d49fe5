"""Approval in Microsoft Agent Framework: a tool that always requires it, and a session that is stored meanwhile."""

import inspect

from agent_framework import (
    Agent,
    Content,
    FileSessionStore,
    Message,
    MessageInjectionMiddleware,
    enqueue_messages,
    function_middleware,
    tool,
)
from agent_framework.openai import OpenAIChatCompletionClient

from tasks.approval.spec import ApprovalBrief, Decision, Paused, Waiting
from tasks.base import Model


async def start(brief: ApprovalBrief, model: Model) -> str | Paused:
    agent = refund_desk(brief, model)
    session = agent.create_session(session_id=brief.thread)
    response = await agent.run(brief.question, session=session)
    if not response.user_input_requests:
        return response.messages[-1].text
    session.state["requests"] = [request.to_dict() for request in response.user_input_requests]
    await FileSessionStore(brief.store).set(brief.thread, session)
    calls = [request.function_call for request in response.user_input_requests]
    return Paused([Waiting(call.name, call.parse_arguments()) for call in calls])


async def resume(brief: ApprovalBrief, model: Model, decision: Decision) -> str:
    @function_middleware
    async def edit(context, call_next):
        if context.function.name in brief.gated:
            context.arguments = decision.arguments
        await call_next()

    agent = refund_desk(brief, model)
    session = await FileSessionStore(brief.store).get(brief.thread)
    requests = [Content.from_dict(request) for request in session.state.pop("requests")]
    approved = decision.verdict != "deny"
    messages = [Message("user", [request.to_function_approval_response(approved)]) for request in requests]
    # A response has no place for a reason, and a message beside it would stand between the call and its result.
    if decision.reason:
        enqueue_messages(session, decision.reason)
    response = await agent.run(messages, session=session, middleware=[edit] if decision.verdict == "edit" else None)
    # Arguments that are not those that were approved are asked about once more.
    for request in response.user_input_requests:
        response = await agent.run(Message("user", [request.to_function_approval_response(True)]), session=session)
    return response.messages[-1].text


def refund_desk(brief: ApprovalBrief, model: Model) -> Agent:
    client = OpenAIChatCompletionClient(
        model.name,
        base_url=model.base_url,
        api_key=model.api_key,
    )
    tools = [
        tool(
            function,
            description=inspect.getdoc(function),  # the default keeps the indentation of the source
            approval_mode="always_require" if function.__name__ in brief.gated else "never_require",
        )
        for function in brief.tools
    ]
    return Agent(
        client,
        brief.instructions,
        tools=tools,
        default_options={"temperature": model.temperature},
        middleware=[MessageInjectionMiddleware()],
    )
