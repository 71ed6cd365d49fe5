"""Structured output in CrewAI: a response format for the model, and a guardrail on what its task gives.

With a task's `output_pydantic` alone an invalid value is an error, after which the task begins anew and the model does
not hear of it. The guardrail tells it what is wrong.
"""

from crewai import LLM, Agent, Crew, Task, TaskOutput
from crewai.tools import tool
from crewai.utilities.pydantic_schema_utils import generate_model_description
from pydantic import BaseModel, ValidationError

from tasks.base import Model
from tasks.structured_output.spec import StructuredOutputBrief


async def run(brief: StructuredOutputBrief, model: Model) -> BaseModel:
    llm = LLM(
        model=model.name,
        custom_openai=True,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        timeout=model.timeout_s,
        # Not `response_format`: it takes from optional fields that they may be null.
        additional_params={"response_format": generate_model_description(brief.output_type, strip_null_types=False)},
    )
    agent = Agent(
        role="assistant",
        goal="Answer the question.",
        backstory=brief.instructions,
        llm=llm,
        tools=[tool(function) for function in brief.tools],
        max_iter=model.max_model_calls,
    )

    def is_valid(output: TaskOutput) -> tuple[bool, TaskOutput | str]:
        try:
            output.pydantic = brief.output_type.model_validate_json(output.raw)
        except ValidationError as error:
            return False, str(error)
        return True, output

    task = Task(
        description=brief.question,
        expected_output=f"One {brief.output_type.__name__}.",
        agent=agent,
        guardrail=is_valid,
        guardrail_max_retries=model.max_model_calls,
    )
    result = await Crew(agents=[agent], tasks=[task]).kickoff_async()
    return result.pydantic
