"""Tries wordings of what the embedded models' chat template says after the results of tools.

`uv run python tests/benchmarks/wording.py` plays the conversations of `wording.toml`, which no task has, with the
embedded models, once with each wording, and writes `WORDING.md` beside this file. It takes about an hour on two idle
cores, and keeps each reply in `.bakeoff/wording`: what was asked already is not asked again.
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
VARIABLES = ("after_results", "after_more_results")
"""The variables of the template that the two sentences of a wording take the place of."""

_ANSWER = (
    "Now give me the answer in plain text from these results. Only if something I asked for is still missing, call the "
    "function for it."
)
_YET = "If this does not answer my request yet, make the next call that it needs. Otherwise answer in plain text."
_IF = "If my request needs another function, call it now. Otherwise answer it in plain text."
_GO_ON = "Go on with my request: make the next call that it needs. If nothing is missing, answer in plain text."

WORDINGS = {
    "nothing": ("", ""),
    "answer": (_ANSWER, _ANSWER),
    "yet": (_YET, _YET),
    "yet, then answer": (_YET, _ANSWER),
    "if, then answer": (_IF, _ANSWER),
    "go on, then answer": (_GO_ON, _ANSWER),
}
"""By name: what is said after the first results since the user spoke, and what after later ones."""

MOST_TOKENS = 96
MOST_TURNS = 6
"""Turns of the model, twice as many as the longest chain needs."""


class Ended(StrEnum):
    """How a conversation ended."""

    RIGHT = "right"
    WRONG = "wrong"
    ENDLESS = "endless"


@dataclass(frozen=True)
class Conversation:
    """The beginning of a conversation, and the words of which its answer must have one."""

    kind: str
    messages: tuple[dict[str, Any], ...]
    says: tuple[str, ...]

    def judged(self, answer: str) -> Ended:
        """How it ended with this answer."""
        return Ended.RIGHT if "```" not in answer and any(word in answer for word in self.says) else Ended.WRONG


@dataclass(frozen=True)
class Played:
    """How a conversation ended, and after how many turns of the model."""

    ended: Ended
    turns: int


class Garden:
    """The conversations, and the little tools that they are about."""

    def __init__(self, first: int | None = None) -> None:
        self._read = tomllib.loads(QUESTIONS.read_text(encoding="utf-8"))
        self._tools = {tool["name"]: tool for tool in self._read["tools"]}
        self.offered = [self._schema(tool) for tool in self._read["tools"]]
        kinds = [list(self._asking("one_call")), list(self._asking("chain")), list(self._talk()), list(self._handed())]
        self.conversations = tuple(one for turn in zip_longest(*kinds) for one in turn if one is not None)[:first]
        """Kinds in turn, so that a measurement that was cut short has some of each."""

    def result(self, call: str) -> str:
        """What a tool says to a call that is written `tool(text)`."""
        name, text = _parts(call)
        if name not in self._tools:
            return f"Error: there is no function {name!r}."
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

    def _asking(self, kind: str) -> Iterator[Conversation]:
        for one in self._read[kind]["questions"]:
            yield Conversation(kind.replace("_", " "), self._asked(one, []), tuple(one["says"]))

    def _talk(self) -> Iterator[Conversation]:
        before = self._read["one_call"]["questions"]
        for number, one in enumerate(self._read["no_call"]["questions"]):
            told = {"role": "assistant", "content": f"It is {before[number]['says'][0]}."}
            messages = (*self._asked(before[number], before[number]["calls"]), told, _user(one["asks"]))
            yield Conversation("talk", messages, tuple(one.get("says", ("",))))

    def _handed(self) -> Iterator[Conversation]:
        handed = self._read["handed_over"]
        by = {"tool": self._called(0, handed["handoff"], "{}", handed["by_tool"]), "user": (_user(handed["by_user"]),)}
        for one in handed["questions"]:
            for kind, messages in by.items():
                yield Conversation(f"handed over by {kind}", self._asked(one, []) + messages, tuple(one["says"]))

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
        lines = rf"(?m)^.*set ({'|'.join(VARIABLES)}) = .*\n"
        text, found = re.subn(lines, "", TEMPLATE.read_text(encoding="utf-8"))
        assert found == len(VARIABLES)
        template.write_text(text, encoding="utf-8")
        settings = Settings(threads=threads)
        self._server = LocalServer(replace(local_model(name), template=template), settings)
        self._path = KEPT / f"{model_digest(self._server.model, settings)[:16]}.json"
        self._kept: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}

    async def play_all(self) -> dict[str, list[Played]]:
        """How each conversation went, in their order, with each wording.

        All wordings of one conversation are tried one after the other: what they have in common is read once.
        """
        found: dict[str, list[Played]] = {name: [] for name in WORDINGS}
        async with self._server, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(600)) as session:
            for number, conversation in enumerate(self._garden.conversations, 1):
                for name in WORDINGS:
                    found[name].append(await self._play(session, conversation, name))
                went = ", ".join(f"{name}: {all_of[-1].ended}" for name, all_of in found.items())
                print(f"{self._server.model.name} {number} ({conversation.kind}) {went}", flush=True)
        return found

    async def _play(self, session: aiohttp.ClientSession, conversation: Conversation, wording: str) -> Played:
        messages = list(conversation.messages)
        for turn in range(1, MOST_TURNS + 1):
            said = await self._reply(session, messages, wording)
            calls = said.get("tool_calls") or []
            if not calls:
                return Played(conversation.judged(said.get("content") or ""), turn)
            messages.append({"role": "assistant", "content": said.get("content"), "tool_calls": calls})
            for call in calls:
                result = self._garden.result(self._garden.written(call))
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
        return Played(Ended.ENDLESS, MOST_TURNS)

    async def _reply(self, session: aiohttp.ClientSession, messages: Any, wording: str) -> dict[str, Any]:
        """What the model says; a wording that does not stand in the prompt makes no difference."""
        has_results = any(message["role"] == "tool" for message in messages)
        shown = dict(zip(VARIABLES, WORDINGS[wording] if has_results else ("", ""), strict=True))
        body = {"messages": messages, "tools": self._garden.offered}
        body |= {"temperature": 0, "max_tokens": MOST_TOKENS, "chat_template_kwargs": shown}
        key = hashlib.sha256(_without_ids(body).encode()).hexdigest()
        if key not in self._kept:
            async with session.post(f"{self._server.base_url}/chat/completions", json=body) as response:
                response.raise_for_status()
                self._kept[key] = (await response.json())["choices"][0]["message"]
            files.write_whole(self._path, json.dumps(self._kept))
        kept: dict[str, Any] = self._kept[key]
        return kept


def _without_ids(body: dict[str, Any]) -> str:
    """The request but for the ids of calls, which the server draws anew each time and the template does not show."""
    return re.sub(r'"(id|tool_call_id)": "[^"]*"', "", json.dumps(body))


def row(conversations: Sequence[Conversation], played: Sequence[Played]) -> list[str]:
    """How many of each kind were right, and of all; how many did not end; and the turns that the model had."""
    of = Counter(one.kind for one in conversations)
    right = Counter(one.kind for one, how in zip(conversations, played, strict=True) if how.ended is Ended.RIGHT)
    kinds = [f"{right[kind]} of {count}" for kind, count in of.items()]
    endless = sum(how.ended is Ended.ENDLESS for how in played)
    return [*kinds, f"**{right.total()} of {of.total()}**", str(endless), str(sum(how.turns for how in played))]


_WORDS = """\
<!-- generated by `{command}`; changes made by hand are lost -->

