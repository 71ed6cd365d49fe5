"""A site of a few committed traces and of a hostile one, and what goes wrong on its pages."""

import base64
import gzip
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from evaluator.providers.names import PROBES_NAME
from evaluator.site.packed import SHARED_FILE
from evaluator.site.render import framework_page, run_page, slug
from evaluator.trace import Key, Trace, read_trace, trace_files

TAGS = "</pre></script><script>window.pwned = true</script><img src=x onerror='window.pwned = true'>"
UNSEEN = "turned \u202e round, \x00 null, \x1b[31m red, \ufffe no character, lone \\ud800"
HOSTILE = f"{TAGS} {UNSEEN} 🧨 {{{{ 7 * 7 }}}} {{% raw %}}"


@dataclass(frozen=True)
class Site:
    """Where the site is, and the pages of one ordinary run and of the hostile one, each also with a fault."""

    folder: Path
    traces: Path
    run: Key
    hostile: Key
    fault: Key
    hostile_fault: Key

    def url(self, page: str) -> str:
        """The address of a page, which may have a hash."""
        path, hash_, rest = page.partition("#")
        return (self.folder / path).as_uri() + hash_ + rest


@dataclass
class Watched:
    """A page, and whatever went wrong on it."""

    page: Page
    complaints: list[str]


def hostile_trace(trace: Trace, **key: str) -> Trace:
    """The run as one in which model, tools and framework all say what would harm a careless page."""
    call = trace.model_calls[0]
    message = {"role": "assistant", "content": HOSTILE, "tool_calls": [asked(HOSTILE)]}
    request = {
        **call.request,
        "messages": [
            *call.request["messages"],
            {"role": "user", "content": f"added {TAGS}"},
            {"role": HOSTILE, "content": 1},
        ],
        "tools": [*call.request["tools"], {"type": "function", "function": {"name": HOSTILE, "description": HOSTILE}}],
    }
    bad_call = call.model_copy(update={"request": request, "response": {"choices": [{"message": message}]}})
    failed = call.model_copy(update={"status": 500, "error": HOSTILE, "response": HOSTILE})
    tool = trace.tool_calls[0].model_copy(
        update={"name": HOSTILE, "agent": HOSTILE, "arguments": {HOSTILE: HOSTILE}, "result": HOSTILE, "error": HOSTILE}
    )
    return trace.model_copy(
        update={
            "key": trace.key.model_copy(update=key),
            "case": {**trace.case, "question": HOSTILE, "answer": HOSTILE},
            "model_calls": [bad_call, failed],
            "tool_calls": [tool],
            "outcome": trace.outcome.model_copy(update={"answer": HOSTILE, "ended": "error", "error": HOSTILE}),
        }
    )


def asked(text: str) -> dict[str, object]:
    return {"id": text, "type": "function", "function": {"name": text, "arguments": text}}


def pages(site: Site) -> dict[str, str]:
    """A page of every kind."""

    def first(folder: str) -> str:
        return min((site.folder / folder).rglob("*.html")).relative_to(site.folder).as_posix()

    probe = read_trace(trace_files(site.traces / PROBES_NAME)[0])
    assert isinstance(probe, Trace)
    return {
        "overview": "index.html",
        "compare": "compare.html",
        "runs": "runs.html",
        "run": run_page(site.run),
        "case": first("cases/local"),
        "probe": run_page(probe.key),
        "case of probes": first("cases/probes"),
        "method": "method.html",
        "hostile": run_page(site.hostile),
        "faults": "faults.html",
        "faults of one": framework_page(site.fault.framework),
        "run with a fault": _fault_page(site.fault),
        "hostile fault": _fault_page(site.hostile_fault),
        "capabilities": "capabilities.html",
        "capabilities of one": "capabilities/langgraph.html",
        "run of a capability": "capabilities/langgraph.html#durable-between-two-effects",
        "hostile capability": "capabilities/langgraph.html#durable-before-the-answer",
        "modules of a capability": "compare/durable.html",
        "history": "history.html",
        "suites": "suites.html",
    }


def _fault_page(key: Key) -> str:
    return f"{framework_page(key.framework)}#{slug(key.case)}"


def runs_on(page: Path) -> dict[str, dict[str, Any]]:
    """The runs that the page of a case holds, by name, as the page's script reads them; `shared` is with each."""
    found: dict[str, dict[str, Any]] = {}
    beside = page.with_name(SHARED_FILE)
    of_pages = _unpacked(beside.read_text().split('"')[1]) if beside.is_file() else []
    for packed in re.findall(r'<script type="application/gzip\+base64" class="runs">(.*?)</script>', page.read_text()):
        part = _unpacked(packed)
        shared = [of_pages[one] if isinstance(one, int) else one for one in part["shared"]]
        found |= {run["name"]: {**run, "shared": shared} for run in part["runs"]}
    return found


def _unpacked(data: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(data, validate=True)))


def text_in(run: dict[str, Any], value: str | int) -> str:
    """A text of a run, which may stand among what the runs share."""
    return run["shared"][value] if isinstance(value, int) else value
