"""The scripted model for outside suites: a tool that a framework offers under another name is the same tool to it.

The names of our own tools are plain: no framework changes them. Those of suites are whatever their authors called them,
and where a framework writes `GET_PARCEL_STATE` as `get_parcel_state`, a model that reads it calls it so.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

from evaluator.models.upstreams.scripted import ScriptedSession, ScriptedUpstream, scripted_digest
from tasks.cases import Script


def suites_digest() -> str:
    """Digest of the way in which it plays."""
    return hashlib.sha256(scripted_digest().encode() + Path(__file__).read_bytes()).hexdigest()[:16]


class SuiteUpstream(ScriptedUpstream):
    """Answers chat completions, plain and streamed, from the script of the run."""

    def session(self, script: Script) -> ScriptedSession:
        """What has been played so far in a run that is about to start."""
        return SuiteSession(script)


class SuiteSession(ScriptedSession):
    """The scripted model in one run of an outside suite."""

    def _reply(
        self, messages: list[dict[str, Any]], tools: dict[str, dict[str, Any]], one_at_a_time: bool
    ) -> dict[str, Any]:
        offered = self._offered(tools)
        known = {name: step for step, name in offered.items()}
        plain = {known.get(name, name): function for name, function in tools.items()}
        reply = super()._reply([_renamed(message, known) for message in messages], plain, one_at_a_time)
        return _renamed(reply, offered)

    def _offered(self, tools: dict[str, dict[str, Any]]) -> dict[str, str]:
        """The tools of steps that are offered under another name, with that name."""
        alike: dict[str, list[str]] = {}
        for name in tools:
            alike.setdefault(_plain(name), []).append(name)
        wanted = {step.tool for step in self._steps} - {*tools}
        return {tool: names[0] for tool in wanted if len(names := alike.get(_plain(tool), [])) == 1}


def _plain(name: str) -> str:
    """A name without what frameworks change: capitals, and what is neither letter nor digit."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _renamed(message: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The message with the tools that it calls under other names."""
    calls = message.get("tool_calls")
    if not calls or not names:
        return message
    functions = [
        {**call["function"], "name": names.get(call["function"]["name"], call["function"]["name"])} for call in calls
    ]
    return {**message, "tool_calls": [{**call, "function": one} for call, one in zip(calls, functions, strict=True)]}
