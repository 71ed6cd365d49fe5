"""Tries wordings of what the embedded models' chat template says after the results of tools.

`uv run python tests/benchmarks/wording.py` asks the embedded models the questions of `wording.toml`, which no task has,
once with each wording, and writes `WORDING.md` beside this file. It takes about half an hour on two cores, and keeps
each reply in `.bakeoff/wording`: what was asked already is not asked again.
"""

import argparse
import asyncio
import hashlib
import json
import re
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from evaluator import ROOT, files
from evaluator.models.local import EMBEDDED, TEMPLATE, LocalServer, Settings, local_model, model_digest
from evaluator.models.template import sentences
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
    "missing": "Is something that I asked for still missing here? Then call the next function for it. Otherwise give "
    "me the answer in plain text.",
    "use": "Use this result for the next call, if my request needs one. Otherwise give me the answer in plain text.",
}
MOST_TURNS = 5


@dataclass(frozen=True)
class Question:
    """A question, the messages that it is put in, the calls that it needs, and words of which the answer has one."""

    kind: str
    messages: tuple[dict[str, Any], ...]
    calls: tuple[str, ...]
    says: tuple[str, ...]


@dataclass(frozen=True)
class Answered:
    """What came of a question: the calls that were made, in order, and the last text; None if calls never ended."""

    calls: tuple[str, ...]
    text: str | None

    def right(self, question: Question) -> bool:
        """Whether the needed calls were made, none where none is needed, and the answer says what was asked."""
        if self.text is None or "```" in self.text or (self.calls and not question.calls):
            return False
        return set(question.calls) <= set(self.calls) and any(word in self.text for word in question.says)

    @property
    def repeats(self) -> bool:
        """Whether the same call was made again."""
        return len(set(self.calls)) < len(self.calls)


class Garden:
    """The questions, and the little tools that they are about."""

    def __init__(self) -> None:
        self._read = tomllib.loads(QUESTIONS.read_text(encoding="utf-8"))
        self._tools = {tool["name"]: tool for tool in self._read["tools"]}
        self.offered = [self._schema(tool) for tool in self._read["tools"]]
        self.questions = tuple(self._questions())

    def call(self, name: str, arguments: dict[str, Any]) -> tuple[str, str]:
        """The call as the questions name it, and what the tool says."""
        if name not in self._tools or set(arguments) != {self._tools[name]["parameter"]}:
            return f"{name}({arguments})", "Error: there is no such function with these arguments."
        (asked,) = arguments.values()
        known = self._tools[name]["results"].get(asked)
        return f"{name}({asked})", json.dumps(known) if known else f"Error: {asked!r} is not known."

    def _schema(self, tool: dict[str, Any]) -> dict[str, Any]:
        properties = {tool["parameter"]: {"type": "string"}}
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
        return {"type": "function", "function": {**_part(tool, "name", "description"), "parameters": parameters}}

    def _questions(self) -> Iterator[Question]:
        system = {"role": "system", "content": self._read["instructions"]}
        for kind in ("chain", "one_call", "no_call"):
            for one in self._read[kind]["questions"]:
                yield self._question(kind, one, system, _user(one["asks"]))
        handed = self._read["handed_over"]
        call = {"id": "call_0", "type": "function", "function": {"name": handed["handoff"], "arguments": "{}"}}
        calling = {"role": "assistant", "content": None, "tool_calls": [call]}
        done = {"role": "tool", "tool_call_id": "call_0", "content": handed["by_tool"]}
        for one in handed["questions"]:
            yield self._question("by tool message", one, system, _user(one["asks"]), calling, done)
        for one in handed["questions"]:
            yield self._question("by user message", one, system, _user(one["asks"]), _user(handed["by_user"]))

    def _question(self, kind: str, one: dict[str, Any], *messages: dict[str, Any]) -> Question:
        return Question(kind.replace("_", " "), messages, tuple(one.get("calls", ())), tuple(one.get("says", ("",))))


