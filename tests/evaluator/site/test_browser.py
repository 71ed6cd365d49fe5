"""The site in a real browser: no complaint on any page, all by mouse and by keyboard, accessibility."""

import json
import re

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sites import TAGS, Site, Watched, pages, runs_on

from evaluator.analysis.references import REFERENCES
from evaluator.catalog.frameworks import IMPLEMENTATIONS, all_frameworks, implementation_path
from evaluator.catalog.tasks import all_tasks

pytestmark = pytest.mark.xdist_group("site")  # one process builds one site

KINDS = ("overview", "compare", "runs", "run", "case", "probe", "case of probes", "method", "hostile")
KINDS += ("faults", "faults of one", "run with a fault")
KINDS += ("capabilities", "capabilities of one", "run of a capability", "modules of a capability")
KINDS += ("history", "suites")
NAMES = list(all_frameworks())
TASKS = list(all_tasks())


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_fits_and_is_accessible(kind: str, watched: Watched, site: Site) -> None:
    page = watched.page
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.goto(site.url(pages(site)[kind]))
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        for image in page.locator("img:visible").all():
            image.scroll_into_view_if_needed()
            expect(image).to_have_js_property("complete", True)
            assert image.evaluate("image => image.naturalWidth") > 0
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    for scheme, only in (("light", None), ("dark", {"runOnly": ["color-contrast"]})):  # nothing else depends on it
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
        found = Axe().run(page, options=only)["violations"]
        assert not [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found], scheme


def test_what_hostile_traces_say_is_shown_and_not_run(watched: Watched, site: Site) -> None:
    page = watched.page
    seen = (
        "hostile",
        "hostile fault",
        "faults of one",
        "faults",
        "hostile capability",
        "capabilities",
        "history",
        "suites",
        "runs",
        "overview",
    )
    for kind in seen:
        page.goto(site.url(pages(site)[kind]))
        page.wait_for_load_state()
        assert page.evaluate("window.pwned") is None
    page.goto(site.url(pages(site)["hostile"]))
    expect(page.locator(".reply").first).to_contain_text(TAGS)
    assert page.locator("main img").count() == 0
    expect(page.locator(".message mark", has_text="window.pwned").first).to_be_visible()


def test_an_injected_script_would_not_run(browser: Browser, site: Site) -> None:
    """The policy holds by itself: a script and a handler put into a page do nothing."""
    page = browser.new_page()
    page.goto(site.url("index.html"))
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.pwned = true\">')")
    page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'window.pwned = true'; document.body.append(s)"
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.pwned") is None
    page.close()


# --- faults ----------------------------------------------------------------------------------


def test_from_the_heat_map_to_a_run_with_its_fault_marked(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url("faults.html"))
    page.locator("table.heat").first.get_by_role("link", name=re.compile("LangGraph, status_500")).click()
    expect(page.locator("#fault-status_500")).to_be_in_viewport()
    page.locator("#fault-status_500 .mark").first.click()
    expect(page.locator("h1:visible")).to_contain_text("status_500, once, from the first place on")
    expect(page.locator("#across")).to_be_hidden()
    assert page.locator(".timeline .injected").count() == page.locator(".the-fault").count() == 1
    expect(page.locator(".call.failed .the-fault")).to_have_text("the fault")
    page.locator("a.neighbour", has_text="OpenAI client only").click()
    expect(page.locator("h1:visible")).to_contain_text("OpenAI client only")
    expect(page.locator("h1:visible")).to_contain_text("status_500, once, from the first place on")
    page.go_back()
    page.go_back()
    expect(page.locator("#across")).to_be_visible()


def test_the_heat_map_sorts_by_a_framework(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url("faults.html"))
    heat = page.locator("table.heat").first
    names = heat.locator("tbody th")
    assert [text.split()[0] for text in names.all_inner_texts()] == ["broken_json", "status_500", "tool_raises"]
    heat.get_by_role("button", name="LangGraph").click()
    assert names.first.inner_text().startswith("broken_json")  # from which it never recovers
    heat.get_by_role("button", name="LangGraph").click()
    assert names.last.inner_text().startswith("broken_json")


# --- capabilities ----------------------------------------------------------------------------


def test_from_the_table_of_capabilities_to_a_run_and_to_the_code(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url("capabilities.html"))
    page.get_by_role("link", name="LangGraph, Durable runs").click()
    expect(page.locator("#of-durable")).to_be_in_viewport()
    page.locator("#of-durable .mark").nth(1).click()
    expect(page.locator("h1:visible")).to_contain_text("when killed between two effects of one turn")
    expect(page.get_by_text("process 1:")).to_contain_text("killed")
    assert page.locator(".timeline .injected").count() == 0
    page.go_back()
    page.locator("#of-durable").get_by_role("link", name="The modules side by side").click()
    expect(page.locator("#pair")).to_contain_text("async def resume")


