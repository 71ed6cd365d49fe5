"""Handoff in CrewAI: a flow whose router lets one agent after another speak, and tools that end an agent's turn.

A crew's delegation is no handoff: the coworker gets a sentence in place of the conversation, cannot pass it on, and
reports back to the first agent, who answers.
"""

from typing import Any, Literal

from crewai import LLM, Agent, BaseLLM, Flow
from crewai.flow import listen, or_, router, start
from crewai.tools import BaseTool, tool
from pydantic import BaseModel

from tasks.base import Model
from tasks.handoff.spec import AgentSpec, HandoffBrief


async def run(brief: HandoffBrief, model: Model) -> str:
    llm = LLM(
        model=model.name,
        custom_openai=True,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        timeout=model.timeout_s,
    )
    desk = SupportDesk(
        llm=llm,
        specs={spec.name: spec for spec in brief.agents},
        max_model_calls=model.max_model_calls,
    )
    conversation = [{"role": "user", "content": brief.question}]
    answer = await desk.kickoff_async({"speaker": brief.entry, "conversation": conversation})
    model.report_usage(
        input_tokens=desk.usage_metrics.prompt_tokens,
        output_tokens=desk.usage_metrics.completion_tokens,
    )
    return answer


class Conversation(BaseModel):
    speaker: str = ""
    conversation: list[dict[str, Any]] = []
    answer: str = ""


class SupportDesk(Flow[Conversation]):
    llm: BaseLLM
    specs: dict[str, AgentSpec]
    max_model_calls: int

    @start()
    def receive(self) -> None:
        pass

    @router(or_(receive, "transferred"))
    async def speak(self) -> Literal["transferred", "answered"]:
        spec, conversation = self.specs[self.state.speaker], self.state.conversation
        tools = [*(tool(function) for function in spec.tools), *(self.transfer_to(name) for name in spec.handoffs)]
        calls_left = self.max_model_calls - sum(message["role"] == "assistant" for message in conversation)
        agent = Agent(
            role=spec.name,
            goal=spec.description,
            backstory=spec.instructions,
            llm=self.llm,
            # The limit itself costs one more call, for a final answer without tools; a limit of 0 is not possible.
            tools=tools if calls_left > 1 else [],
            max_iter=max(calls_left - 1, 1),
            respect_context_window=False,  # summarizing costs calls that max_iter does not count
            use_better_compaction=False,  # else a long tool result goes into a file, to be read piece by piece
        )
        result = await agent.kickoff_async(conversation)
        said = result.messages[1 + len(conversation) :]  # without the system prompt
        answered = {message.get("tool_call_id") for message in said}
        for message in said:
            if "tool_calls" in message:  # a transfer ends the turn at once: calls after it were not made
                message["tool_calls"] = [call for call in message["tool_calls"] if call["id"] in answered]
        conversation += said
        self.state.answer = result.raw
        return "answered" if self.state.speaker == spec.name else "transferred"

    @listen("answered")
    def reply(self) -> str:
        return self.state.answer

    def transfer_to(self, name: str) -> "TransferTool":
        return TransferTool(
            name=f"transfer_to_{name}",
            description=f"Handoff to the {name} agent to handle the request. {self.specs[name].description}",
            desk=self,
            speaker=name,
        )


class TransferTool(BaseTool):
    desk: SupportDesk
    speaker: str
    result_as_answer: bool = True  # ends the turn of the agent that calls it

    def _run(self) -> str:
        self.desk.state.speaker = self.speaker
        return f"Transferred to {self.speaker}."
