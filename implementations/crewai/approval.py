"""Approval in CrewAI: a flow that pauses for a person's feedback on a call that its agent asks for.

Only a step of a flow can pause for another process: a tool, or a hook on it, can but wait for the console. So a tool
that needs approval ends the agent's work without doing anything, and a step of the flow makes the call once approved.
"""

import functools
import json

from crewai import LLM, Agent
from crewai.flow import (
    Flow,
    HumanFeedbackPending,
    HumanFeedbackProvider,
    HumanFeedbackResult,
    human_feedback,
    listen,
    or_,
    router,
)
from crewai.flow import start as flow_start
from crewai.flow.persistence import SQLiteFlowPersistence
from crewai.tools import BaseTool, tool

from tasks.approval.spec import ApprovalBrief, Decision, Paused, Waiting
from tasks.base import Model, Tool


async def start(brief: ApprovalBrief, model: Model) -> str | Paused:
    flow = refund_desk(brief, model)(persistence=SQLiteFlowPersistence(str(brief.store / "flows.db")))
    return outcome(await flow.kickoff_async(inputs={"id": brief.thread}))


async def resume(brief: ApprovalBrief, model: Model, decision: Decision) -> str | Paused:
    persistence = SQLiteFlowPersistence(str(brief.store / "flows.db"))
    flow = refund_desk(brief, model).from_pending(brief.thread, persistence)
    return outcome(await flow.resume_async(decision.model_dump_json()))


def outcome(result: str | HumanFeedbackPending) -> str | Paused:
    if isinstance(result, HumanFeedbackPending):
        call = result.context.method_output
        return Paused([Waiting(call["name"], call["arguments"])])
    return result


def refund_desk(brief: ApprovalBrief, model: Model) -> type[Flow]:
    llm = LLM(
        model=model.name,
        custom_openai=True,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        timeout=model.timeout_s,
    )
    agent = Agent(
        role="assistant",
        goal="Answer the question.",
        backstory=brief.instructions,
        llm=llm,
        tools=[asks(function) if function.__name__ in brief.gated else tool(function) for function in brief.tools],
        max_iter=model.max_model_calls,
    )
    tools = {function.__name__: tool(function) for function in brief.tools}

    class RefundDesk(Flow):
        @flow_start()
        def begin(self) -> None:
            self.state["messages"] = [{"role": "user", "content": brief.question}]

        @router(or_(begin, "decide"))
        async def work(self) -> str:
            [question, *_] = self.state["messages"]
            result = await agent.kickoff_async(self.state["messages"])
            self.state["messages"] = [question, *result.messages[2:]]  # without the agent's own two prompts
            self.state["answer"] = result.raw
            return "waiting" if result.messages[-1]["role"] == "tool" else "answered"

        @listen("waiting")
        @human_feedback(message="May this call be made?", provider=AnotherProcess())
        def review(self) -> dict:
            call = last_turn(self.state["messages"])[self.state["messages"][-1]["tool_call_id"]]
            return {"name": call["name"], "arguments": json.loads(call["arguments"])}

        @listen(review)
        def decide(self, review: HumanFeedbackResult) -> None:
            decision, arguments = Decision.model_validate_json(review.feedback), review.output["arguments"]
            messages = self.state["messages"]
            calls = last_turn(messages)
            if decision.verdict == "edit":
                # The conversation must show the model the call that is really made.
                arguments = decision.arguments
                calls[messages[-1]["tool_call_id"]]["arguments"] = json.dumps(arguments)
            if decision.verdict == "deny":
                messages[-1]["content"] = f"Denied by a person: {decision.reason}"
            else:
                messages[-1]["content"] = make(tools[review.output["name"]], arguments)
            answered = {message.get("tool_call_id") for message in messages}
            for id in calls.keys() - answered:  # those after the one that waited
                messages.append({"role": "tool", "tool_call_id": id, "content": "Not made yet: ask for it again."})
            self.state["messages"] = messages

        @listen("answered")
        def answer(self) -> str:
            return self.state["answer"]

    return RefundDesk


def last_turn(messages: list[dict]) -> dict[str, dict]:
    """The calls of the model's last message, by their ids."""
    turn = next(message for message in reversed(messages) if message["role"] == "assistant")
    return {call["id"]: call["function"] for call in turn["tool_calls"]}


class AnotherProcess(HumanFeedbackProvider):
    def request_feedback(self, context, flow):
        raise HumanFeedbackPending(context=context)


def asks(function: Tool) -> BaseTool:
    @functools.wraps(function)
    def ask(**arguments):
        return "A person must approve this."

    return tool(result_as_answer=True)(ask)


def make(approved: BaseTool, arguments: dict) -> str:
    try:
        return str(approved.run(**arguments))
    except Exception as error:  # whatever went wrong, the model is told
        return f"Error executing tool: {error}"
