r"""Pydantic AI with DBOS: after a crash, calls of one turn get one another's results, and nothing says so.

Tools that are no coroutines run in threads, at the same time, and DBOS numbers a step as it begins. The numbers follow
the order in which threads get on, which is another one when the workflow is recovered, and a recorded result is found
by its number: here 0, 1, 2, … come back as 0, 2, 1, … A recovered run should give each call its own result.

pydantic-ai-slim 2.68.0, dbos 3.4.0: the default mode is 'parallel_ordered_events', so that events replay in order
(pydantic_ai/durable_exec/dbos/_durability.py:149), but steps do not: plain functions go to threads
(pydantic_ai/_function_schema.py:100), where each step takes the next number (dbos/_context.py:252). What helps is
`parallel_execution_mode='sequential'`, or tools that are coroutines.

uv run --with "pydantic-ai-slim[dbos]==2.68.0" docs/findings/pydantic_ai-dbos-steps-mixed-up.py
"""

import asyncio
import os
import subprocess
import sys
import tempfile

from dbos import DBOS, SetWorkflowID
from pydantic_ai import Agent, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.durable_exec.dbos import DBOSDurability
from pydantic_ai.models.function import FunctionModel


def model(messages, info) -> ModelResponse:
    if len(messages) == 1:
        return ModelResponse([ToolCallPart("work", {"n": n}) for n in range(30)])
    if part == "start":
        os._exit(1)
    return ModelResponse([TextPart(str([result.content for result in messages[-1].parts]))])


@DBOS.step()
def work(n: int) -> int:
    return n


agent = Agent(FunctionModel(model), name="worker", tools=[work], capabilities=[DBOSDurability()])


@DBOS.workflow()
async def flow() -> str:
    return (await agent.run("Work.")).output


async def main() -> None:
    DBOS(config={"name": "worker", "system_database_url": f"sqlite:///{folder}/steps.sqlite", "log_level": "ERROR"})
    DBOS.launch()  # which recovers, the second time
    with SetWorkflowID("one"):
        handle = await DBOS.start_workflow_async(flow)
    print(await handle.get_result())  # not 0, 1, 2 …
    DBOS.destroy()


if sys.argv[1:]:
    folder, part = sys.argv[1:]
    asyncio.run(main())
else:
    with tempfile.TemporaryDirectory() as folder:
        for part in ("start", "resume"):
            subprocess.run([sys.executable, __file__, folder, part])
