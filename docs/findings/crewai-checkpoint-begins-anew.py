"""CrewAI: an agent that goes on from a checkpoint begins anew, and a tool that ran before runs again.

The model's server fails after the tool has run. Restored from the last checkpoint, written after that, the agent asks
the model as if nothing had been done, and charges the card a second time. It should go on with its messages. The
documentation also names `llm_call_completed` and tool events for finer checkpoints: these alone write none.

crewai 1.15.30: an executor clears its messages whenever it is invoked, `_resuming` or not
(crewai/agents/agent_executor.py:3058, :3149). Events of models and of an agent's executor are never matched with the
crew's or agent's configuration (crewai/state/checkpoint_listener.py:88).

CREWAI_DISABLE_TELEMETRY=true uv run --with crewai==1.15.30 docs/findings/crewai-checkpoint-begins-anew.py
"""

import json
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from crewai import LLM, Agent, CheckpointConfig, Crew, Task
from crewai.tools import BaseTool

CALL = {"id": "call_1", "type": "function", "function": {"name": "charge", "arguments": "{}"}}


class Server(BaseHTTPRequestHandler):
    fails = True

    def do_POST(self) -> None:
        messages = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"]
        done = messages[-1]["role"] == "tool"
        message = {"role": "assistant", "content": "Done.", "tool_calls": None if done else [CALL]}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.send_response(400 if done and Server.fails else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"id": "1", "created": 0, "model": "m", "choices": [choice]}).encode())


class Charge(BaseTool):
    name: str = "charge"
    description: str = "Charge the card."

    def _run(self) -> str:
        print("charged")
        return "ok"


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
llm = LLM(model="m", custom_openai=True, base_url=f"http://127.0.0.1:{server.server_port}", api_key="-")
agent = Agent(role="clerk", goal="Charge.", backstory="-", llm=llm, tools=[Charge()], max_retry_limit=0)
task = Task(description="Charge the card.", expected_output="-", agent=agent)
checkpoint = CheckpointConfig(location=tempfile.mkdtemp(), on_events=["agent_execution_error"])
try:
    Crew(agents=[agent], tasks=[task], checkpoint=checkpoint).kickoff()
except Exception as error:
    print(f"the run fails: {error}")
Server.fails = False
last = max(Path(checkpoint.location).rglob("*.json"), key=lambda path: path.stat().st_mtime)
Crew.from_checkpoint(CheckpointConfig(restore_from=last)).kickoff()  # charged, once more
