"""A run as compact data for `static/run.js`, which shows it.

The calls of a run send the same conversation again and again, and so do the runs of a case: what they share stands once
in `shared`, and is named by its place. What pages share stands once in a file beside them. All text is as a reader may
see it (`visible`); the script only sets it as text.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from evaluator.analysis.parity.report import parts_in_words, per_call
from evaluator.scorecard import count, seconds
from evaluator.scorecard.words import per_1000_runs
from evaluator.site.render import run_name
from evaluator.site.runs import (
    AskedCall,
    ChatCall,
    EmbeddingCall,
    Json,
    Message,
    OfferedTool,
    RunView,
    Span,
    Step,
    Text,
    ToolRun,
)
from evaluator.text import visible

_EXAMPLE_SHOWN = 400
_SHORT = 24
"""Characters. A shorter text stands where it is used."""

_PARTS = 5000
"""Into so many the wall time of a run is parted where it is drawn. `static/run.js` has it, too."""

_WHOSE = {
    "task": "the task's own",
    "handoff": "the framework's way to hand over",
    "framework": "added by the framework",
}
_SETUP = {
    "started": "started_at",
    "CPU": "cpu",
    "platform": "platform",
    "Python": "python",
    "commit": "git_commit",
    "implementation": "implementation_digest",
    "lock": "lock_digest",
    "task": "task_digest",
    "model": "model_digest",
}


SHARED_FILE = "shared.js"
"""What the pages of a folder share, as a script: a page that is opened from a file can read nothing else."""


def beside(runs: Sequence[Mapping[str, Any]], shared: Sequence[Any]) -> bytes:
    """The runs of a page until it is known what other pages share with it."""
    return zlib.compress(orjson.dumps({"shared": shared, "runs": runs}), 1)


def share(pages: Iterable[Sequence[bytes]]) -> tuple[list[Any], list[list[dict[str, Any]]]]:
    """The texts that stand in more than one of the pages, and what is left of each part of a page.

    There, in `shared`, a number takes the place of such a text: its place among the texts of all pages.
    """
    read = [[orjson.loads(zlib.decompress(part)) for part in parts] for parts in pages]
    on_pages = Counter(
        text for parts in read for text in dict.fromkeys(_form(one) for part in parts for one in part["shared"])
    )
    places = {text: place for place, text in enumerate(text for text, count in on_pages.items() if text and count > 1)}
    for parts in read:
        for part in parts:
            part["shared"] = [places.get(_form(one), one) for one in part["shared"]]
    return [orjson.loads(text) for text in places], read


def _form(value: Any) -> bytes:
    """A text, or JSON as a text, by which it is told from others; nothing for what has places in it."""
    return orjson.dumps(value) if isinstance(value, str) or (isinstance(value, dict) and "json" in value) else b""


class Packer:
    """Packs runs that share much. A number in what it gives is a place in `shared`."""

    def __init__(self) -> None:
        self.shared: list[Any] = []
        self._places: dict[bytes, int] = {}

    def run(self, view: RunView, title: str) -> dict[str, Any]:
        """One run. Times in seconds since its start, and everything else as it is shown."""
        run, trace, comparison = view.run, view.trace, view.comparison
        outcome = trace.outcome
        parts = parts_in_words(comparison.parts) if comparison else ""
        calls = f"{comparison.calls} of {comparison.made} calls" if comparison else ""
        return {
            "name": run_name(run.key),
            "framework": run.key.framework,
            "title": title,
            "trial": run.key.trial,
            "version": visible(trace.setup.framework_version),
            "passed": run.passed,
            "score": "" if view.about or run.score is None else f"score {run.score:.0%}",
            "reasons": [self._text(reason) for reason in run.reasons],
            "answer": self._text(outcome.answer),
            "ended": self._text(f"{outcome.ended.replace('_', ' ')}: {outcome.error}") if outcome.error else "",
            "facts": [
                ["wall", seconds(run.wall_s)],
                *([["waited for limits", seconds(run.split.waited_s)]] if run.split.waited_s else []),
                ["model", seconds(run.split.model_s)],
                ["tools", seconds(run.split.tool_s)],
                ["gateway", seconds(run.split.gateway_s)],
                ["overhead", seconds(run.split.overhead_s)],
                ["model calls", str(run.model_calls)],
                ["prompt tokens", count(run.prompt_tokens)],
                ["completion tokens", count(run.completion_tokens)],
                ["injected tokens", per_call(comparison.injected) if comparison else "–"],
                ["$ / 1,000 runs", per_1000_runs(view.cost_usd)],
            ],
            "parts": f"Injected over {calls}: {parts}." if parts else "",
            "prices": self._text(view.prices.in_words) if view.prices else "",
            "wall_s": round(run.wall_s + run.split.waited_s, 6),
            "wall": seconds(run.wall_s),
            "steps": [self._step(step, run.wall_s) for step in view.steps],
            "setup": self._add(
                [[label, visible(str(getattr(trace.setup, name) or "unknown"))] for label, name in _SETUP.items()]
            ),
        }

    def _add(self, value: Any) -> int:
        """The place of a value."""
        packed = orjson.dumps(value)
        if packed not in self._places:
            self._places[packed] = len(self.shared)
            self.shared.append(value)
        return self._places[packed]

    def _text(self, text: Text) -> str | int:
        if isinstance(text, Json):
            return self._add({"json": visible(text.compact)})
        shown = visible(text)
        return shown if len(shown) < _SHORT else self._add(shown)

    def _step(self, step: Step, wall_s: float) -> dict[str, Any]:
        event = step.event
        facts = [str(event.number), f"at {seconds(event.start_s)}", seconds(event.end_s - event.start_s)]
        packed: dict[str, Any] = {
            "lane": event.lane,
            "label": self._text(event.label),
            "from": _drawn(event.start_s, wall_s),
            "to": _drawn(event.end_s, wall_s),
            **({"failed": 1} if event.failed else {}),
            **({"injected": 1} if event.injected else {}),
        }
        if isinstance(step, ToolRun):
            agent = [f"tool of {visible(step.call.agent)}"] if step.call.agent else []
            what = "Error" if step.call.error is not None else "Result"
            packed |= {"arguments": self._text(step.arguments), "what": what, "result": self._text(step.result)}
        elif isinstance(step, EmbeddingCall):
            agent = []
            packed |= {"tokens": f"{count(step.call.input_tokens)} tokens", "embedded": self._text(step.what)}
        else:
            agent = [f"{visible(step.agent)}'s turn"] if step.agent else []
            packed |= self._chat(step)
        return packed | {"facts": " · ".join([*facts, *agent])}

    def _chat(self, step: ChatCall) -> dict[str, Any]:
        packed: dict[str, Any] = {
            "tokens": visible(_tokens(step)),
            "messages": [[message.number, self._add(self._message(message))] for message in step.messages],
            "parameters": self._text(step.parameters),
        }
        if step.tools:
            packed["tools"] = self._add([self._add(self._tool(tool)) for tool in step.tools])
        if step.tools_as_in:
            packed["as"] = step.tools_as_in
        if step.differences:
            tokens = sum(one.tokens or 0 for one in step.differences)
            number = len(step.differences)
            said = f"{number} difference{'s' if number > 1 else ''} from the task's spec"
            said += f", {count(tokens)} tokens of text" if tokens else ""
            differences = [
                [visible(one.name), f" {count(one.tokens)} tokens" if one.tokens else "", _cut(visible(one.example))]
                for one in step.differences
            ]
            packed["differ"] = self._add(
                [
                    said + (f", {count(tokens)} tokens of text" if tokens else ""),
                    [self._add(one) for one in differences],
                ]
            )
        if step.reply:
            packed["reply"] = self._text(step.reply)
        if step.asked:
            packed["asked"] = self._asked(step.asked)
        return packed

    def _message(self, message: Message) -> dict[str, Any]:
        packed: dict[str, Any] = {"role": visible(message.role), "spans": self._spans(message.spans)}
        if message.asked:
            packed["asked"] = self._asked(message.asked)
        return packed

    def _tool(self, tool: OfferedTool) -> dict[str, Any]:
        return {
            "name": visible(tool.name),
            "whose": _WHOSE[tool.whose],
            **({"added": 1} if tool.whose == "framework" else {}),
            "spans": self._spans(tool.description),
            "schema": self._text(tool.schema),
        }

    def _spans(self, spans: Sequence[Span]) -> list[list[Any]]:
        return [[span.kind, self._text(span.text)] for span in spans]

    def _asked(self, calls: Sequence[AskedCall]) -> list[list[Any]]:
        return [[visible(call.name), self._text(call.arguments)] for call in calls]


def _drawn(moment_s: float, wall_s: float) -> int:
    """Where a moment is drawn, in parts of the run's wall time: five to a point of the timeline."""
    return round(_PARTS * moment_s / wall_s) if wall_s else 0


def _tokens(step: ChatCall) -> str:
    """What a chat call took, in a sentence."""
    call = step.call
    cached = f" ({count(call.cached_tokens)} from the cache)" if call.cached_tokens else ""
    thought = f" ({count(call.reasoning_tokens)} of them to think)" if call.reasoning_tokens else ""
    words = [
        f"{count(call.input_tokens)} prompt tokens{cached}",
        f"{count(call.output_tokens)} completion tokens{thought}",
    ]
    if step.cost_usd is not None:
        words.append(f"${per_1000_runs(step.cost_usd)} for 1,000 of this call")
    if call.stream:
        words.append(f"streamed, first byte after {seconds(call.first_byte_s - call.sent_s)}")
    if call.status != 200 or call.error:
        words.append(f"status {call.status}" + (f": {call.error}" if call.error else ""))
    return ", ".join(words)


def _cut(text: str) -> str:
    return text if len(text) <= _EXAMPLE_SHOWN else f"{text[:_EXAMPLE_SHOWN]}…"
