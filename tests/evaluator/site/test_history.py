"""The page of a year of releases: what is drawn for values known by hand, and what it says of any cells."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sites import HOSTILE, TAGS

from evaluator.analysis import drift
from evaluator.analysis.drift.summary import Tokens
from evaluator.analysis.history import ALL_TASKS, Changed, Figures, HistoryOf, Measured, TaskStanding
from evaluator.catalog.frameworks import BASELINE
from evaluator.history import LOCKED, NotInstalled
from evaluator.site import history
from evaluator.site.history import MEASURES, changes, columns, headline, in_html, in_short, points_of, reasons, releases
from evaluator.site.multiples import Axes, Point, in_words, marks, stretches, svg
from evaluator.site.render import Pages
from evaluator.trace import Key

TITLES = {BASELINE: "Client only", "a": "First", "b": "Second"}
INJECTED, SYSTEM_TEXT, OVERHEAD, _, IMPORT, PACKAGES, _ = MEASURES
MONTHS = ["2026-01-01", "2026-02-01", "2026-03-01"]


def figures(tokens: float = 100.0) -> Figures:
    return Figures(
        {"injected_tokens_per_call": tokens, "overhead_s_p50": 0.3}, {"overhead_s_p50": 0.1}, {"system text": 20.0}
    )


def runs(
    at: str, version: str = "1.0", tokens: float = 100.0, framework: str = "a", day: str | None = None
) -> Measured:
    return Measured(
        framework,
        at,
        day or at,
        version,
        "runs",
        {"handoff": TaskStanding(16, 16, True)},
        figures={ALL_TASKS: figures(tokens), "handoff": figures(tokens)},
        import_s=1.5,
        import_times=3.0,
    )


def fails(at: str, why: str = "ImportError: no", version: str = "0.9", framework: str = "a") -> Measured:
    return Measured(framework, at, at, version, "fails", {"handoff": TaskStanding(16, 0, False, why)})


def partly(at: str, version: str = "0.9", tokens: float = 40.0) -> Measured:
    tasks = {"handoff": TaskStanding(16, 16, True), "rag_qa": TaskStanding(16, 0, False, "ImportError: no")}
    return Measured("a", at, at, version, "partly", tasks, figures={"handoff": figures(tokens)}, packages=7)


def not_installed(at: str, reason: str = "there is no such version") -> Measured:
    return Measured("a", at, at, None, "not installed", {}, NotInstalled(step="lock", reason=reason))


def of(*cells: Measured, framework: str = "a", changes: Sequence[Changed] = ()) -> HistoryOf:
    return HistoryOf(framework, cells, tuple(changes))


def changed(before: str, after: str, *lines: str, packages: str = "Packages: the same.", detail: str = "") -> Changed:
    """What came with a release: a system text that differs by these lines."""
    tokens = Tokens(runs=1, calls=1, all=10, parts={"system text": 10}, injected=0.0)
    more = replace(tokens, all=12, parts={"system text": 12}, injected=2.0)
    key = Key(framework="a", model="scripted", task="handoff", case="one", trial=1)
    one = drift.Change(
        "system text", "1 line more", {"handoff": 1}, 1, 2.0, (), drift.Example(key, 1, detail, tuple(lines))
    )
    found = drift.Drift("a", before, after, False, {"handoff": 1}, 0, 0, tokens, more, (one,), 0, 0)
    return Changed(runs(MONTHS[0], before), runs(MONTHS[1], after), found, packages)


def page(tmp_path: Path, *found: HistoryOf) -> str:
    card: Any = SimpleNamespace(suites=(), history=found, titles=TITLES, faults=None, capabilities=None)
    pages = Pages(tmp_path, {"made_by": "", "card": card, "titles": TITLES, "about_model": {}})
    pages.add(history.PAGE, "history.html", history.overview(card))
    return (tmp_path / history.PAGE).read_text(encoding="utf-8")


# --- drawing ---------------------------------------------------------------------------------

AXES = Axes.of(["2026-01-01", "2026-01-11"], [50.0, 100.0])


def test_a_chart_has_a_line_a_dot_at_each_end_a_mark_and_its_figures() -> None:
    points = [
        Point("2026-01-01", 100.0, "100"),
        Point("2026-01-06", 50.0, "50"),
        Point("2026-01-11", 0.0, "0"),
    ]
    drawn = svg(points, AXES, "First, tokens", "new-a")
    assert 'aria-label="First, tokens" data-written="100;50;0"' in drawn
    assert '<path class="zero" d="M0 28H120"/>' in drawn
    assert '<path class="line" d="M4 4L60 16 116 28"/>' in drawn
    assert '<path class="dots" d="M4 4h0M116 28h0"/>' in drawn
    assert '<use href="#new-a"/>' in drawn and "<use" not in svg(points, AXES, "")
    assert marks(["2026-01-06", "2026-01-11"], AXES) == "M60 32v4M116 32v4"


def test_no_line_crosses_a_gap() -> None:
    values = (None, 100.0, 100.0, None, 50.0)
    points = [Point(f"2026-01-{day:02}", value) for day, value in zip((1, 3, 5, 6, 11), values, strict=True)]
    assert [[point.day for point in stretch] for stretch in stretches(points)] == [
        ["2026-01-03", "2026-01-05"],
        ["2026-01-11"],
    ]
    drawn = svg(points, AXES, "")
    assert '<path class="line" d="M26.4 4L48.8 4"/>' in drawn
    assert '<path class="dots" d="M26.4 4h0M48.8 4h0M116 16h0"/>' in drawn


def test_below_zero_has_a_place_and_a_single_day_is_in_the_middle() -> None:
    axes = Axes.of(["2026-01-01"], [-50.0, 50.0])
    assert (axes.x("2026-01-01"), axes.y(50), axes.y(0), axes.y(-50)) == (60, 4, 16, 28)
    assert Axes.of([], []).y(0) == 28


def test_a_chart_says_in_words_when_a_figure_changed() -> None:
    points = [Point("2026-01-01", None), Point("2026-02-01", 1.0, "1"), Point("2026-03-01", 1.0, "1")]
    points += [Point("2026-04-01", 2.0, "2"), Point("2026-05-01", None)]
    points += [Point("2026-05-17", 2.0, "2")]
    said = "no figure from 2026-01, 1 from 2026-02, 2 from 2026-04, no figure from 2026-05, 2 from 2026-05-17"
    assert in_words(points) == said
    assert in_words([Point("2026-01-01", None)]) == in_words([]) == "no figure"


def test_what_a_chart_is_given_is_escaped() -> None:
    drawn = svg([Point("2026-01-01", 1.0, TAGS)], AXES, TAGS)
    assert "<script" not in drawn and "<img" not in drawn and drawn.count("&lt;script&gt;") == 2


# --- figures ---------------------------------------------------------------------------------


def test_a_mark_is_where_the_version_differs_from_the_one_before(tmp_path: Path) -> None:
    one = of(
        runs("2026-01-01", "1.0"), not_installed("2026-02-01"), runs("2026-03-01", "1.0"), runs("2026-04-01", "1.1")
    )
    broken = of(runs("2026-01-01", "1.0"), fails("2026-02-01", version="1.1"), framework="b")
    same = of(runs("2026-01-01", framework=BASELINE), runs("2026-02-01", framework=BASELINE), framework=BASELINE)
    found = releases([one, broken, same])
    assert [(each.place, each.marks) for each in found] == [
        ("new-a", "M116 32v4"),
        ("new-b", "M42.6 32v4"),
        (None, ""),
    ]
    text = page(tmp_path, one, broken, same)
    assert text.count('id="new-') == 2 and text.count('<use href="#new-b"/>') == len(columns([one, broken], TITLES))


def test_what_a_reader_points_at_is_named_with_its_day() -> None:
    one = of(runs("2026-01-01", "1.0"), runs("1.1", "1.1", day="2026-01-09"), not_installed("2026-03-01"))
    other = of(runs("2026-02-01", framework="b"), framework="b")
    found = releases([one, other])[0].names
    assert [name for _, name in found] == [
        *("1.0 of 2026-01-01", "1.1 of 2026-01-09", "2026-02-01, not tried", "2026-03-01")
    ]
    assert (found[0][0], found[-1][0]) == ("4", "116")
    points = points_of(one, IMPORT, MONTHS)
    assert [point.written for point in points] == ["3.0× 1.50 s", "3.0× 1.50 s", "", ""]


def test_figures_of_runs_are_by_task_and_those_of_packages_are_not() -> None:
    one = of(partly(MONTHS[0]), replace(runs(MONTHS[1]), packages=9))
    for task, values in ((ALL_TASKS, [None, 100]), ("handoff", [40, 100]), ("rag_qa", [None, None])):
        assert [point.value for point in points_of(one, INJECTED, [], task)] == values
        assert [point.value for point in points_of(one, PACKAGES, [], task)] == [7, 9]
    drawn = columns([one], TITLES)
    assert [column.task for column in drawn if column.title == INJECTED.title] == [ALL_TASKS, "handoff", "rag_qa"]
    assert [column.task for column in drawn if column.title == PACKAGES.title] == [None]
    alone = drawn[1].charts[0]
    assert 'aria-label="First, injected tokens a call, handoff: 40 from 2026-01, 100 from 2026-02"' in alone.svg
    assert [end.written for end in alone.ends] == ["40", "100"]
    assert drawn[2].high == "0" and not drawn[2].charts[0].ends  # each choice has a scale of its own


def test_a_month_that_others_have_is_a_gap() -> None:
    one = of(runs(MONTHS[0]), runs(MONTHS[2]))
    assert [point.value for point in points_of(one, INJECTED, MONTHS)] == [100, None, 100]
    single = of(runs("1.0", day="2026-01-09"), runs("1.1", day="2026-02-09"))
    assert [point.value for point in points_of(single, INJECTED, MONTHS)] == [100, 100]


def test_times_are_multiples_of_the_baselines_and_code_of_a_month_is_not_drawn() -> None:
    code = replace(runs("2026-03-20"), at="code-2026-02")
    one = of(runs(MONTHS[0]), code, runs(LOCKED, day="2026-03-20"))
    assert [point.written for point in points_of(one, OVERHEAD, [])] == ["3.0×", "3.0×"]
    assert [point.written for point in points_of(one, SYSTEM_TEXT, [])] == ["20", "20"]


def test_charts_of_a_measure_have_the_same_scale() -> None:
    low = of(runs(MONTHS[0], tokens=100), runs(MONTHS[1], tokens=-20))
    high = of(*(runs(day, tokens=400, framework="b") for day in MONTHS), framework="b")
    drawn = {column.title: column for column in columns([low, high], TITLES) if column.task in (None, ALL_TASKS)}
    injected, system = drawn["injected tokens a call"], drawn["of which system text"]
    assert (injected.low, injected.high) == (system.low, system.high) == ("−20", "400")
    assert [[end.written for end in chart.ends] for chart in injected.charts] == [["100", "−20"], ["400", "400"]]
    top, middle = '<path class="line" d="M4 4L62.8 4 116 4"/>', '<path class="line" d="M4 21.1L62.8 28"/>'
    assert top in injected.charts[1].svg and middle in injected.charts[0].svg
    assert (drawn["packages"].low, drawn["packages"].high) == ("0", "0")
    assert not drawn["packages"].charts[0].ends


def test_the_first_figure_stands_where_its_line_begins() -> None:
    one = of(fails(MONTHS[0]), runs(MONTHS[1]), runs(MONTHS[2]))
    assert columns([one], TITLES)[0].charts[0].start == 5
    assert not columns([of(fails(MONTHS[0]))], TITLES)


# --- words -----------------------------------------------------------------------------------


def plain(text: str) -> str:
    return re.sub("<[^>]*>", "", text)


def test_the_headline_says_how_far_back_and_leads_to_why() -> None:
    said = headline(of(fails(MONTHS[0], "a: b"), runs(MONTHS[1]), runs(LOCKED, day="2026-03-20")))
    assert plain(said.back) == "Runs unchanged on releases back to 1.0 of 2026-02-01, and not on 0.9 of 2026-01-01"
    assert '<span class="release">1.0 of 2026-02-01</span>, and' in said.back
    assert (said.alone, said.reverse, said.place) == ("", "Code of 2026-03 still runs today.", "why-a-2026-01-01")


def test_the_headline_says_which_tasks_run_further_back(tmp_path: Path) -> None:
    one = of(fails(MONTHS[0]), partly(MONTHS[1]), runs(LOCKED, day="2026-03-20"))
    assert plain(headline(one).alone) == "By itself, handoff back to 0.9 of 2026-02-01."
    assert "By itself, handoff back to 0.9 of 2026-02-01." in plain(page(tmp_path, one))


def test_the_headline_of_code_of_an_earlier_month() -> None:
    code = replace(runs("2026-03-20"), at="code-2026-02")
    assert headline(of(runs(LOCKED, day="2026-03-20"), code)).reverse == "Code of 2026-02 still runs today."


def test_what_holds_for_code_of_all_frameworks_is_said_once(tmp_path: Path) -> None:
    first, second = (of(runs(LOCKED, day="2026-03-20", framework=name), framework=name) for name in ("a", "b"))
    text = page(tmp_path, first, second)
    assert "For each framework, code of 2026-03 still runs today." in text and text.count("still runs today") == 1
    older = replace(second, cells=(*second.cells, replace(runs("2026-03-20", framework="b"), at="code-2026-02")))
    text = page(tmp_path, first, older)
    assert "Code of 2026-03 still runs today." in text and "Code of 2026-02 still runs today." in text


def test_nothing_is_claimed_of_what_was_not_tried_or_does_not_run() -> None:
    assert headline(of()).back == "Was tried on no release"
    broken = headline(of(replace(fails("2026-03-20"), at=LOCKED)))
    assert broken.back == "Does not run as it should on any release that was tried" and not broken.reverse
    assert not headline(of(runs(MONTHS[0]))).reverse
    assert not headline(of(fails(MONTHS[0]))).alone


def test_the_overview_counts_the_frameworks_that_run_everywhere() -> None:
    client = of(runs(MONTHS[0], framework=BASELINE), framework=BASELINE)
    everywhere, broken = of(runs(MONTHS[0])), of(fails(MONTHS[0], framework="b"), framework="b")
    text = "run today's code unchanged on every release that was tried."
    assert in_short([client, everywhere, broken]) == f"1 of 2 frameworks {text.replace('run', 'runs', 1)}"
    assert in_short([broken]) == f"0 of 1 framework {text}"
    assert in_short([client]) is in_short([of()]) is None


def test_neighbours_with_the_same_reason_share_it() -> None:
    one = of(fails(MONTHS[0]), fails(MONTHS[1]), not_installed(MONTHS[2]), fails("2026-04-01"))
    assert [(len(reason.cells), reason.why) for reason in reasons([one])] == [
        (2, "ImportError: no"),
        (1, "there is no such version"),
        (1, "ImportError: no"),
    ]


# --- changes on the wire ---------------------------------------------------------------------

DIFF = ("@@ -1 +1,2 @@", " Help.", "-Use <b>tools</b>.", "+Use no tools.")


def test_a_change_is_a_line_that_opens_with_a_diff_in_colours(tmp_path: Path) -> None:
    one = of(changes=[changed("1.0", "1.1", *DIFF, packages="Packages: x 1 → 2."), changed("1.1", "1.2", *DIFF)])
    latest, found = changes([one])["a"]
    assert found.summary == "1.0 → 1.1, 2026-01 to 2026-02: 10 tokens a call became 12"
    assert latest.summary.startswith("1.1 → 1.2")
    assert "<li><strong>system text</strong>: 1 line more, in the one run, +2 tokens in each such call [1]</li>" in (
        found.body
    )
    assert "<p>Packages: x 1 → 2.</p>" in found.body
    assert "<del>-Use &lt;b&gt;tools&lt;/b&gt;.\n</del><ins>+Use no tools.\n</ins>" in found.body
    assert "\n Help.\n" in found.body
    text = page(tmp_path, one)
    assert text.count('<details class="change">') == 2 and text.index("1.1 → 1.2") < text.index("1.0 → 1.1")


def test_changes_have_no_links_no_pictures_and_no_markup_of_anybodys() -> None:
    hostile = f"[x](http://evil.example) ![y](http://evil.example/y.png) <http://evil.example> {TAGS} \u202e"
    [one] = changes([of(changes=[changed(hostile, hostile, f"+{hostile}", packages=hostile, detail=hostile)])])["a"]
    for text in (one.summary, one.body, in_html([hostile, "```html", hostile, "```"])):
        assert not [tag for tag in ("<a", "<img", "<script", "</script", "\u202e") if tag in text]
    assert "⟨U+202E⟩" in one.summary and "⟨U+202E⟩" in one.body


def test_changes_are_cut_where_there_is_no_room() -> None:
    long = [changed(f"{number}", f"{number + 1}", *[f"+{line:09}" for line in range(30)]) for number in (1, 2)]
    other = of(changes=[changed("1", "2")], framework="b")
    found = changes([of(changes=long), of(), other], room=1000)
    latest, earlier = found["a"]
    assert "+000000001" in latest.body and "+000000029" not in latest.body
    assert re.search(r"<p>… and \d+ lines more</p>$", latest.body)
    assert earlier.body.startswith("<p><strong>a 1 → 2</strong>") and "+000000000" not in earlier.body
    assert "lines more" not in found["b"][0].body and list(found) == ["a", "b"]


# --- the page --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "found",
    [
        (of(),),
        (of(runs(MONTHS[0])),),
        (of(not_installed(MONTHS[0])), of(framework="b")),
        (of(runs("1.0", day="2026-01-09")),),
        (of(Measured("a", MONTHS[0], MONTHS[0], "1.0", "fails", {})),),
        (of(partly(MONTHS[0])),),
        (of(replace(runs("2026-03-20"), at="code-2026-02")),),
        (of(fails("2026-01-17")), of(runs(LOCKED, day="2026-03-20", framework="b"), framework="b")),
    ],
)
def test_the_page_is_made_of_any_cells(found: tuple[HistoryOf, ...], tmp_path: Path) -> None:
    text = page(tmp_path, *found)
    assert text.count("<table") == text.count("</table>")
    assert all(TITLES[one.framework] in text for one in found)


def test_what_an_error_says_is_shown_and_is_no_markup(tmp_path: Path) -> None:
    cells = (not_installed(MONTHS[0], HOSTILE), fails(MONTHS[1], HOSTILE, HOSTILE), runs(MONTHS[2], HOSTILE))
    text = page(tmp_path, of(*cells, changes=[changed(HOSTILE, HOSTILE, HOSTILE, packages=HOSTILE)]))
    assert TAGS not in text and "<script>window" not in text and "<img" not in text
    assert not set("\x00\x1b\u202e\ufffe") & set(text)
    assert "⟨U+202E⟩" in text and "{{ 7 * 7 }}" in text


def test_a_cell_that_does_not_run_leads_to_its_reason(tmp_path: Path) -> None:
    text = page(tmp_path, of(not_installed(MONTHS[0]), fails(MONTHS[1]), runs(MONTHS[2])))
    for month, said in ((MONTHS[0], "–"), (MONTHS[1], "0/16")):
        assert f'href="#why-a-{month}"' in text and f'id="why-a-{month}"' in text
        assert f">{said}</a>" in text
    assert text.count("why-a-") == 2 * 2 + 1  # and once from the headline


def test_a_reader_can_choose_a_task_and_sees_all_without_script(tmp_path: Path) -> None:
    text = page(tmp_path, of(partly(MONTHS[0]), runs(MONTHS[1])))
    shown = re.findall(r'<section class="measure[^>]*data-task="([^"]*)"( hidden)?', text)
    assert shown == [("all tasks", ""), ("handoff", " hidden"), ("rag_qa", " hidden")] * 4
    assert '<option value="rag_qa">rag qa</option>' in text and "“all tasks” has gaps" in text
    kept = re.search(r'<script type="application/json" id="names">(.*?)</script>', text)
    assert kept and json.loads(kept[1]) == [[["4", "0.9 of 2026-01-01"], ["116", "1.0 of 2026-02-01"]]]
    assert "<select" not in page(tmp_path, of(runs(MONTHS[0])))


def test_a_year_of_ten_frameworks_fits(tmp_path: Path) -> None:
    days = [f"{year}-{month:02}-01" for year, months in ((2025, (12,)), (2026, range(1, 12))) for month in months]
    names = {f"framework_{number}": f"A framework of number {number}" for number in range(10)}
    tasks = ("handoff", "rag_qa", "tool_calling")
    lines = ['+some line of a prompt, with <b>tags</b> & "quotes"'] * 60
    found = []
    for name in names:
        cells = []
        for number, (at, day) in enumerate([*zip(days, days, strict=True), (LOCKED, "2026-11-20")]):
            by_task = {task: figures(1000 + number // 2) for task in (ALL_TASKS, *tasks)}
            for place, one in enumerate(by_task.values()):
                one.metrics.update(overhead_s_p50=1 + (number + place) / 7, model_calls_mean=3.125)
            cells.append(
                replace(
                    runs(at, f"1.{number}.{number}rc1", framework=name, day=day),
                    figures=by_task,
                    tasks=dict.fromkeys(tasks, TaskStanding(16, 16, True)),
                    packages=100 + number // 2,
                    installed_mb=200 + number,
                    import_times=1 + number / 10,
                )
            )
        found.append(of(*cells, framework=name, changes=[changed(f"1.{n}", f"1.{n + 1}", *lines) for n in range(11)]))
    card: Any = SimpleNamespace(suites=(), history=found, titles=names, faults=None, capabilities=None)
    pages = Pages(tmp_path, {"made_by": "", "card": card, "titles": names, "about_model": {}})
    pages.add(history.PAGE, "history.html", history.overview(card))
    size = (tmp_path / history.PAGE).stat().st_size
    assert 200_000 < size < 300_000
