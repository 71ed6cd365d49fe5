"""Tries wordings of what the embedded models' chat template says after the results of tools.

`uv run python tests/benchmarks/wording.py` puts the embedded models into the situations of `wording.toml`, which no
task has, once with each wording, and writes `WORDING.md` beside this file. It takes about 20 minutes on two idle cores,
and keeps each reply in `.bakeoff/wording`: what was asked already is not asked again.
"""

import argparse
import asyncio
import hashlib
import json
import re
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from typing import Any

import aiohttp

from evaluator import ROOT, files
from evaluator.models.embedded import EMBEDDED, Settings, model_digest
from evaluator.models.local import LocalServer, local_model
from evaluator.models.template import TEMPLATE, sentences
from evaluator.text import table

QUESTIONS = Path(__file__).with_suffix(".toml")
TABLE = Path(__file__).with_name("WORDING.md")
COMMAND = "uv run python tests/benchmarks/wording.py"
KEPT = ROOT / ".bakeoff" / "wording"
VARIABLE = "after_results"
"""The variable of the template that the wordings take the place of."""

WORDINGS = {
    "nothing": "",
    "answer": "Now give me the answer in plain text from these results. Only if something I asked for is still "
    "missing, call the function for it.",
    "if": "If my request needs another function, call it now. Otherwise answer it in plain text.",
    "use": "Use this result for the next call, if my request needs one. Otherwise give me the answer in plain text.",
    "yet": "If this does not answer my request yet, make the next call that it needs. Otherwise answer in plain text.",
    "go on": "Go on with my request: make the next call that it needs. If nothing is missing, answer in plain text.",
}
MOST_TOKENS = 96


class Did(StrEnum):
    """What a model did with its turn."""

    RIGHT = "right"
    REPEATED = "repeated"
    OTHER_CALL = "other call"
    OTHER_TEXT = "other text"


@dataclass(frozen=True)
class Situation:
    """A conversation in which all was right so far, and what has to come next: a call, or a text with one of the words.

    `kind` says what came last, and what has to come next. `made` are the calls so far.
    """

    kind: str
    messages: tuple[dict[str, Any], ...]
    made: tuple[str, ...]
    next_call: str | None
    says: tuple[str, ...]

    def judged(self, calls: Sequence[str], text: str) -> Did:
        """What the model did, from its calls and its text."""
        if any(call in self.made for call in calls):
            return Did.REPEATED
        if calls:
            return Did.RIGHT if self.next_call in calls else Did.OTHER_CALL
        answered = self.next_call is None and "```" not in text and any(word in text for word in self.says)
        return Did.RIGHT if answered else Did.OTHER_TEXT