# --- a year of releases ----------------------------------------------------------------------


def test_from_a_cell_to_its_reason_by_keyboard(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url("index.html"))
    page.locator("main").get_by_role("link", name="A year of releases").click()
    cell = page.get_by_role("link", name=re.compile(r"LangGraph, 2026-01-01 \(1\.0\.1\): 0 of \d runs passed; why"))
    cell.focus()
    page.keyboard.press("Enter")
    reason = page.locator("tr", has=page.locator("#why-langgraph-2026-01-01"))
    expect(reason).to_be_in_viewport()
    expect(reason).to_contain_text("window.pwned")


@pytest.mark.parametrize("width", [390, 1280])
def test_every_small_chart_is_drawn_with_its_figures_apart(width: int, watched: Watched, site: Site) -> None:
    page = watched.page
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(site.url("history.html"))
    for chart in page.locator("svg.chart:visible").all():
        box = chart.bounding_box()
        assert box and box["width"] > 60 and box["height"] > 20
    overlapping = """all => all.filter(ends => {
        const [one, other] = [...ends.children].map(child => child.getBoundingClientRect());
        return (other && one.right > other.left) || ends.scrollWidth > ends.clientWidth;
    }).length"""
    assert page.locator(".ends").evaluate_all(overlapping) == 0
    tops = page.locator(".measure:visible").evaluate_all("""all => all.map(
        one => [...one.querySelectorAll('svg')].map(svg => Math.round(svg.getBoundingClientRect().top))
    )""")
    assert width < 1100 or all(column == tops[0] for column in tops)  # a framework's charts are in one line


def test_the_charts_of_runs_are_those_of_the_chosen_task(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url("history.html"))
    shown = page.locator(".measure:visible h3 small")
    before = shown.count()
    assert [text.startswith("all tasks") for text in shown.all_inner_texts()] == [True] * 4 + [False] * (before - 4)
    page.get_by_role("combobox", name="Task").select_option("handoff")
    expect(page).to_have_url(re.compile("#costs/handoff$"))
    assert shown.count() == before and shown.first.inner_text().startswith("handoff")
    expect(page.locator(".measure:visible .whose:visible")).to_have_count(2)
    chart = page.locator(".measure:visible li", has_text="LangGraph").first
    expect(chart.locator("title").last).to_have_text(re.compile(r"^1\.1\.0 of 2026-03-20: \d"))
    page.go_back()
    expect(shown.first).to_contain_text("all tasks")
    page.goto(site.url("method.html"))
    page.goto(site.url("history.html#costs/rag_qa"))
    expect(page.get_by_role("combobox", name="Task")).to_have_value("rag_qa")
    expect(page.locator("#costs")).to_be_in_viewport()


# --- overview --------------------------------------------------------------------------------


def visible_rows(page: Page) -> list[str]:
    return page.locator("#matrix tbody:visible tr th a").all_inner_texts()


def test_the_overview_shows_the_chosen_model_and_task(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url("index.html"))
    expect(page.locator("#model")).to_have_value("local")
    assert len(visible_rows(page)) == len(NAMES)
    page.select_option("#model", "scripted")
    page.select_option("#task", "handoff")
    expect(page).to_have_url(re.compile(r"#scripted/handoff$"))
    shown = page.locator("tbody.chosen:visible")
    expect(shown).to_have_count(1)
    expect(shown).to_have_attribute("data-model", "scripted")
    expect(shown).to_have_attribute("data-task", "handoff")
    expect(page.locator(".short:visible")).to_contain_text("Which framework adds the most tokens?")
    assert page.locator(".plots:visible img").count() == 6
    page.go_back()
    expect(page.locator("tbody.chosen:visible")).to_have_attribute("data-task", "")
    page.goto(site.url("index.html#local/rag_qa"))
    expect(page.locator("tbody.chosen:visible")).to_have_attribute("data-task", "rag_qa")


def test_the_matrix_is_sorted_by_mouse_and_by_keyboard(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url("index.html"))
    before = visible_rows(page)
    column = page.locator("th[data-sort=overhead_s_p50]")
    column.get_by_role("button").click()
    expect(column).to_have_attribute("aria-sort", "ascending")
    index = page.locator("#matrix thead th").evaluate_all(
        "all => all.findIndex(th => th.dataset.sort === 'overhead_s_p50')"
    )
    cells = page.locator(f"#matrix tbody:visible tr > :nth-child({index + 1})")
    values = cells.evaluate_all("all => all.map(cell => cell.dataset.value)")
    known = [float(value) for value in values if value]
    assert known == sorted(known) and values[len(known) :] == [""] * (len(values) - len(known))  # the unknown come last
    column.get_by_role("button").press("Enter")
    expect(column).to_have_attribute("aria-sort", "descending")
    values = cells.evaluate_all("all => all.map(cell => cell.dataset.value)")
    assert [float(value) for value in values[: len(known)]] == sorted(known, reverse=True)
    page.locator("th[data-sort=name] button").click()
    assert visible_rows(page) == sorted(before, key=str.lower)


