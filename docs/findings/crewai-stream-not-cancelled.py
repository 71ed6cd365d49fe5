"""CrewAI: closing a stream does not end the model's call: it is read to its end, and paid for.

The reader leaves after the first piece. The model's server goes on sending, since the agent reads it to its end in a
thread. The connection should be closed, as it is where a flow's step asks a model itself with `await llm.acall(…)`.

crewai 1.15.30: the task is cancelled (crewai/utilities/streaming.py:323), but an agent's executor asks the model in
synchronous steps (crewai/agents/agent_executor.py:1697, :1729), which a flow runs in threads
(crewai/flow/runtime/__init__.py:3004).

CREWAI_DISABLE_TELEMETRY=true uv run --with crewai==1.15.30 docs/findings/crewai-stream-not-cancelled.py
"""

import asyncio
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from crewai import LLM, Agent
from crewai.flow import Flow, start


class Server(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        for number in range(20):
            chunk = {"id": "1", "choices": [{"index": 0, "delta": {"content": f"{number} "}}]}
            try:
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            except ConnectionError:
                return print(f"the server is left after piece {number}")
            time.sleep(0.1)
        print("the server has sent all of its pieces")


class Answer(Flow):
    @start()
    async def ask(self) -> object:
        return await agent.kickoff_async("Tell me something long.")


async def main() -> None:
    async with Answer().astream() as frames:
        async for frame in frames:
            if frame.type == "llm_stream_chunk":
                print("the reader leaves")
                break
    await asyncio.sleep(3)


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
llm = LLM(model="m", custom_openai=True, base_url=f"http://127.0.0.1:{server.server_port}", api_key="-", stream=True)
agent = Agent(role="talker", goal="Talk.", backstory="-", llm=llm)
asyncio.run(main())