class Garden:
    """The situations, and the little tools that they are about."""

    def __init__(self, first: int | None = None) -> None:
        self._read = tomllib.loads(QUESTIONS.read_text(encoding="utf-8"))
        self._tools = {tool["name"]: tool for tool in self._read["tools"]}
        self.offered = [self._schema(tool) for tool in self._read["tools"]]
        kinds = [list(self._after_a_first()), list(self._after_the_last()), list(self._thanked()), list(self._handed())]
        self.situations = tuple(one for turn in zip_longest(*kinds) for one in turn if one is not None)[:first]
        """Kinds in turn, so that a measurement that was cut short has some of each."""

    def result(self, call: str) -> str:
        """What a tool says to a call that is written `tool(text)`."""
        name, text = _parts(call)
        known = self._tools[name]["results"].get(text)
        return json.dumps(known) if known else f"Error: {text!r} is not known."

    def written(self, call: dict[str, Any]) -> str:
        """A call of the model as `tool(text)`."""
        function = call["function"]
        try:
            values = list(json.loads(function["arguments"]).values())
        except (ValueError, AttributeError):
            values = [function["arguments"]]
        return f"{function['name']}({', '.join(map(str, values))})"

    def _schema(self, tool: dict[str, Any]) -> dict[str, Any]:
        properties = {tool["parameter"]: {"type": "string"}}
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
        function = {"name": tool["name"], "description": tool["description"], "parameters": parameters}
        return {"type": "function", "function": function}

    def _after_a_first(self) -> Iterator[Situation]:
        for one in self._read["chain"]["questions"]:
            first, second = one["calls"]
            yield Situation("result, call next", self._asked(one, [first]), (first,), second, ())

    def _after_the_last(self) -> Iterator[Situation]:
        for kind in ("one_call", "chain"):
            for one in self._read[kind]["questions"]:
                calls = tuple(one["calls"])
                yield Situation("result, answer next", self._asked(one, calls), calls, None, tuple(one["says"]))

    def _thanked(self) -> Iterator[Situation]:
        before = self._read["one_call"]["questions"]
        for number, one in enumerate(self._read["no_call"]["questions"]):
            calls = tuple(before[number]["calls"])
            told = {"role": "assistant", "content": f"It is {before[number]['says'][0]}."}
            messages = (*self._asked(before[number], calls), told, _user(one["asks"]))
            yield Situation("talk, answer next", messages, (), None, tuple(one.get("says", ("",))))

    def _handed(self) -> Iterator[Situation]:
        handed = self._read["handed_over"]
        by = {"tool": self._called(0, handed["handoff"], "{}", handed["by_tool"]), "user": (_user(handed["by_user"]),)}
        for one in handed["questions"]:
            for kind, messages in by.items():
                (call,) = one["calls"]
                yield Situation(f"handed over by {kind}, call next", self._asked(one, []) + messages, (), call, ())

    def _asked(self, one: dict[str, Any], calls: Sequence[str]) -> tuple[dict[str, Any], ...]:
        messages = [{"role": "system", "content": self._read["instructions"]}, _user(one["asks"])]
        for number, call in enumerate(calls):
            name, text = _parts(call)
            arguments = json.dumps({self._tools[name]["parameter"]: text})
            messages += self._called(number, name, arguments, self.result(call))
        return tuple(messages)

    def _called(self, number: int, name: str, arguments: str, result: str) -> tuple[dict[str, Any], ...]:
        call = {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
        return (
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": result},
        )


def _parts(call: str) -> tuple[str, str]:
    name, _, text = call.removesuffix(")").partition("(")
    return name, text


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


class Asker:
    """Asks one model, started with a template that takes the wording from the request."""

    def __init__(self, garden: Garden, name: str, template: Path, threads: int) -> None:
        self._garden = garden
        text, found = re.subn(rf"(?m)^.*set {VARIABLE} = .*\n", "", TEMPLATE.read_text(encoding="utf-8"))
        assert found == 1
        template.write_text(text, encoding="utf-8")
        settings = Settings(threads=threads)
        self._server = LocalServer(replace(local_model(name), template=template), settings)
        self._path = KEPT / f"{model_digest(self._server.model, settings)[:16]}.json"
        self._kept: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}

    async def ask_all(self) -> dict[str, list[Did]]:
        """What the model did in each situation, in their order, with each wording.

        All wordings of one situation are tried one after the other: what they have in common is read once.
        """
        found: dict[str, list[Did]] = {name: [] for name in WORDINGS}
        async with self._server, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(600)) as session:
            for number, situation in enumerate(self._garden.situations, 1):
                for name, wording in WORDINGS.items():
                    message = await self._reply(session, situation, wording)
                    calls = [self._garden.written(call) for call in message.get("tool_calls") or []]
                    found[name].append(situation.judged(calls, message.get("content") or ""))
                did = ", ".join(f"{name}: {answers[-1]}" for name, answers in found.items())
                print(f"{self._server.model.name} {number} ({situation.kind}) {did}", flush=True)
        return found

    async def _reply(self, session: aiohttp.ClientSession, situation: Situation, wording: str) -> dict[str, Any]:
        """What the model says; a wording that does not stand in the prompt makes no difference."""
        shown = wording if any(message["role"] == "tool" for message in situation.messages) else ""
        body = {"messages": situation.messages, "tools": self._garden.offered}
        body |= {"temperature": 0, "max_tokens": MOST_TOKENS, "chat_template_kwargs": {VARIABLE: shown}}
        key = hashlib.sha256(json.dumps(body).encode()).hexdigest()
        if key not in self._kept:
            async with session.post(f"{self._server.base_url}/chat/completions", json=body) as response:
                response.raise_for_status()
                self._kept[key] = (await response.json())["choices"][0]["message"]
            files.write_whole(self._path, json.dumps(self._kept))
        kept: dict[str, Any] = self._kept[key]
        return kept


def row(situations: Sequence[Situation], did: Sequence[Did]) -> list[str]:
    """How many of each kind were right, and of all; and in how many a call was repeated."""
    of = Counter(situation.kind for situation in situations)
    right = Counter(one.kind for one, what in zip(situations, did, strict=True) if what is Did.RIGHT)
    kinds = [f"{right[kind]} of {count}" for kind, count in of.items()]
    return [*kinds, f"**{right.total()} of {of.total()}**", str(sum(what is Did.REPEATED for what in did))]


_WORDS = """\
<!-- generated by `{command}`; changes made by hand are lost -->

# What the template says after the results of tools

The harness runs `local` and `local-0.5b` with a chat template of its own. These wordings of what it says after the
results of tools were tried in {count} situations that are in no task (`wording.toml`): a result after which another
call has to come, a result after which the answer has to come, talk that needs no call, and a question that another
agent has handed over, in a tool message or in a user message. In each of them all was right so far, and one turn of the
model was judged: whether it made the call that has to come next, or gave the answer. Greedy, with the settings of runs.

{wordings}

The template has **{chosen}**. *Repeated*: turns in which a call was made again that had its result already, which is
how a run begins that never ends.

{tables}
"""


def main() -> None:
    """Ask the models in turn, and write the table."""
    parser = argparse.ArgumentParser(description="Tries wordings of the embedded models' chat template.")
    parser.add_argument("--model", choices=EMBEDDED, help="only this one")
    parser.add_argument(
        "--threads", type=int, default=Settings().threads, help="fewer are faster where other programs are busy, too"
    )
    parser.add_argument("--first", type=int, help="only so many situations")
    asked = parser.parse_args()
    garden, tables = Garden(asked.first), []
    for name in [asked.model] if asked.model else EMBEDDED:
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(Asker(garden, name, Path(folder) / TEMPLATE.name, asked.threads).ask_all())
        kinds = dict.fromkeys(situation.kind for situation in garden.situations)
        rows = [[wording, *row(garden.situations, did)] for wording, did in found.items()]
        tables.append(f"## `{name}`\n\n{table(['wording', *kinds, 'all', 'repeated'], rows)}")
    chosen = sentences()[VARIABLE]
    words = _WORDS.format(
        command=COMMAND,
        count=len(garden.situations),
        wordings=table(["wording", "text"], ([name, text or "—"] for name, text in WORDINGS.items()), 2),
        chosen=next(name for name, text in WORDINGS.items() if text == chosen),
        tables="\n\n".join(tables),
    )
    TABLE.write_text(words, encoding="utf-8")


if __name__ == "__main__":
    main()