def test_floors_and_ceiling_stay_below_whatever_is_sorted(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url("index.html"))
    rows = page.locator("#matrix tbody:visible tr:visible")
    titles = [reference.title for reference in REFERENCES]
    for _ in range(2):
        page.locator("th[data-sort=pass_rate] button").click()
        last = rows.evaluate_all(f"all => all.slice(-{len(titles)}).map(row => row.cells[0].textContent)")
        assert last == titles


def test_levels_and_components_are_shown_of_what_is_chosen(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url("index.html"))
    expect(page.locator(".levels:visible img")).to_have_count(1)
    expect(page.get_by_role("region", name="Pass rate by level: model local, all tasks")).to_be_visible()
    expect(page.get_by_role("region", name="Components of the grade")).to_have_count(0)
    page.select_option("#model", "scripted")
    page.select_option("#task", "rag_qa")
    components = page.get_by_role("region", name="Components of the grade: model scripted, rag_qa")
    assert components.locator("thead th").all_text_contents()[1:5] == ["retrieval", "facts", "citations", "abstention"]


def test_the_theme_is_switched_and_kept(watched: Watched, site: Site) -> None:
    page = watched.page
    page.emulate_media(color_scheme="light")
    page.goto(site.url("index.html"))
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(background) != light
    page.goto(site.url("method.html"))
    assert page.evaluate(background) != light
    page.get_by_role("button", name="Light").click()
    assert page.evaluate(background) == light


# --- side by side ----------------------------------------------------------------------------


def hash_of(page: Page) -> str:
    return str(page.evaluate("location.hash"))


def test_side_by_side_shows_every_line_of_both(watched: Watched, site: Site) -> None:
    page = watched.page
    left, right = NAMES[1], NAMES[2]
    for address in (f"{left},{right}/handoff", f"{right},{left}/handoff"):
        page.goto(site.url(f"compare.html#{address}"))
        page.reload()
        for column, name in zip((2, 4), address.split("/")[0].split(","), strict=True):
            cells = page.locator(f"#pair .part tr > td.code:nth-child({column})").all_text_contents()
            source = implementation_path(IMPLEMENTATIONS / name, "handoff").read_text(encoding="utf-8")
            assert [line for line in cells if line.strip()] == [line for line in source.splitlines() if line.strip()]


def test_side_by_side_by_mouse(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url("compare.html"))
    expect(page.locator("table.pair")).to_be_visible()
    first = hash_of(page)
    assert first == f"#{NAMES[0]},{NAMES[1]}/{TASKS[0]}"
    page.select_option("#left", NAMES[3])
    page.select_option("#task", TASKS[2])
    assert hash_of(page) == f"#{NAMES[3]},{NAMES[1]}/{TASKS[2]}"
    page.locator("#swap").click()
    assert hash_of(page) == f"#{NAMES[1]},{NAMES[3]}/{TASKS[2]}"
    page.select_option("#left", NAMES[3])  # is on the other side: they change places
    assert hash_of(page) == f"#{NAMES[3]},{NAMES[1]}/{TASKS[2]}"
    title = all_frameworks()[NAMES[3]].title
    expect(page.locator("table.pair thead th").first).to_have_text(title)
    expect(page.locator(".heads h2").first).to_contain_text(title)
    for _ in range(4):
        page.go_back()
    expect(page.locator("#left")).to_have_value(NAMES[0])
    assert hash_of(page) == first


def test_side_by_side_by_keyboard(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url(f"compare.html#{NAMES[0]},{NAMES[1]}/{TASKS[0]}"))
    expect(page.locator("table.pair")).to_be_visible()
    for key, expected in (
        ("b", f"#{NAMES[0]},{NAMES[2]}/{TASKS[0]}"),
        ("a", f"#{NAMES[1]},{NAMES[2]}/{TASKS[0]}"),
        ("a", f"#{NAMES[3]},{NAMES[2]}/{TASKS[0]}"),  # past the one on the other side
        ("Shift+A", f"#{NAMES[1]},{NAMES[2]}/{TASKS[0]}"),
        ("t", f"#{NAMES[1]},{NAMES[2]}/{TASKS[1]}"),
        ("Shift+T", f"#{NAMES[1]},{NAMES[2]}/{TASKS[0]}"),
        ("s", f"#{NAMES[2]},{NAMES[1]}/{TASKS[0]}"),
    ):
        page.keyboard.press(key)
        page.wait_for_function("expected => location.hash === expected", arg=expected)
        expect(page.locator("#left")).to_have_value(expected[1:].split(",")[0])
    page.keyboard.press("j")
    expect(page.locator(".part .heading th").first).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator(".part .heading th").nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator(".part .heading th").first).to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_have_attribute("open", "")
    page.locator("#keys-on").uncheck()
    before = hash_of(page)
    page.keyboard.press("t")
    page.wait_for_timeout(200)
    assert hash_of(page) == before


