"""Approval in CrewAI: a flow that pauses for a person's feedback on a call that its agent asks for.

Only a step of a flow can pause for another process: a tool, or a hook on it, can but wait for the console. So a tool
that needs approval ends the agent's work without doing anything, and a step of the flow makes the call once approved.
"""

import json

from crewai import LLM, Agent, flow
from crewai.flow import Flow, HumanFeedbackPending, HumanFeedbackProvider, HumanFeedbackResult
from crewai.flow.persistence import SQLiteFlowPersistence
from crewai.tools import BaseTool, tool

from tasks.approval.spec import ApprovalBrief, Decision, Paused, Waiting
from tasks.base import Model


async def start(brief: ApprovalBrief, model: Model) -> str | Paused:
    desk = refund_desk(brief, model)(persistence=SQLiteFlowPersistence(str(brief.store / "flows.db")))
    return outcome(desk, await desk.kickoff_async(inputs={"id": brief.thread}))


async def resume(brief: ApprovalBrief, model: Model, decision: Decision) -> str | Paused:
    persistence = SQLiteFlowPersistence(str(brief.store / "flows.db"))
    desk = refund_desk(brief, model).from_pending(brief.thread, persistence)
    return outcome(desk, await desk.resume_async(decision.model_dump_json()))


def outcome(desk: Flow, result: str | HumanFeedbackPending) -> str | Paused:
    if isinstance(result, HumanFeedbackPending):
        return Paused([Waiting(**result.context.method_output)])
    return desk.state["answer"]


def refund_desk(brief: ApprovalBrief, model: Model) -> type[Flow]:
    llm = LLM(
        model=model.name,
        custom_openai=True,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        timeout=model.timeout_s,
    )
    tools = {function.__name__: tool(function) for function in brief.tools}
    gated = {"func": lambda **arguments: "A person must approve this call.", "result_as_answer": True}
    agent = Agent(
        role="assistant",
        goal="Answer the question.",
        backstory=brief.instructions,
        llm=llm,
        tools=[one.model_copy(update=gated) if name in brief.gated else one for name, one in tools.items()],
        max_iter=model.max_model_calls,
    )

    class RefundDesk(Flow):
        @flow.start()
        def begin(self) -> None:
            self.state["messages"] = [{"role": "user", "content": brief.question}]

        @flow.router(flow.or_(begin, "decide"))
        async def work(self) -> str:
            [question, *_] = self.state["messages"]
            result = await agent.kickoff_async(self.state["messages"])
            self.state["messages"] = [question, *result.messages[2:]]  # without the agent's own two prompts
            self.state["answer"] = result.raw
            return "waiting" if result.messages[-1]["role"] == "tool" else "answered"

        @flow.listen("waiting")
        @flow.human_feedback(message="May this call be made?", provider=AnotherProcess())
        def review(self) -> dict:
            *_, result = self.state["messages"]
            calls, _ = last_turn(self.state["messages"])
            call = calls[result["tool_call_id"]]
            return {"tool": call["name"], "arguments": json.loads(call["arguments"])}

        @flow.listen(review)
        def decide(self, review: HumanFeedbackResult) -> None:
            decision = Decision.model_validate_json(review.feedback)
            *_, result = messages = self.state["messages"]
            calls, answered = last_turn(messages)
            if decision.verdict == "edit":
                # The conversation must show the model the call that is really made.
                calls[result["tool_call_id"]]["arguments"] = json.dumps(decision.arguments)
            if decision.verdict == "deny":
                result["content"] = f"Denied by a person: {decision.reason}"
            else:
                call = calls[result["tool_call_id"]]
                result["content"] = make(tools[call["name"]], json.loads(call["arguments"]))
            for id in calls.keys() - answered:
                # The agent's work ended before it came to them.
                messages.append({"role": "tool", "tool_call_id": id, "content": "Not made yet: ask for it again."})
            self.state["messages"] = messages

    return RefundDesk


class AnotherProcess(HumanFeedbackProvider):
    def request_feedback(self, context, flow):
        raise HumanFeedbackPending(context=context)


def last_turn(messages: list[dict]) -> tuple[dict[str, dict], set[str]]:
    """The calls of the model's last message, by their ids, and the ids of those that have a result."""
    turn = max(i for i, message in enumerate(messages) if message["role"] == "assistant")
    calls = {call["id"]: call["function"] for call in messages[turn]["tool_calls"]}
    return calls, {message["tool_call_id"] for message in messages[turn + 1 :]}


def make(approved: BaseTool, arguments: dict) -> str:
    try:
        return str(approved.run(**arguments))
    except Exception as error:  # whatever went wrong, the model is told
        return f"Error executing tool: {error}"
