"""What agents and tools of a run have said so far, as the canonical request has it."""

from collections.abc import Sequence

from evaluator.analysis.parity.calls import Asked, Made, complaint
from evaluator.analysis.parity.request import ChatRequest
from evaluator.analysis.parity.spec import AgentSpec, TaskSpec
from evaluator.trace import TracedToolCall
from evaluator.wire import smallest
from evaluator.wire.handoffs import names_agent
from evaluator.wire.tokens import count_tokens


class Conversation:
    """The tokens of the conversation of one run, which grows with each reply of the model."""

    def __init__(self, spec: TaskSpec, made: Sequence[TracedToolCall]) -> None:
        self._spec = spec
        self._made = list(made)
        self._open: list[Asked] = []
        self._tokens = 0

    def add(self, agent: AgentSpec | None, text: str, asked: Sequence[Asked]) -> None:
        """A reply of the model: what it said, if it was an agent's turn, and the calls that it asked for."""
        if agent is not None:
            self._tokens += count_tokens(text)
        for call in asked:
            name, arguments = self._as_asked(agent, call)
            self._tokens += count_tokens(name) + count_tokens(arguments)
            if not self._spec.is_handoff(call.name):
                self._open.append(call)

    def tokens_at(self, request: ChatRequest, start_s: float) -> int:
        """The tokens of the conversation as a request at `start_s` has to carry it.

        The request itself is looked at for what no tool's function gave: the results of searches, and what a
        framework says of calls that it could not make.
        """
        by_framework = 0
        still_open: list[Asked] = []
        ended = Made(call for call in self._made if call.end_s <= start_s)
        for call in self._open:
            if (done := ended.take(call, self._spec.defaults(call.name))) is not None:
                words = complaint(done)
                self._tokens += count_tokens(smallest.as_text(done.result) if words is None else words)
            elif (found := self._found(request, call)) is not None:
                self._tokens += count_tokens(found)
            else:
                by_framework += count_tokens(request.result_of(call) or "")
                still_open.append(call)
        self._open = still_open
        untold = set(map(id, ended.rest()))
        self._made = [call for call in self._made if call.end_s > start_s or id(call) in untold]
        return self._tokens + by_framework

    def _as_asked(self, agent: AgentSpec | None, call: Asked) -> tuple[str, str]:
        """The name and the arguments of a call; of one that hands over as the agent's canonical request has it."""
        if agent is not None and self._spec.is_handoff(call.name):
            values = call.arguments.values() if isinstance(call.arguments, dict) else ()
            names = [call.name, *(value for value in values if isinstance(value, str))]
            for target in agent.handover.targets:
                if any(names_agent(name, target) for name in names):
                    return agent.handover.call(target)
        return call.name, call.written if isinstance(call.arguments, str) else smallest.as_json(call.arguments)

    def _found(self, request: ChatRequest, call: Asked) -> str | None:
        """The whole documents that a search found, at most `k`; None where there are none, or it was no search."""
        if not self._spec.passages:
            return None
        sent = request.result_of(call)
        found = request.documents_in(request.told if sent is None else sent)
        places = {place: self._spec.passages[id] for id, place in found.items()}
        return "\n".join(places[place] for place in sorted(places)[: self._spec.k]) or None
