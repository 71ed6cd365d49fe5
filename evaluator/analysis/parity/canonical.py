"""The canonical request of a step: what the task's spec asks for there, in as few tokens as say it.

It has the instructions of the agent whose turn it is, the question, the agent's tools with the smallest schema that
says the same (`evaluator/wire/smallest.py`), a way to hand over if the agent may, and what agents and tools of this
very run have said so far (`conversation.py`), in JSON without blanks. So it depends on the spec and on what the model
did. A framework whose agents see less than the whole conversation, as in a delegation, sends less.

**Handing over** is one function without parameters for each agent that may be handed over to, or one function that
names them all in an enum, whichever takes fewer tokens with the descriptions of the agents. The call is answered by an
empty message: that the next agent has its turn is all there is to say.

**Tool calls** have the name and the arguments that the model gave. **Results** are those that the tool's function gave
or the words of its error; where it was not called (the model asked for a tool that there is not, or with arguments that
do not fit) what the framework told the model. Of a search, which the framework brings itself, it is the whole documents
that it found, at most `k`, a line each after the other; where no whole document stands in it, its text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from evaluator.wire import smallest
from evaluator.wire.tokens import count_tokens

_HANDOFF = "handoff"


@dataclass(frozen=True)
class Handover:
    """How the canonical request lets an agent hand over: to whom, and when, in words."""

    targets: Mapping[str, str]

    @cached_property
    def tools(self) -> list[dict[str, Any]]:
        """The functions that are offered for it: one for each target, or one for all, whichever takes fewer tokens."""
        each = [smallest.tool(f"{_HANDOFF}_to_{name}", when) for name, when in self.targets.items()]
        if not each:
            return []
        when = "\n".join(f"{name}: {words}" if words else name for name, words in self.targets.items())
        to = {"type": "string", "enum": list(self.targets)}
        one = [smallest.tool(_HANDOFF, when, {"type": "object", "properties": {"to": to}, "required": ["to"]})]
        return min(each, one, key=lambda tools: count_tokens(smallest.as_json(tools)))

    def call(self, target: str) -> tuple[str, str]:
        """The name and the arguments, as JSON, of the call that hands over to an agent."""
        one_for_all = [tool["function"]["name"] for tool in self.tools] == [_HANDOFF]
        return (_HANDOFF, smallest.as_json({"to": target})) if one_for_all else (f"{_HANDOFF}_to_{target}", "{}")


def standing_parts(
    instructions: str, question: str, tools: Sequence[bytes], handoff_tools: Sequence[dict[str, Any]]
) -> dict[str, int]:
    """The tokens of what every canonical request of an agent has, by part; `tools` are its own, as JSON."""
    own = ",".join(tool.decode() for tool in tools)
    handoffs = smallest.as_json(handoff_tools)[1:-1]
    of_own = count_tokens(f"[{own}]") if own else 0
    of_all = count_tokens(f"[{','.join(filter(None, (own, handoffs)))}]") if handoffs else of_own
    return {
        "system text": count_tokens(instructions),
        "user messages": count_tokens(question),
        "tools": of_own,
        "handoff tools": of_all - of_own,
    }
