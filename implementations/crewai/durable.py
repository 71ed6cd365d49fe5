"""A durable run in CrewAI: a flow that is persisted after each step, of which one makes one call of a tool.

An agent that is restored from a checkpoint begins anew. So here its tools only end its work, and the flow makes the
calls, each in a step of its own. A call is made again where the process is killed between its effect and the end of
its step.
"""

import json

from crewai import LLM, Agent, flow
from crewai.flow import Flow
from crewai.flow.persistence import SQLiteFlowPersistence
from crewai.tools import BaseTool, tool

from tasks.base import Model
from tasks.durable.spec import DurableBrief


async def start(brief: DurableBrief, model: Model) -> str:
    llm = LLM(
        model=model.name,
        custom_openai=True,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        timeout=model.timeout_s,
    )
    tools = {function.__name__: tool(function) for function in brief.tools}
    left = {"func": lambda **arguments: "The flow makes this call.", "result_as_answer": True}
    agent = Agent(
        role="assistant",
        goal="Answer the question.",
        backstory=brief.instructions,
        llm=llm,
        tools=[one.model_copy(update=left) for one in tools.values()],
        max_iter=model.max_model_calls,
    )

    @flow.persist(SQLiteFlowPersistence(str(brief.store / "flows.db")))
    class Trip(Flow):
        @flow.start()
        def begin(self) -> None:
            self.state.setdefault("messages", [{"role": "user", "content": brief.question}])

        @flow.router(flow.or_(begin, "ask_agent", "make_call"))
        def proceed(self) -> str:
            messages = self.state["messages"]
            if unanswered(messages):
                return "call"
            return "answered" if messages[-1]["role"] == "assistant" else "turn"

        @flow.listen("turn")
        async def ask_agent(self) -> None:
            messages = self.state["messages"]
            result = await agent.kickoff_async(messages)
            # What the model said: after the system prompt and what there was before.
            self.state["messages"] = [*messages, result.messages[len(messages) + 1]]

        @flow.listen("call")
        def make_call(self) -> None:
            call, *_ = unanswered(self.state["messages"])
            result = make(tools[call["function"]["name"]], json.loads(call["function"]["arguments"]))
            said = {"role": "tool", "tool_call_id": call["id"], "name": call["function"]["name"], "content": result}
            self.state["messages"] = [*self.state["messages"], said]

        @flow.listen("answered")
        def answer(self) -> str:
            return self.state["messages"][-1]["content"]

    trip = Trip(max_method_calls=100 * model.max_model_calls)
    return await trip.kickoff_async(inputs={"id": brief.thread})  # with the state of this id, if there is one


async def resume(brief: DurableBrief, model: Model) -> str:
    return await start(brief, model)


def unanswered(messages: list[dict]) -> list[dict]:
    """The calls of the model's last message that have no result yet."""
    turn = max(i for i, message in enumerate(messages) if message["role"] != "tool")
    answered = {message["tool_call_id"] for message in messages[turn + 1 :]}
    return [call for call in messages[turn].get("tool_calls") or [] if call["id"] not in answered]


def make(made: BaseTool, arguments: dict) -> str:
    try:
        return str(made.run(**arguments))
    except Exception as error:  # whatever went wrong, the model is told
        return f"Error executing tool: {error}"
