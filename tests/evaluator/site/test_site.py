"""The site's files: the same bytes again, links that lead somewhere, nothing from outside, nothing unescaped."""

import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image
from sites import HOSTILE, TAGS, Site, runs_on, text_in

from evaluator import ROOT, scorecard
from evaluator.analysis.metrics import METRICS
from evaluator.analysis.pairs import Pair
from evaluator.analysis.repricing import DEFAULT_MODELS
from evaluator.catalog.frameworks import all_frameworks
from evaluator.catalog.suites import all_suites
from evaluator.errors import Mistake
from evaluator.packs import SUITES_FOLDER
from evaluator.providers.names import CAPABILITIES_NAME, FAULTS_NAME, PROBES_NAME
from evaluator.providers.prices import calls_cost_usd, chat_tokens, find, started_at
from evaluator.scorecard import Cell
from evaluator.scorecard.words import per_1000_runs, per_1000_runs_on
from evaluator.site.build import build
from evaluator.site.charts import pareto_front, spread
from evaluator.site.costs import PRICED_ON, of_cells, prices
from evaluator.site.output import MADE_BY, replacing
from evaluator.site.overview import Statement, selections, statements
from evaluator.site.packed import SHARED_FILE
from evaluator.site.render import case_page, framework_page, run_page, slug, visible
from evaluator.site.screenshot import take
from evaluator.trace import Key, Trace, read_trace, trace_files, trace_path

pytestmark = pytest.mark.xdist_group("site")  # one process builds one site

TITLES = {"a": "First", "b": "Second"}
TWO_CELLS = [Cell("local", name, None, ("1",), {metric.name: 1 for metric in METRICS}, (), {}, None) for name in TITLES]


