"""Parallel agents in LlamaIndex: a step of a workflow fans out, another joins, and a handler has those that fail."""

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai_like import OpenAILike
from workflows import Workflow, catch_error, step
from workflows.events import Event, StartEvent, StepFailedEvent, StopEvent

from tasks.base import Model
from tasks.parallel.spec import AgentSpec, ParallelBrief


async def run(brief: ParallelBrief, model: Model) -> str:
    return await Advice(brief, model).run()


class Ask(Event):
    analyst: AgentSpec


class Found(Event):
    text: str


class Advice(Workflow):
    def __init__(self, brief: ParallelBrief, model: Model) -> None:
        super().__init__(timeout=model.timeout_s)  # the default is 45 s
        self.brief = brief
        self.llm = OpenAILike(
            model=model.name,
            api_base=model.base_url,
            api_key=model.api_key,
            temperature=model.temperature,
            is_chat_model=True,
            is_function_calling_model=True,
        )

    @step
    async def fan_out(self, ev: StartEvent) -> list[Ask]:
        return [Ask(analyst=analyst) for analyst in self.brief.branches]

    @step
    async def ask(self, ev: Ask) -> Found:
        return Found(text=f"{ev.analyst.name}: {await self.answer(ev.analyst, self.brief.question)}")

    @catch_error(for_steps=["ask"])
    async def failed(self, ev: StepFailedEvent) -> Found:
        return Found(text=f"{ev.input_event.analyst.name}: failed with {ev.exception}")

    @step
    async def join(self, events: list[Found]) -> StopEvent:
        found = "\n".join([self.brief.question, *(event.text for event in events)])
        return StopEvent(result=await self.answer(self.brief.join, found))

    async def answer(self, spec: AgentSpec, question: str) -> str:
        agent = FunctionAgent(llm=self.llm, name=spec.name, system_prompt=spec.instructions)
        return str(await agent.run(user_msg=question))
