"""Parity and injected tokens: what a framework puts on the wire beside the task's spec, from traces alone.

**Against the spec** every answered chat call is compared with what the task's brief says of the agent whose turn it is:
the one most of whose tools are offered, or where none is, the one whose instructions were sent. Instructions, question,
tool results and the parameters of the request are looked at here, tools in `evaluator/wire/tool_schemas.py`. No
difference:

- blanks before and after instructions and question, and in the JSON of a tool result or of a tool call's arguments;
- parameters at the default that the protocol gives them (`stream: false`, `tool_choice: "auto"`, …) and nulls;
- anything before or after the words of a tool's error; the wording with which a handoff is confirmed;
- what a handoff tool is called and how it is described: handoff tools are listed, but need no explanation.

**Calls** follow from the model's replies: as long as it asks for tool calls, it is asked again, and once it does not,
that is the answer. A call after an answer that leads to no tool call, such as that of a team's leader who passes it on,
is an *extra call*. *Fewer calls* are those of a run whose first agent had no turn, or that ended while the model
waited for what its tools gave. The scripted model asks for the tool calls of its script whatever the framework; others,
more or less are *other tool calls*.

**Documents** that a search finds are in no spec. They are compared with those of the baseline's run of the same case
and trial, where the baseline's traces are in the same folder. For nothing else are these needed.

**Injected tokens** are the tokens of a request less those of the canonical request of its step, which has what the spec
asks for in as few tokens as say it: see `evaluator/analysis/parity/canonical.py`. So the baseline has its own, too, and
where a framework leaves something out they may be below zero. All tokens of an extra call are injected. They are split
by part of the request. Both sides are counted with `evaluator/wire/tokens.py`, which is also how the scripted model
counts; other models have a tokenizer and a template of their own, so with them these are not quite the tokens that the
server counts, but they compare between models. A call that did not succeed, or has neither instructions nor tools of
any agent, cannot be compared, and counts on neither side: how many of the calls made were compared is told beside the
mean.
"""

from evaluator.analysis.parity.comparison import PARTS, Comparison, compare, compare_all, condensed
from evaluator.analysis.parity.observation import Observation, Step, observe
from evaluator.analysis.parity.request import Difference
from evaluator.analysis.parity.spec import AgentSpec, TaskSpec, task_spec
from evaluator.analysis.parity.summary import INFORMATION, Finding, Parity, mean_per_call, stale, summarise

__all__ = [
    "INFORMATION",
    "PARTS",
    "AgentSpec",
    "Comparison",
    "Difference",
    "Finding",
    "Observation",
    "Parity",
    "Step",
    "TaskSpec",
    "compare",
    "compare_all",
    "condensed",
    "mean_per_call",
    "observe",
    "stale",
    "summarise",
    "task_spec",
]
