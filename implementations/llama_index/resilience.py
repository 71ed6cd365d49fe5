"""Resilience in LlamaIndex: the client asks again and keeps the time, and an error handler asks another model."""

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.agent.workflow.workflow_events import AgentSetup
from llama_index.core.llms import LLM
from llama_index.llms.openai_like import OpenAILike
from workflows import catch_error
from workflows.events import StepFailedEvent

from tasks.base import Model
from tasks.resilience.spec import ResilienceBrief


async def run(brief: ResilienceBrief, model: Model) -> str:
    first, second = (
        OpenAILike(
            model=name,
            api_base=model.base_url,
            api_key=model.api_key,
            temperature=model.temperature,
            timeout=brief.request_timeout_s,
            max_retries=brief.attempts - 1,
            is_chat_model=True,
            is_function_calling_model=True,
        )
        for name in (model.name, brief.fallback)
    )
    agent = AgentWithFallback(llm=first, fallback=second, system_prompt=brief.instructions)
    return str(await agent.run(user_msg=brief.question))


class AgentWithFallback(FunctionAgent):
    fallback: LLM

    @catch_error(for_steps=["run_agent_step"])
    async def ask_another(self, ev: StepFailedEvent) -> AgentSetup:
        self.llm = self.fallback
        return ev.input_event  # what the step failed on
