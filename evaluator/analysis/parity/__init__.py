"""Parity: what a framework puts on the wire beside the task's spec and the baseline, from traces alone.

**Against the spec** every answered chat call is compared with what the task's brief says of the agent whose turn it is:
the one most of whose tools are offered, or where none is, the one whose instructions were sent. Instructions, question,
tool results and the parameters of the request are looked at here, tools in `evaluator/wire/tool_schemas.py`. No
difference:

- blanks before and after instructions and question, and in the JSON of a tool result or of a tool call's arguments;
- parameters at the default that the protocol gives them (`stream: false`, `tool_choice: "auto"`, …) and nulls;
- anything before or after the words of a tool's error; the wording with which a handoff is confirmed;
- what a handoff tool is called and how it is described: handoff tools are listed, but need no explanation.

**Against the baseline** the calls of the same case and trial are paired by step. A step is whose turn it is, and which
tool calls the model has asked for so far in the run (handoffs aside, in any order). The pairs are the longest common
subsequence of the two runs' steps, so they keep the order, and the first of several calls at one step is paired first.
Where both runs made the same tool calls altogether, a call of the framework without a partner is an *extra call*, and
one of the baseline *fewer calls*. Where they did not, calls without a partner are the model's doing and are left alone;
but the scripted model asks for the same calls whatever the framework, so there this is a difference, too.

**Injected tokens** are the prompt tokens of a call less those of its partner, as the wire has them; those of an extra
call are all injected. They are split by part of the request, counted with `evaluator/wire/tokens.py`, which is also
how the scripted model counts; with other models a remainder is left, since they have a tokenizer and a template of
their own.
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
