"""The site that the tests look at, and the browser that they look with."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from sites import HOSTILE, Site, Watched, hostile_trace

from evaluator import ROOT
from evaluator.catalog.frameworks import BASELINE, all_frameworks
from evaluator.catalog.tasks import all_tasks
from evaluator.history import LOCKED, Cell, NotInstalled, write_cell
from evaluator.packs import SUITES_FOLDER, read_packed
from evaluator.providers.names import CAPABILITIES_NAME, FAULTS_NAME, PROBES_NAME, SCRIPTED
from evaluator.site.build import build
from evaluator.trace import Trace, read_trace, write_trace
from tasks.suite import Verdict

FAULTS = ("broken_json", "status_500", "tool_raises")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    traces = folder / "traces"
    keys = []
    for model in (SCRIPTED, "local", PROBES_NAME):
        for task in all_tasks():
            for framework in all_frameworks():
                recorded = sorted((ROOT / "traces" / model / framework / task).glob("*.json"))
                for path in recorded[:2]:
                    target = traces / path.relative_to(ROOT / "traces")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, target)
                    trace = read_trace(path)
                    assert isinstance(trace, Trace)
                    keys.append(trace.key)
    ordinary = read_trace(min((ROOT / "traces" / SCRIPTED / BASELINE / "handoff").glob("*.json")))
    assert isinstance(ordinary, Trace)
    hostile = hostile_trace(ordinary, model="no/../<b>:model")
    write_trace(traces, hostile)
    faulty = [trace for name in (BASELINE, "langgraph") for trace in with_faults(name)]
    fault = next(trace for trace in faulty if trace.injected and trace.injected.fault == "status_500")
    hostile_fault = hostile_trace(fault, case="hostile")
    for trace in (*faulty, hostile_fault):
        write_trace(traces, trace)
    for name in (BASELINE, "langgraph"):
        shutil.copytree(ROOT / "traces" / CAPABILITIES_NAME / name, traces / CAPABILITIES_NAME / name)
    capable = {one.key.case: one for one in of_capabilities("langgraph") if one.key.task == "durable"}
    write_trace(traces, hostile_trace(capable["before-the-answer"]))  # counts in place of the packed one
    for cell in cells():
        write_cell(traces, cell)
    of_suites = traces / SUITES_FOLDER
    for name in (BASELINE, "langgraph"):
        shutil.copytree(ROOT / "traces" / SUITES_FOLDER / SCRIPTED / name, of_suites / SCRIPTED / name)
    found = (one for one in read_packed(of_suites, SCRIPTED, "langgraph") if isinstance(one, Trace))
    judged = next(one for one in found if one.key.task == "bfcl")
    wrong = Verdict(metrics={"accuracy": False}, reasons=[HOSTILE])
    write_trace(of_suites, judged.model_copy(update={"verdict": wrong}))  # counts in place of the packed one
    build(traces, folder / "site")
    run = next(key for key in keys if key.model == "local" and key.framework != BASELINE)
    return Site(folder / "site", traces, run, hostile.key, fault.key, hostile_fault.key)


def cells() -> list[Cell]:
    """LangGraph and the baseline at a few releases, with few runs, one that fails and one that cannot be installed."""

    def recorded(framework: str) -> list[Trace]:
        folder = ROOT / "traces" / SCRIPTED / framework
        found = [read_trace(min((folder / task).glob("*.json"))) for task in all_tasks()]
        return [one for one in found if isinstance(one, Trace)]

    def cell(framework: str, at: str, day: str, version: str | None, runs: list[Trace]) -> Cell:
        return Cell(framework=framework, at=at, day=day, version=version, depends_on="", recorded_at=day, traces=runs)

    ours, theirs = recorded("langgraph"), recorded(BASELINE)
    at = f"{BASELINE}@2026-02-01"
    older = [one.model_copy(update={"key": one.key.model_copy(update={"framework": at})}) for one in theirs]
    said = {"answer": "", "ended": "error", "error": HOSTILE}
    failed = [one.model_copy(update={"outcome": one.outcome.model_copy(update=said)}) for one in ours]
    unsolved = NotInstalled(step="lock", reason=HOSTILE)
    return [
        cell("langgraph", "2025-12-01", "2025-12-01", None, []).model_copy(update={"not_installed": unsolved}),
        cell("langgraph", "2026-01-01", "2026-01-01", "1.0.1", failed),
        cell("langgraph", "2026-02-01", "2026-02-01", "1.0.9", [*ours, *theirs]),
        cell("langgraph", "1.0.10", "2026-02-09", "1.0.10", [*ours, *theirs]),
        cell("langgraph", LOCKED, "2026-03-20", "1.1.0", [*ours, *theirs]),
        cell("langgraph", "code-2026-02", "2026-03-20", "1.1.0", [*ours, *theirs]),
        cell(BASELINE, "2026-02-01", "2026-02-01", "2.0.0", [*older, *theirs]),
        cell(BASELINE, LOCKED, "2026-03-20", "2.0.0", theirs),
    ]


def of_capabilities(framework: str) -> list[Trace]:
    """The committed runs of capability tasks."""
    return [one for one in read_packed(ROOT / "traces", CAPABILITIES_NAME, framework) if isinstance(one, Trace)]


def with_faults(framework: str) -> list[Trace]:
    """Some committed runs of `tool_calling` with faults, and those without that they are read beside."""
    found = [one for one in read_packed(ROOT / "traces", FAULTS_NAME, framework) if isinstance(one, Trace)]
    of_task = [one for one in found if one.key.task == "tool_calling"]
    return [one for one in of_task if one.injected is None or one.injected.fault in FAULTS]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Without one the tests are skipped, unless `BAKEOFF_REQUIRE_BROWSER` is set.

    Closed after its module: while it is open, no other test of this process can run an event loop.
    """
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        message = "there is no Chromium: install it with `apt-get install chromium`"
        pytest.fail(message) if os.environ.get("BAKEOFF_REQUIRE_BROWSER") else pytest.skip(message)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"], timeout=120_000)
        yield started
        started.close()


@pytest.fixture
def watched(browser: Browser, site: Site) -> Iterator[Watched]:
    """A page of a desktop's size. Its test fails for any message on the console and any request out of the site."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield from watch(context, site)


def watch(context: BrowserContext, site: Site) -> Iterator[Watched]:
    context.set_default_timeout(30_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    inside = site.folder.as_uri()
    page.on(
        "request",
        lambda request: None if request.url.startswith((inside, "data:")) else complaints.append(request.url),
    )
    yield Watched(page, complaints)
    context.close()
    assert not complaints