def test_keys_leave_a_list_that_has_the_focus_alone(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url(f"compare.html#{NAMES[0]},{NAMES[1]}/{TASKS[0]}"))
    page.locator("#left").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("start => location.hash !== start", arg=f"#{NAMES[0]},{NAMES[1]}/{TASKS[0]}")
    before = hash_of(page)
    page.keyboard.press("b")
    page.wait_for_timeout(200)
    assert page.locator("#right").input_value() in before


@pytest.mark.parametrize(
    ("address", "complaint"),
    [("nope,baseline/handoff", "There is no framework “nope”"), ("baseline/nope", "There is no task “nope”")],
)
def test_an_address_of_something_else_says_so(address: str, complaint: str, watched: Watched, site: Site) -> None:
    watched.page.goto(site.url(f"compare.html#{address}"))
    expect(watched.page.get_by_role("alert")).to_contain_text(complaint)
    expect(watched.page.locator("table.pair")).to_be_visible()


def test_a_phone_gets_one_under_the_other(watched: Watched, site: Site) -> None:
    page = watched.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(site.url(f"compare.html#{NAMES[1]},{NAMES[2]}/rag_qa"))
    expect(page.locator("#pair .whose").first).to_be_visible()
    assert page.locator("#pair tr:has(td.code)").first.locator("td").count() == 2


def test_without_javascript_all_code_is_there(browser: Browser, site: Site) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.url("compare.html"))
    expect(page.locator("#sources article").first).to_be_visible()
    page.goto(site.url("index.html"))
    expect(page.locator("#matrix tbody").last).to_be_visible()
    context.close()


# --- runs ------------------------------------------------------------------------------------


def test_runs_are_filtered(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url("runs.html"))
    marks = page.locator(".grid a.mark:visible")
    every = marks.count()
    page.select_option("#model", "local")
    page.select_option("#task", "handoff")
    expect(page.locator(".grid:visible")).to_have_count(1)
    page.select_option("#framework", NAMES[1])
    expect(page.locator(".marks thead th:visible")).to_have_count(2)
    assert 0 < marks.count() < every
    page.select_option("#framework", "")
    page.select_option("#cases", "failed")
    for row in page.locator(".marks tbody tr:visible").all():
        assert row.locator(".failed").count() > 0
    page.fill("#find", "no such case anywhere")
    expect(page.locator("#shown")).to_have_text("No run fits. Choose less.")
    page.fill("#find", "")
    marks.first.click()
    expect(page.locator("h1 .verdict")).to_be_visible()
    page.locator(".crumbs a").first.click()
    expect(page.locator("#model")).to_have_value("local")
    expect(page.locator("#task")).to_have_value("handoff")


def test_a_run_leads_to_its_case_and_its_code(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url(pages(site)["run"]))
    page.locator(".crumbs a").last.click()
    expect(page.locator("article.across")).to_have_count(len(NAMES))
    page.locator("article.across h2 a").nth(2).click()
    page.get_by_role("link", name="the code").click()
    expect(page.locator("#right")).to_have_value(NAMES[2])


def test_what_is_sent_again_leads_to_its_first_sending(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url(pages(site)["run"]))
    name = hash_of(page)
    again = page.locator(".before a").first
    target = again.get_attribute("href")
    assert target and target.startswith(f"{name}/message-")
    again.click()
    expect(page.locator(f"#{target.partition('/')[2]}")).to_be_in_viewport()
    page.goto(site.url(f"{pages(site)['run']}/call-2"))
    page.reload()
    expect(page.locator("#call-2")).to_be_in_viewport()


def test_data_are_shown_indented(watched: Watched, site: Site) -> None:
    address = pages(site)["run"]
    file, _, name = address.partition("#")
    run = runs_on(site.folder / file)[name]
    watched.page.goto(site.url(address))
    shown = watched.page.locator(".schema, .parameters pre").all_text_contents()
    wanted = {
        json.dumps(json.loads(value["json"]), ensure_ascii=False, indent=2)
        for value in run["shared"]
        if isinstance(value, dict) and "json" in value
    }
    assert len(shown) > 3
    assert set(shown) <= wanted