# What the template says after the results of tools

The harness runs `local` and `local-0.5b` with a chat template of its own. These wordings of what it says after the
results of tools were tried in {count} conversations that are in no task (`wording.toml`): questions that one call
answers, questions that need a second call with what the first one gave, talk that needs no call, and questions
that another agent has handed over, in a tool message or in a user message. Each was played until the model answered, or
had had {turns} turns: then it is *endless*. Greedy, with the settings of runs.

{wordings}

The template has **{chosen}**.

{tables}
"""


def main() -> None:
    """Play with the models in turn, and write the table."""
    parser = argparse.ArgumentParser(description="Tries wordings of the embedded models' chat template.")
    parser.add_argument("--model", choices=EMBEDDED, help="only this one")
    parser.add_argument(
        "--threads", type=int, default=Settings().threads, help="fewer are faster where other programs are busy, too"
    )
    parser.add_argument("--first", type=int, help="only so many conversations")
    asked = parser.parse_args()
    garden, tables = Garden(asked.first), []
    for name in [asked.model] if asked.model else EMBEDDED:
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(Asker(garden, name, Path(folder) / TEMPLATE.name, asked.threads).play_all())
        kinds = dict.fromkeys(one.kind for one in garden.conversations)
        rows = [[wording, *row(garden.conversations, played)] for wording, played in found.items()]
        tables.append(f"## `{name}`\n\n{table(['wording', *kinds, 'all', 'endless', 'turns'], rows)}")
    TABLE.write_text(
        _WORDS.format(
            command=COMMAND,
            count=len(garden.conversations),
            turns=MOST_TURNS,
            wordings=table(
                ["wording", "after the first results", "after later ones"],
                (
                    [name, first or "—", "the same" if later == first else later]
                    for name, (first, later) in WORDINGS.items()
                ),
                2,
            ),
            chosen=chosen(),
            tables="\n\n".join(tables),
        ),
        encoding="utf-8",
    )


def chosen() -> str:
    """The wording that the template has."""
    said = tuple(sentences()[variable] for variable in VARIABLES)
    return next(name for name, both in WORDINGS.items() if both == said)


if __name__ == "__main__":
    main()
