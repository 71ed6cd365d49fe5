"""Durable runs in Agno: with checkpoints, the run is written to the database after each batch of tool calls."""

from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.openai import OpenAILike
from agno.run.agent import RunOutput
from agno.run.base import RunStatus

from tasks.base import Model
from tasks.durable.spec import DurableBrief

RUN = "booking"  # known beforehand, so that another process can go on with it


async def start(brief: DurableBrief, model: Model) -> str:
    return answer(await booking_desk(brief, model).arun(brief.question, run_id=RUN))


async def resume(brief: DurableBrief, model: Model) -> str:
    return answer(await booking_desk(brief, model).acontinue_run(run_id=RUN))


def booking_desk(brief: DurableBrief, model: Model) -> Agent:
    llm = OpenAILike(
        id=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    return Agent(
        model=llm,
        instructions=brief.instructions,
        tools=brief.tools,
        db=SqliteDb(db_file=str(brief.store / "agno.db")),
        session_id=brief.thread,
        checkpoint="tool-batch",
        telemetry=False,
    )


def answer(result: RunOutput) -> str:
    if result.status != RunStatus.completed:  # errors come back as if they were the answer
        raise RuntimeError(result.content)
    return result.content
