"""What a judge says is on the pages, where it said anything, and only as text."""

from pathlib import Path

from judged import run, write_all
from sites import HOSTILE, TAGS

from evaluator.analysis.gather import every_task
from evaluator.analysis.judge import Verdict, question
from evaluator.analysis.judge.verdicts import Said, add
from evaluator.site.build import build
from evaluator.site.render import case_page, run_page
from evaluator.trace import Trace


def judged(traces: Path, trace: Trace, verdict: Said | None, why: str) -> None:
    """Keep a verdict on a run."""
    asked = question(trace, every_task()["tool_calling"])
    said = Verdict(key=asked.key, judge="j", judge_digest="d", judged=asked.digest, verdict=verdict, why=why)
    add(traces, said)


def test_the_pages_show_each_sentence_and_list_the_disagreements(tmp_path: Path) -> None:
    traces = tmp_path / "traces"
    a, b = run("a"), run("b", "Go away.")
    write_all(traces, a, b)
    build(traces, tmp_path / "before")
    judged(traces, a, "wrong", f"So rude. {HOSTILE}")
    judged(traces, b, "wrong", "Rude as well.")
    build(traces, tmp_path / "after")
    pages = {page: (tmp_path / "after" / page).read_text() for page in ("index.html", "runs.html", "method.html")}
    of_a, of_b = ((tmp_path / "after" / case_page("local", "tool_calling", case)).read_text() for case in "ab")
    assert "So rude. " in of_a
    assert "Rude as well." in of_b
    assert "So rude. " in pages["runs.html"].partition('id="disagreements"')[2]
    assert f'href="{run_page(a.key)}"' in pages["runs.html"].partition('id="disagreements"')[2]
    assert "Rude as well." not in pages["runs.html"]
    assert "Judged by j" in pages["index.html"]
    assert "Cohen" in pages["method.html"]
    for content in (of_a, pages["runs.html"]):
        assert "window.pwned" in content
        assert TAGS not in content
        assert "<img" not in content
    for path in (tmp_path / "before").rglob("*.html"):
        content = path.read_text()
        assert not [
            words for words in ("Judged by", "What judges say", "What a judge says", "Cohen") if words in content
        ]