class Reader(HTMLParser):
    """Collects what a page links to, its ids, and what the content security policy must not need to forbid."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.scripts: list[str] = []
        self.forbidden: list[str] = []
        self.policy = ""
        self._in_script = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.links += [values[name] for name in ("href", "src") if name in values]
        self.forbidden += [name for name in values if name == "style" or name.startswith("on")]
        if "id" in values:
            self.ids.append(values["id"])
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]
        self._in_script = tag == "script" and values.get("type") not in ("application/json", "application/gzip+base64")

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.scripts.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_traces_give_the_same_bytes(site: Site, tmp_path: Path) -> None:
    build(site.traces, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(site.folder)


def test_every_run_with_a_fault_that_came_is_on_the_page_of_its_framework(site: Site) -> None:
    found = [read_trace(path) for path in trace_files(site.traces, [FAULTS_NAME])]
    met = {}
    for trace in (one for one in found if isinstance(one, Trace)):
        if trace.injected is None or trace.injected.came == 0:
            continue
        run = runs_on(site.folder / framework_page(trace.key.framework))[slug(trace.key.case)]
        assert run["about"].startswith(f"{trace.injected.fault}, {trace.injected.strength}")
        met[trace.key] = (sum(step.get("injected", 0) for step in run["steps"]), trace.injected.came)
    assert len(met) > 20
    assert all(marked == came for key, (marked, came) in met.items() if came and key != site.hostile_fault)


def test_every_run_is_on_the_page_of_its_case(site: Site) -> None:
    files = (path for path in trace_files(site.traces) if not path.is_relative_to(site.traces / SUITES_FOLDER))
    traces = [read_trace(path) for path in files]
    apart = (FAULTS_NAME, CAPABILITIES_NAME)
    keys = [trace.key for trace in traces if isinstance(trace, Trace) and trace.key.model not in apart]
    assert len(keys) > 50
    for key in keys:
        page, _, name = run_page(key).partition("#")
        assert runs_on(site.folder / page)[name]["framework"] == key.framework
    pages = list((site.folder / "cases").rglob("*.html"))
    assert len(pages) == len({case_page(key.model, key.task, key.case) for key in keys})
    assert sum(len(runs_on(page)) for page in pages) == len(keys)


def test_links_lead_to_files_of_the_site_or_home_pages(site: Site) -> None:
    homepages = {one.homepage for one in (*all_frameworks().values(), *all_suites().values())}
    every = sorted(site.folder.rglob("*.html"))
    ids = {page.resolve(): {"", *read(page).ids, *runs_on(page)} for page in every}
    for page in every:
        reader = read(page)
        for link in reader.links:
            if link in homepages or link == "data:,":
                continue
            parts = urlsplit(link)
            assert not parts.scheme and not parts.netloc, (page, link)
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page.resolve()
            assert target.is_file() and target.is_relative_to(site.folder.resolve()), (page, link)
            if not parts.path or ("cases" in target.parts and target.suffix == ".html"):
                assert unquote(parts.fragment) in ids[target], (page, link)


def test_pages_have_a_policy_and_nothing_inline(site: Site) -> None:
    for page in site.folder.rglob("*.html"):
        reader = read(page)
        assert "default-src 'none'" in reader.policy and "unsafe" not in reader.policy, page
        assert not reader.forbidden and not reader.scripts, page
        assert len(reader.ids) == len(set(reader.ids)), page


def test_no_file_names_this_machine_or_another(site: Site) -> None:
    for name, content in contents(site.folder).items():
        assert str(Path.home()).encode() not in content, name
        if name.endswith((".css", ".js")) and not name.endswith(SHARED_FILE):  # which has compressed data
            assert b"http" not in content.replace(b"http://www.w3.org/2000/svg", b""), name  # the name of a namespace
    for page in (site.folder / "cases").rglob("*.html"):
        assert str(Path.home()) not in str(runs_on(page)), page


def test_hostile_text_is_escaped_on_every_page(site: Site) -> None:
    shown = [page for page in site.folder.rglob("*.html") if "window.pwned" in page.read_text(encoding="utf-8")]
    assert len(shown) >= 2  # its case, all runs
    for page in shown:
        text = page.read_text(encoding="utf-8")
        assert TAGS not in text and "<script>window" not in text and "<img src=x" not in text
        assert not set("\x00\x1b\u202e\ufffe") & set(text)
    page, _, name = run_page(site.hostile).partition("#")
    run = str(runs_on(site.folder / page)[name])
    assert "⟨U+202E⟩" in run and "⟨U+0000⟩" in run and "{{ 7 * 7 }}" in run and TAGS.replace("'", "\\'") in run
    assert not set("\x00\x1b\u202e\ufffe") & set(run)


def test_a_newcomers_questions_are_answered_for_every_model_and_task(site: Site) -> None:
    for selection in selections(scorecard.build(site.traces)):
        if selection.model == site.hostile.model:
            continue  # the baseline alone: there is no framework to speak of
        assert [statement.question for statement in selection.statements] == [
            "Which framework adds the most tokens?",
            "Which is fastest beyond the model?",
            "Do the differences in correctness mean anything?",
        ]


def test_a_probe_passes_if_what_the_framework_did_will_do(site: Site) -> None:
    card = scorecard.build(site.traces)
    assert card.behaviours
    for one in card.behaviours:
        if one.probe == "concurrency":
            continue  # several runs are judged together
        key = Key(model=PROBES_NAME, framework=one.framework, task=one.task, case=one.probe, trial=1)
        page, _, name = run_page(key).partition("#")
        run = runs_on(site.folder / page)[name]
        assert run["passed"] == one.acceptable
        assert visible(one.words) in text_in(run, run["reasons"][0])


def test_the_cost_of_a_run_is_that_of_its_calls(site: Site) -> None:
    trace = read_trace(trace_path(site.traces, site.run))
    assert isinstance(trace, Trace)
    calls, at, model = chat_tokens(trace), started_at(trace), find(PRICED_ON)
    assert calls and at
    cost = calls_cost_usd(model.provider, model.entry, [replace(tokens, cached=None) for tokens in calls], at)
    page, _, name = run_page(site.run).partition("#")
    run = runs_on(site.folder / page)[name]
    assert ["$ / 1,000 runs", per_1000_runs(cost)] in run["facts"]
    assert sum("for 1,000 of this call" in step.get("tokens", "") for step in run["steps"]) == len(calls)
    assert "Costs are estimates" in text_in(run, run["prices"])


def test_the_overview_has_what_runs_would_have_cost_on_other_models(site: Site) -> None:
    priced = scorecard.build(site.traces, prices=DEFAULT_MODELS).repricing
    assert priced
    page = (site.folder / "index.html").read_text(encoding="utf-8")
    for model, rates in zip(priced.models, priced.rates, strict=True):
        assert page.count(f'<th scope="col" class="number">{model.name}</th>') == len(
            {(r.model, r.task) for r in priced.rows}
        )
        assert rates and f'<th scope="row">{model.name}</th><td class="number">{rates.prompt:g}</td>' in page
    for row in priced.rows:
        figures = "".join(f'<td class="number">{per_1000_runs_on(cost)}</td>' for cost in row.costs)
        assert f"{figures}</tr>" in page


def test_a_model_with_a_price_has_its_own() -> None:
    at = datetime(2026, 11, 25, tzinfo=UTC)
    assert prices("anthropic/claude-sonnet-4-5", at).own
    assert not prices("local", at).own
    cells = selections(scorecard.build(ROOT / "traces", models=["local-0.5b"]))[0].cells
    assert of_cells(cells, None) is None
    priced = [replace(cell, metrics={**cell.metrics, "cost_usd_mean": 0.5}) for cell in cells]
    costs = of_cells(priced, None)
    assert costs and costs.on == "local-0.5b" and set(costs.usd.values()) == {0.5}


def test_whether_differences_mean_anything_is_said_from_the_pairs() -> None:
    pair = Pair("local", None, "pass_rate", "b", "a", 24, 24, 0.5, 0.3, 0.7, 0.001, 0.01, 0.25, None, "higher")
    assert "Yes, for 1 of 1 pairs of frameworks" in said(statements(TWO_CELLS, [pair], TITLES))
    assert "Second is higher than First" in said(statements(TWO_CELLS, [pair], TITLES))
    tie = replace(pair, verdict="tie")
    assert "No, these cases cannot tell the frameworks apart" in said(statements(TWO_CELLS, [tie], TITLES))
    assert "less than about 25 points" in said(statements(TWO_CELLS, [tie], TITLES))
    none = replace(tie, p_holm=None, detectable=None)
    assert "Every run came out alike" in said(statements(TWO_CELLS, [none], TITLES))
    apart = [replace(TWO_CELLS[0], metrics={**TWO_CELLS[0].metrics, "pass_rate": 0.5}), *TWO_CELLS[1:]]
    assert "So few cases can show no difference" in said(statements(apart, [none], TITLES))
    assert "There is nothing to compare" in said(statements(TWO_CELLS, [], TITLES))


def test_what_ties_with_the_fastest_is_named() -> None:
    pair = Pair("local", None, "overhead_s", "b", "a", 24, 24, 0.1, -0.1, 0.3, 0.5, 1.0, 0.9, None, "tie")
    assert "A tie with it, as far as these cases can tell: Second." in said(statements(TWO_CELLS, [pair], TITLES))
    assert "A tie" not in said(statements(TWO_CELLS, [replace(pair, verdict="higher")], TITLES))


def said(about: list[Statement]) -> str:
    return "\n".join(f"{one.question} {one.answer} {one.because}" for one in about)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium")
def test_the_start_page_fits_a_small_picture(site: Site, tmp_path: Path) -> None:
    take(site.folder, tmp_path / "docs" / "site.png")
    assert (tmp_path / "docs" / "site.png").stat().st_size < 150_000
    with Image.open(tmp_path / "docs" / "site.png") as image:
        assert image.width == 1280


def test_a_site_of_no_traces_says_so(tmp_path: Path) -> None:
    (tmp_path / "traces").mkdir()
    build(tmp_path / "traces", tmp_path / "site")
    for name in ("index.html", "runs.html", "method.html"):
        assert "There are no runs yet" in (tmp_path / "site" / name).read_text(encoding="utf-8")
    assert 'id="pair"' in (tmp_path / "site" / "compare.html").read_text(encoding="utf-8")


def test_a_damaged_trace_is_named_and_the_rest_is_shown(site: Site, tmp_path: Path) -> None:
    traces = tmp_path / "traces"
    target = traces / "local" / "one.json"
    target.parent.mkdir(parents=True)
    target.write_text("{")
    card = build(traces, tmp_path / "site")
    assert [damaged.path for damaged in card.damaged] == ["local/one.json"]


def test_a_new_site_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "site"
    for number in (1, 2):
        with replacing(out) as folder:
            (folder / "index.html").write_text(MADE_BY)
            (folder / f"{number}.html").write_text("")
    assert sorted(contents(out)) == ["2.html", "index.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_site_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "site"
    with replacing(out) as folder:
        (folder / "index.html").write_text(MADE_BY)
    with pytest.raises(RuntimeError), replacing(out) as folder:
        (folder / "other.html").write_text("")
        raise RuntimeError
    assert sorted(contents(out)) == ["index.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(Mistake, match="something else"), replacing(tmp_path):
        pass
    with pytest.raises(Mistake, match="a file of this name"), replacing(tmp_path / "precious.txt"):
        pass
    assert (tmp_path / "precious.txt").read_text() == "x"


@pytest.mark.parametrize("text", ["..", ".", "", "a/../b", "ä4", "a:b", "~", HOSTILE, "x" * 5000])
def test_a_slug_is_one_harmless_name(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_+~-][A-Za-z0-9._+~-]*", slug(text))
    assert len(slug(text)) <= 100


def test_slugs_differ_where_texts_do() -> None:
    texts = ["a/b", "a+b", "a~b", "ä4", "\u0e44", "", "~", "x" * 200, "x" * 201, "..", "."]
    assert len({slug(text) for text in texts}) == len(texts)


def test_pages_of_a_key_that_leads_elsewhere_stay_in_the_site() -> None:
    key = Key(model="../..", framework="..", task="/etc", case="../../x", trial=1)
    assert ".." not in run_page(key).split("/") and not run_page(key).startswith("/")
    assert ".." not in case_page(key.model, key.task, key.case).split("/")


def test_what_cannot_be_seen_is_spelled_out() -> None:
    assert visible("a\u202eb\x00\r\nc\td") == "a⟨U+202E⟩b⟨U+0000⟩\nc\td"
    assert visible("naïve 日本 👩\u200d💻") == "naïve 日本 👩\u200d💻"


def test_the_pareto_front_is_what_none_beats() -> None:
    assert pareto_front([(2, 0.5), (1, 0.2), (3, 0.5), (2, 0.1), (4, 0.9), (1, 0.2)]) == [(1, 0.2), (2, 0.5), (4, 0.9)]


def test_names_beside_points_keep_their_order_and_a_gap() -> None:
    assert spread([1.0, 0.5, 0.0], 0.25) == [1.0, 0.5, 0.0]
    assert spread([0.5, 0.5, 0.0], 0.25) == [0.625, 0.375, 0.0]
    assert spread([0.5, 0.5, 0.5], 0.25) == [0.75, 0.5, 0.25]
