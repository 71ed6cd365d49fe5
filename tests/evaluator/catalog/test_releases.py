"""Frameworks at a release: how one is named, and what its environment asks for."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from fakes import LOCK, PYPROJECT, MakeFramework

from evaluator.catalog import releases
from evaluator.catalog.releases import at, code_months, first_of_months, project_of, read_release
from evaluator.errors import Mistake


def test_a_release_is_a_version_or_a_day() -> None:
    assert read_release("1.12.0").version == "1.12.0" and read_release("1.0b2").version == "1.0b2"
    assert read_release("2026-03-01").day == date(2026, 3, 1)
    with pytest.raises(Mistake, match="@yesterday: is neither a version such as "):
        read_release("yesterday")
    with pytest.raises(Mistake, match="@2026-02-30: is no day: day is out of range for month"):
        read_release("2026-02-30")
    with pytest.raises(Mistake, match="@2026-03-02: has not come yet"):
        read_release("2026-03-02", today=date(2026, 3, 1))


def test_its_modules_are_todays_and_its_packages_are_elsewhere(
    make_framework: MakeFramework, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "ENVIRONMENTS", tmp_path / "environments")
    framework = make_framework(tool_calling="")
    old = at(framework, "fake@1.0.0")
    assert (old.name, old.plain_name, old.title, old.version) == ("fake@1.0.0", "fake", "Fake 1.0.0", "1.0.0")
    assert (old.folder, old.environment) == (framework.folder, tmp_path / "environments" / "fake@1.0.0")
    assert old.import_name == framework.import_name == "fake" and old.root == framework.root == tmp_path
    of_day = at(framework, "fake@2026-03-01")
    assert of_day.version == "of 2026-03-01"  # until it is locked
    of_day.environment.mkdir(parents=True)
    (of_day.environment / "uv.lock").write_text(LOCK)
    assert at(framework, "fake@2026-03-01").version == "1.2.3"


def test_modules_of_a_month_have_todays_packages(make_framework: MakeFramework) -> None:
    framework = make_framework(tool_calling="")
    with pytest.raises(Mistake, match="fake/@2026-11: no modules are kept of that month; there are none yet"):
        at(framework, "fake@code-2026-11")
    for name in ("@2026-11", "@2026-09", "@notes", "hardened"):
        (framework.folder / name).mkdir()
    assert code_months(framework) == ["2026-09", "2026-11"]
    old = at(framework, "fake@code-2026-11")
    assert (old.folder, old.environment) == (framework.folder / "@2026-11", framework.folder)
    assert (old.import_name, old.root, old.plain_name) == ("fake.@2026-11", framework.root, "fake")


def test_an_environment_asks_for_what_the_framework_asks_for_of_any_version(make_framework: MakeFramework) -> None:
    framework = make_framework()
    asked = '[project]\ndependencies = ["fake[b,a]>=1.2", "other >=3,<4 ; python_version > \'3\'"]\n'
    uv = '[tool.uv]\nlink-mode = "copy"\n'
    path = framework.folder / "pyproject.toml"
    path.write_text(asked + uv + PYPROJECT.partition('version = "0"\n')[2])
    of_day, of_version = project_of(framework, read_release("2026-03-01")), project_of(framework, read_release("1.0"))
    assert '    "fake[a,b]",\n    "other",\n]' in of_day and 'link-mode = "copy"' in of_day
    assert '    "fake[a,b]==1.0",\n    "other",\n]' in of_version
    path.write_text("[project]\n")
    with pytest.raises(Mistake, match="dependencies cannot be read: 'dependencies'"):
        project_of(framework, read_release("1.0"))


def test_the_first_days_of_months() -> None:
    days = first_of_months(date(2025, 11, 2), date(2026, 2, 1))
    assert days == [date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1)]


def test_when_packages_came_out_stands_in_their_lock(tmp_path: Path) -> None:
    lock = tmp_path / "uv.lock"
    lock.write_text(
        '[[package]]\nname = "fake"\nversion = "1"\nwheels = [\n'
        '{ upload-time = "2026-03-02T01:00:00Z" },\n{ upload-time = "2026-03-01T23:30:00.5Z" }]\n\n'
        '[[package]]\nname = "other"\nversion = "2"\nsdist = { upload-time = "2026-03-09T00:00:00Z" }\n'
    )
    assert releases.uploaded(lock, "fake") == datetime(2026, 3, 1, 23, 30, 0, 500000, UTC)
    assert releases.day_after(datetime(2026, 3, 1, 23, 30, tzinfo=UTC)) == date(2026, 3, 2)
    assert releases.as_of(lock) == date(2026, 3, 9)
    lock.write_text(LOCK)
    assert releases.uploaded(lock, "fake") is None
    with pytest.raises(Mistake, match="does not say when its packages came out"):
        releases.as_of(lock)
