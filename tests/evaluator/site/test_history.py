"""The page of a year of releases: what is drawn for values known by hand, and what it says of any cells."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from markupsafe import Markup
from sites import HOSTILE, TAGS

from evaluator.analysis.history import HistoryOf, Measured, TaskStanding
from evaluator.catalog.frameworks import BASELINE
from evaluator.history import LOCKED, NotInstalled
from evaluator.site import history
from evaluator.site.history import MEASURES, change, changes, columns, headline, in_short, points_of, reasons
from evaluator.site.multiples import Axes, Point, in_words, stretches, svg
from evaluator.site.render import Pages

TITLES = {BASELINE: "Client only", "a": "First", "b": "Second"}
INJECTED, SYSTEM_TEXT, OVERHEAD, IMPORT, *_ = MEASURES
MONTHS = ["2026-01-01", "2026-02-01", "2026-03-01"]


def runs(
    at: str, version: str = "1.0", tokens: float = 100.0, framework: str = "a", day: str | None = None
) -> Measured:
    return Measured(
        framework,
        at,
        day or at,
        version,
        "runs",
        {"handoff": TaskStanding(16, 16)},
        metrics={"injected_tokens_per_call": tokens, "overhead_s_p50": 0.3, "import_s_p50": 1.5},
        baseline={"overhead_s_p50": 0.1, "import_s_p50": 0.5},
        injected={"system text": 20.0},
    )


def fails(at: str, error: str = "ImportError: no", version: str = "0.9", framework: str = "a") -> Measured:
    return Measured(framework, at, at, version, "fails", {"handoff": TaskStanding(16, 0, error)})


def not_installed(at: str, reason: str = "there is no such version") -> Measured:
    return Measured("a", at, at, None, "not installed", {}, NotInstalled(step="lock", reason=reason))


def of(*cells: Measured, framework: str = "a") -> HistoryOf:
    return HistoryOf(framework, cells)


def page(tmp_path: Path, *found: HistoryOf, **words: Any) -> str:
    card: Any = SimpleNamespace(history=found, titles=TITLES, faults=None, capabilities=None)
    pages = Pages(tmp_path, {"made_by": "", "card": card, "titles": TITLES, "about_model": {}})
    pages.add(history.PAGE, "history.html", history.overview(card, words))
    return (tmp_path / history.PAGE).read_text(encoding="utf-8")


# --- drawing ---------------------------------------------------------------------------------

AXES = Axes.of(["2026-01-01", "2026-01-11"], [50.0, 100.0])


def test_a_chart_has_a_line_a_dot_at_each_end_and_a_mark_with_its_title() -> None:
    points = [Point("2026-01-01", 100.0), Point("2026-01-06", 50.0, mark="2.0"), Point("2026-01-11", 0.0)]
    drawn = svg(points, AXES, "First, tokens")
    assert 'aria-label="First, tokens"' in drawn
    assert '<path class="zero" d="M0 28H120"/>' in drawn
    assert '<path class="line" d="M4 4L60 16 116 28"/>' in drawn
    assert '<path class="dots" d="M4 4h0M116 28h0"/>' in drawn
    assert '<path class="ticks" d="M60 32V36"/>' in drawn
    assert '<rect x="56"><title>2.0</title></rect>' in drawn


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
    assert 'class="ticks"' not in drawn


def test_below_zero_has_a_place_and_a_single_day_is_in_the_middle() -> None:
    axes = Axes.of(["2026-01-01"], [-50.0, 50.0])
    assert (axes.x("2026-01-01"), axes.y(50), axes.y(0), axes.y(-50)) == (60, 4, 16, 28)
    assert Axes.of([], []).y(0) == 28


def test_a_chart_says_in_words_when_a_figure_changed() -> None:
    points = [Point("2026-01-01", None), Point("2026-02-01", 1.0, "1"), Point("2026-03-01", 1.0, "1")]
    points += [Point("2026-04-01", 2.0, "2"), Point("2026-05-01", None)]
    assert (
        in_words(points) == "no figure from 2026-01-01, 1 from 2026-02-01, 2 from 2026-04-01, no figure from 2026-05-01"
    )
    assert in_words([Point("2026-01-01", None)]) == in_words([]) == "no figure"


def test_what_a_chart_is_given_is_escaped() -> None:
    drawn = svg([Point("2026-01-01", 1.0, mark=TAGS)], AXES, TAGS)
    assert "<script" not in drawn and "<img" not in drawn and drawn.count("&lt;script&gt;") == 2


# --- figures ---------------------------------------------------------------------------------


def test_a_mark_is_where_the_version_differs_from_the_one_before() -> None:
    one = of(
        runs("2026-01-01", "1.0"), not_installed("2026-02-01"), runs("2026-03-01", "1.0"), runs("2026-04-01", "1.1")
    )
    marks = [point.mark for point in points_of(one, INJECTED, [])]
    assert marks == [None, None, None, "1.1 of 2026-04-01: 100"]
    broken = of(runs("2026-01-01", "1.0"), fails("2026-02-01", version="1.1"))
    assert points_of(broken, INJECTED, [])[1].mark == "1.1 of 2026-02-01: no figure"


def test_a_release_is_named_with_its_day() -> None:
    one = of(runs("2026-01-01", "1.0"), runs("1.1", "1.1", day="2026-01-09"))
    assert points_of(one, IMPORT, [])[1].mark == "1.1 of 2026-01-09: 3.0× 1.50 s"


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
    drawn = {column.title: column for column in columns([low, high], TITLES)}
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


def test_the_headline_says_how_far_back_and_leads_to_why() -> None:
    said = headline(of(fails(MONTHS[0], "a: b"), runs(MONTHS[1]), runs(LOCKED, day="2026-03-20")))
    assert (
        said.back == "Today's code runs unchanged on releases back to 1.0 of 2026-02-01, and not on 0.9 of 2026-01-01"
    )
    assert (said.reverse, said.place) == ("Code of 2026-03 still runs today.", "why-a-2026-01-01")


def test_the_headline_of_code_of_an_earlier_month() -> None:
    code = replace(runs("2026-03-20"), at="code-2026-02")
    assert headline(of(runs(LOCKED, day="2026-03-20"), code)).reverse == "Code of 2026-02 still runs today."


def test_nothing_is_claimed_of_what_was_not_tried_or_does_not_run() -> None:
    assert headline(of()).back == "No release was tried"
    broken = headline(of(replace(fails("2026-03-20"), at=LOCKED)))
    assert "the locked one included" in broken.back and not broken.reverse
    assert not headline(of(runs(MONTHS[0]))).reverse
    assert headline(of(fails(MONTHS[0]))).back.endswith("on any release that was tried")


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

WORDS = ("**First 1.0 → 1.1**: 10 tokens a call became 12 (+2)", "", "- **system text**: [1]", "")
DIFF = ("```diff", "@@ -1 +1,2 @@", " Help.", "-Use <b>tools</b>.", "+Use no tools.", "```")


def test_a_change_is_a_line_that_opens_with_a_diff_in_colours() -> None:
    one = change("1.0 → 1.1", [*WORDS, *DIFF])
    assert one.summary == "<strong>1.0 → 1.1</strong> 10 tokens a call became 12 (+2)"
    assert "<li><strong>system text</strong>: [1]</li>" in one.body
    assert "<del>-Use &lt;b&gt;tools&lt;/b&gt;.\n</del><ins>+Use no tools.\n</ins>" in one.body
    assert "\n Help.\n" in one.body


def test_a_change_with_one_line_does_not_open(tmp_path: Path) -> None:
    assert change("1.0 → 1.1", ["sends the same"]).body == Markup("")
    text = page(tmp_path, of(runs(MONTHS[0])), a=[("1.0 → 1.1", ["sends the same"]), ("1.1 → 1.2", [*WORDS, *DIFF])])
    assert text.count("<details") == 1 and text.count('class="change"') == 2
    assert text.index("1.1 → 1.2") < text.index("1.0 → 1.1")  # the latest first


def test_changes_have_no_links_no_pictures_and_no_markup_of_anybodys() -> None:
    hostile = f"[x](http://evil.example) ![y](http://evil.example/y.png) <http://evil.example> {TAGS} \u202e"
    one = change(hostile, [hostile, hostile, "```diff", f"+{hostile}", "```", "```html", hostile, "```"])
    for text in (one.summary, one.body):
        assert not [tag for tag in ("<a", "<img", "<script", "</script", "\u202e") if tag in text]
    assert "⟨U+202E⟩" in one.body


def test_changes_are_cut_where_there_is_no_room() -> None:
    long = ["first", "", "```diff", *(f"+{number:09}" for number in range(100)), "```"]
    found = changes({"a": [("1 → 2", long), ("2 → 3", long)], "b": [("1 → 2", ["the same"])]}, ["a", "b"], room=2000)
    latest, earlier = found["a"]
    assert "+000000089" in latest.body and "+000000090" not in latest.body
    assert latest.body.endswith("<p>… and 11 lines more</p>")
    assert earlier.body == "<p>… and 103 lines more</p>"
    assert found["b"][0].summary == "<strong>1 → 2</strong> the same"


# --- the page --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "found",
    [
        (of(),),
        (of(runs(MONTHS[0])),),
        (of(not_installed(MONTHS[0])), of(framework="b")),
        (of(runs("1.0", day="2026-01-09")),),
        (of(Measured("a", MONTHS[0], MONTHS[0], "1.0", "fails", {})),),
        (of(replace(runs("2026-03-20"), at="code-2026-02")),),
        (of(fails("2026-01-17")), of(runs(LOCKED, day="2026-03-20", framework="b"), framework="b")),
    ],
)
def test_the_page_is_made_of_any_cells(found: tuple[HistoryOf, ...], tmp_path: Path) -> None:
    text = page(tmp_path, *found)
    assert text.count("<table") == text.count("</table>")
    assert all(TITLES[one.framework] in text for one in found)


def test_what_an_error_says_is_shown_and_is_no_markup(tmp_path: Path) -> None:
    text = page(
        tmp_path, of(not_installed(MONTHS[0], HOSTILE), fails(MONTHS[1], HOSTILE, HOSTILE)), a=[(HOSTILE, [HOSTILE])]
    )
    assert TAGS not in text and "<script>window" not in text and "<img" not in text
    assert not set("\x00\x1b\u202e\ufffe") & set(text)
    assert "⟨U+202E⟩" in text and "{{ 7 * 7 }}" in text


def test_a_cell_that_does_not_run_leads_to_its_reason(tmp_path: Path) -> None:
    text = page(tmp_path, of(not_installed(MONTHS[0]), fails(MONTHS[1]), runs(MONTHS[2])))
    for month, said in ((MONTHS[0], "–"), (MONTHS[1], "0/16")):
        assert f'href="#why-a-{month}"' in text and f'id="why-a-{month}"' in text
        assert f">{said}</a>" in text
    assert text.count("why-a-") == 2 * 2 + 1  # and once from the headline


def test_a_year_of_ten_frameworks_fits(tmp_path: Path) -> None:
    days = [f"{year}-{month:02}-01" for year, months in ((2025, (11, 12)), (2026, range(1, 11))) for month in months]
    names = {f"framework_{number}": f"A framework of number {number}" for number in range(10)}
    found = [
        of(*(runs(day, f"1.{n}.{n}rc1", 100 + n, name) for n, day in enumerate(days)), framework=name) for name in names
    ]
    lines = ["first", "```diff", *['+some line of a prompt, with <b>tags</b> & "quotes"'] * 60, "```"]
    words = {name: [(f"1.{n} → 1.{n + 1}", lines) for n in range(11)] for name in names}
    card: Any = SimpleNamespace(history=found, titles=names, faults=None, capabilities=None)
    pages = Pages(tmp_path, {"made_by": "", "card": card, "titles": names, "about_model": {}})
    pages.add(history.PAGE, "history.html", history.overview(card, words))
    assert (tmp_path / history.PAGE).stat().st_size < 300_000
