"""Guardrails in Strands Agents: an intervention before the run, before each call of a tool and after each reply."""

from strands import Agent, InterventionHandler, tool
from strands.hooks import AfterModelCallEvent, BeforeInvocationEvent, BeforeToolCallEvent
from strands.interventions import Deny, Proceed, Transform
from strands.models.openai import OpenAIModel
from strands.types.content import Message

from tasks.base import Model
from tasks.guardrail.spec import GuardrailBrief


async def run(brief: GuardrailBrief, model: Model) -> str:
    llm = OpenAIModel(
        client_args={"base_url": model.base_url, "api_key": model.api_key},
        model_id=model.name,
        params={"temperature": model.temperature},
    )
    agent = Agent(
        model=llm,
        system_prompt=brief.instructions,
        tools=[tool(function) for function in brief.tools],
        interventions=[Rules(brief)],
        callback_handler=None,  # the default prints every token
    )
    result = await agent.invoke_async(brief.question)
    return str(result).strip()


class Rules(InterventionHandler):
    name = "rules"

    def __init__(self, brief: GuardrailBrief) -> None:
        self.brief = brief

    def before_invocation(self, event: BeforeInvocationEvent) -> Proceed | Deny:
        reason = self.brief.check_input("\n".join(text_of(message) for message in event.messages))
        return Deny(reason=reason) if reason else Proceed()

    def before_tool_call(self, event: BeforeToolCallEvent) -> Proceed | Deny:
        reason = self.brief.check_call(event.tool_use["name"], event.tool_use["input"])
        return Deny(reason=reason) if reason else Proceed()

    def after_model_call(self, event: AfterModelCallEvent) -> Proceed | Transform:
        reply = event.stop_response
        reason = reply and self.brief.check_output(text_of(reply.message))
        # A reply cannot be denied, only asked for again or changed.
        return Transform(lambda _: reply.message.update(content=[{"text": reason}])) if reason else Proceed()


def text_of(message: Message) -> str:
    return "\n".join(part["text"] for part in message["content"] if "text" in part)