def _part(of: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: of[name] for name in names}


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
        digest = model_digest(self._server.model, settings)
        self._path = KEPT / f"{digest[:16]}.json"
        self._kept: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}

    async def ask_all(self) -> dict[str, list[Answered]]:
        """What came of each question, in their order, with each wording.

        All wordings of one question are asked one after the other: what they have in common is read once.
        """
        found: dict[str, list[Answered]] = {name: [] for name in WORDINGS}
        async with self._server, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(600)) as session:
            for number, question in enumerate(self._garden.questions, 1):
                for name, wording in WORDINGS.items():
                    found[name].append(await self._ask(session, question, wording))
                right = [name for name, answers in found.items() if answers[-1].right(question)]
                print(f"{self._server.model.name} {number}: {question.kind}: {', '.join(right) or 'none'}", flush=True)
        return found

    async def _ask(self, session: aiohttp.ClientSession, question: Question, wording: str) -> Answered:
        messages, calls = list(question.messages), []
        for _ in range(MOST_TURNS):
            message = await self._reply(session, messages, wording)
            asked = message.get("tool_calls") or []
            if not asked:
                return Answered(tuple(calls), message.get("content") or "")
            messages.append({"role": "assistant", "content": message.get("content"), "tool_calls": asked})
            for one in asked:
                call, said = self._garden.call(one["function"]["name"], _arguments(one))
                calls.append(call)
                messages.append({"role": "tool", "tool_call_id": one["id"], "content": said})
        return Answered(tuple(calls), None)

    async def _reply(self, session: aiohttp.ClientSession, messages: list[Any], wording: str) -> dict[str, Any]:
        """What the model says; a wording that does not stand in the prompt makes no difference."""
        shown = wording if any(message["role"] == "tool" for message in messages) else ""
        body = {"messages": messages, "tools": self._garden.offered, "temperature": 0, "max_tokens": 128}
        body |= {"chat_template_kwargs": {VARIABLE: shown}}
        key = hashlib.sha256(re.sub(r'"(tool_call_)?id": "\w*"', "", json.dumps(body)).encode()).hexdigest()
        if key not in self._kept:
            async with session.post(f"{self._server.base_url}/chat/completions", json=body) as response:
                response.raise_for_status()
                self._kept[key] = (await response.json())["choices"][0]["message"]
            files.write_whole(self._path, json.dumps(self._kept))
        kept: dict[str, Any] = self._kept[key]
        return kept


def _arguments(call: dict[str, Any]) -> dict[str, Any]:
    try:
        arguments = json.loads(call["function"]["arguments"])
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


def row(questions: tuple[Question, ...], answers: list[Answered]) -> list[str]:
    """Right answers of each kind and of all, and in how many questions calls were repeated, or never ended."""
    of = Counter(question.kind for question in questions)
    right = Counter(
        question.kind for question, answer in zip(questions, answers, strict=True) if answer.right(question)
    )
    repeated = sum(answer.repeats for answer in answers)
    endless = sum(answer.text is None for answer in answers)
    kinds = [f"{right[kind]} of {count}" for kind, count in of.items()]
    return [*kinds, f"**{right.total()} of {of.total()}**", str(repeated), str(endless)]


_WORDS = """\
<!-- generated by `{command}`; changes made by hand are lost -->

# What the template says after the results of tools

The harness runs `local` and `local-0.5b` with a chat template of its own, which ends the results of tools with a
sentence. These wordings were tried on {count} questions that are in no task (`wording.toml`): some that take one call,
some that take two of which the second depends on the first, some that take none, and some that another agent has handed
over, in a tool message or in a user message. Greedy, with the settings of runs.

{wordings}

The template has **{chosen}**. An answer is right where the calls that the question needs were made (none where it needs
none) and the text says what was asked. *Repeats*: questions in which the same call was made again; *endless*: those
that still made calls after {turns} turns.

{tables}
"""


def main() -> None:
    """Ask the models in turn, and write the table."""
    parser = argparse.ArgumentParser(description="Tries wordings of the embedded models' chat template.")
    parser.add_argument("--model", choices=EMBEDDED, help="only this one, without writing the table")
    parser.add_argument(
        "--threads", type=int, default=Settings().threads, help="fewer are faster where other programs are busy, too"
    )
    asked = parser.parse_args()
    only = asked.model
    garden, tables = Garden(), []
    for name in [only] if only else EMBEDDED:
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(Asker(garden, name, Path(folder) / TEMPLATE.name, asked.threads).ask_all())
        kinds = dict.fromkeys(question.kind for question in garden.questions)
        rows = [[wording, *row(garden.questions, answers)] for wording, answers in found.items()]
        tables.append(f"## `{name}`\n\n{table(['wording', *kinds, 'all', 'repeats', 'endless'], rows)}")
        print(tables[-1], flush=True)
    if only:
        return
    chosen = sentences()[VARIABLE]
    words = _WORDS.format(
        command=COMMAND,
        count=len(garden.questions),
        wordings=table(["wording", "text"], ([name, text or "—"] for name, text in WORDINGS.items()), 2),
        chosen=next(name for name, text in WORDINGS.items() if text == chosen),
        turns=MOST_TURNS,
        tables="\n\n".join(tables),
    )
    TABLE.write_text(words, encoding="utf-8")


if __name__ == "__main__":
    main()
