"""`bakeoff history`, and frameworks at a release in other commands."""

from pathlib import Path

from commands import Bakeoff

from evaluator.history import Cell, NotInstalled, write_cell


def cell(at: str, day: str, **changes: object) -> Cell:
    fields = {"schema": 1, "framework": "crewai", "version": None, "depends_on": "x", "recorded_at": "now"}
    return Cell.model_validate({**fields, "at": at, "day": day, **changes})


def test_what_cannot_be_asked_is_a_line(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for options, line in (
        (("--every", "week"), "--every 'week': must be month or release"),
        (("--since", "March"), "--since 'March': must be a day such as 2026-03-01"),
        (("--since", "2026-03-01", "--until", "2026-02-01"), "--since 2026-03-01: comes after 2026-02-01"),
        (("-f", "nobody"), "there is no framework 'nobody'"),
        (("--show", "-f", "crewai", "--traces", "traces"), "traces: has no history of crewai; leave out --show"),
    ):
        said = bakeoff("history", *options)
        assert said.code == 2 and said.err.startswith(f"bakeoff: {line}") and said.err.count("\n") == 1


def test_what_would_be_made_is_said_and_not_made(bakeoff: Bakeoff, tmp_path: Path) -> None:
    said = bakeoff(
        *("history", "-f", "crewai", "--since", "2026-01-15", "--until", "2026-03-01", "--dry-run"),
        *("--traces", "traces"),
    )
    assert (said.code, said.out.splitlines()) == (0, ["crewai 2026-02-01", "crewai 2026-03-01", "crewai locked"])
    assert not (tmp_path / "traces").exists()


def test_what_is_recorded_is_shown_and_a_damaged_line_is_named(bakeoff: Bakeoff, tmp_path: Path) -> None:
    reason = NotInstalled(step="lock", reason="there is no \x1b[31mcrewai")
    write_cell(tmp_path / "traces", cell("2026-02-01", "2026-02-01", not_installed=reason))
    write_cell(tmp_path / "traces", cell("2026-01-01", "2026-01-01", not_installed=reason))
    said = bakeoff("history", "--show", "-f", "crewai", "--traces", "traces")
    assert said.code == 0, said.err
    assert "26-01" in said.out and "26-02" in said.out and said.out.index("26-01") < said.out.index("26-02")
    assert "crewai 2026-01-01: not installed: lock: there is no ⟨U+001B⟩[31mcrewai" in said.out
    assert "CrewAI: today's code does not run as it should on any release that was tried" in said.out
    (tmp_path / "traces" / "history" / "crewai.jsonl.xz").write_bytes(b"this is no xz")
    said = bakeoff("history", "--show", "-f", "crewai", "--traces", "traces")
    assert "traces/history/crewai.jsonl.xz: is not in the format xz" in said.out


def test_two_releases_of_one_framework_are_compared_by_what_they_send(bakeoff: Bakeoff) -> None:
    said = bakeoff("compare", "crewai@0.0.1", "crewai@0.0.2")
    line = "bakeoff: crewai@0.0.1 and crewai@0.0.2 have the same code, and what crewai@0.0.1 sends is not recorded: "
    assert said.code == 2 and said.err == f"{line}`bakeoff run -f crewai@0.0.1 -m scripted --cases full`\n"
    said = bakeoff("compare", "crewai@0.0.1", "baseline", "-t", "tool_calling")
    assert said.code == 0 and "CrewAI 0.0.1" in said.out and "OpenAI client only 3." in said.out


def test_a_release_that_is_none_is_a_line(bakeoff: Bakeoff) -> None:
    for name, line in (
        ("crewai@soon", "@soon: is neither a version such as 1.12.0 nor a day such as 2026-03-01 nor code-YYYY-MM"),
        ("crewai@2999-01-01", "@2999-01-01: has not come yet"),
        ("nobody@1.0", "there is no framework 'nobody'"),
        ("crewai@code-2020-01", "crewai/@2020-01: no modules are kept of that month; there are none yet"),
    ):
        for command in (("run", "-m", "scripted"), ("parity",)):
            said = bakeoff(*command, "-f", name)
            assert said.code == 2 and said.err.startswith(f"bakeoff: {line}") and said.err.count("\n") == 1
