"""LlamaIndex: llama-agents-dbos cannot launch with dbos 3, which it does not exclude.

`pip install llama-agents-dbos` installs dbos 3, and each launch fails: "Queue objects cannot be constructed directly".
It should ask for dbos below 3, or register its queues.

llama-agents-dbos 0.7.0: it makes a `Queue` (llama_agents/dbos/runtime.py:136) and asks for dbos>=2.18. From dbos 2.20
on a second runtime in one process fails, too: it sets `worker_concurrency`, which has no setter any more (:143).

uv run --with llama-agents-dbos==0.7.0,dbos==3.4.0 docs/findings/llama_index-dbos-3.py
"""

import asyncio
from tempfile import mkdtemp

from dbos import DBOS
from llama_agents.dbos import DBOSRuntime
from workflows import Workflow, step
from workflows.events import StartEvent, StopEvent


class Greeting(Workflow):
    @step
    async def greet(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result="Hello")


async def main() -> None:
    DBOS(config={"name": "greeting", "system_database_url": f"sqlite:///{mkdtemp()}/db", "run_admin_server": False})
    runtime = DBOSRuntime()
    workflow = Greeting(runtime=runtime)
    await runtime.launch()  # raises DBOSException
    print(await workflow.run())


asyncio.run(main())
