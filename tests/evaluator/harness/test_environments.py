"""Environments: when they are made, and what is said when they cannot be."""

import asyncio
import io
import itertools
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from fakes import LOCK, PYPROJECT, MakeFramework
from rich.console import Console

from evaluator.catalog.frameworks import Framework, read_framework
from evaluator.errors import Mistake
from evaluator.harness import environments
from evaluator.harness.environments import (
    Installed,
    installed,
    is_current,
    provision,
    provision_all,
    python_of,
    uv_environment,
)


@pytest.fixture(autouse=True)
def no_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "_SYSTEM_CONFIG", Path("/nonexistent"))
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "no-settings.toml"))
    (tmp_path / "no-settings.toml").write_text("")
    for name in environments._MIRRORS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `uv` that writes down how it was called."""
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n')
    uv.chmod(0o755)
    monkeypatch.setenv("UV", str(uv))
    return tmp_path / "called"


async def test_it_is_made_once_and_again_only_when_something_changed(framework: Framework, fake_uv: Path) -> None:
    lines: list[str] = []
    assert not is_current(framework)
    await provision(framework, lines.append)
    assert is_current(framework)
    await provision(framework, lines.append)
    assert lines == ["Fake: installing fake 1.2.3 and what it needs", "Fake: ready"]
    [call] = fake_uv.read_text().splitlines()
    assert call.startswith("sync --locked ") and "--no-config" in call and f"--project {framework.folder}" in call
    assert f"--python {sys.version_info[0]}.{sys.version_info[1]}" in call


async def test_several_are_made_side_by_side_but_not_all_at_once(
    make_framework: MakeFramework, fake_uv: Path, tmp_path: Path
) -> None:
    at_once = environments._AT_ONCE
    frameworks = [make_framework(f"fake{number}") for number in range(at_once + 2)]
    # Each waits until as many have begun as may be under way, so one after the other would never end.
    fake_uv.with_name("uv").write_text(
        f"""#!/bin/sh
        echo begun >> {tmp_path}/log
        until [ $(grep -c begun {tmp_path}/log) -ge {at_once} ]; do sleep 0.01; done
        echo ended >> {tmp_path}/log
        """
    )
    lines: list[str] = []
    async with asyncio.timeout(120):
        await provision_all(frameworks, Console(file=io.StringIO()), lines.append)
    assert all(map(is_current, frameworks))
    assert len([line for line in lines if line.endswith(": ready")]) == len(frameworks)
    steps = [1 if line == "begun" else -1 for line in (tmp_path / "log").read_text().split()]
    assert max(itertools.accumulate(steps)) == at_once


async def test_where_one_cannot_be_made_the_others_are_given_up(
    make_framework: MakeFramework, fake_uv: Path, tmp_path: Path
) -> None:
    frameworks = [make_framework("bad"), make_framework("good")]
    fake_uv.with_name("uv").write_text(
        f"""#!/bin/sh
        case "$*" in
          *bad*) until [ -e {tmp_path}/pid ]; do sleep 0.01; done; echo "error: no space" >&2; exit 2;;
          *) echo $$ > {tmp_path}/pid; exec sleep 600;;
        esac
        """
    )
    with pytest.raises(Mistake, match=r"bad: uv sync failed: no space$"):
        async with asyncio.timeout(120):
            await provision_all(frameworks, Console(file=io.StringIO()), lambda line: None)
    assert not any(map(is_current, frameworks))
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


async def test_what_makes_it_out_of_date(framework: Framework, fake_uv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await provision(framework, lambda line: None)
    pyproject, lock = framework.folder / "pyproject.toml", framework.folder / "uv.lock"

    pyproject.write_text(PYPROJECT.replace("Fake", "Other title"))
    assert is_current(framework)
    pyproject.write_text(PYPROJECT.replace('version = "0"', 'version = "0"\ndependencies = ["x"]'))
    assert not is_current(framework)
    pyproject.write_text(PYPROJECT)
    assert is_current(framework)

    lock.write_text(LOCK + "# other\n")
    assert not is_current(framework)
    lock.write_text(LOCK)

    with monkeypatch.context() as patch:
        patch.setattr(sys, "version", "3.99.0 (main)")
        assert not is_current(framework)

    python_of(framework).unlink()
    assert not is_current(framework)


def install(framework: Framework, package: str, files: dict[str, int]) -> Path:
    """Lay down a package as an installer does; `files` are paths below site-packages and their sizes."""
    site = framework.folder / ".venv" / "lib" / "python3.11" / "site-packages"
    for name, size in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(b"x" * size)
    record = site / f"{package}-1.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("".join(f"{name},,\n" for name in files))
    return site


def test_what_is_installed_is_counted_without_bytecode_and_each_file_once(framework: Framework) -> None:
    site = install(framework, "one", {"one/a.py": 1_000_000, "one/__pycache__/a.pyc": 7_000, "shared/b.py": 20_000})
    install(framework, "two", {"two/c.so": 300_000, "../../../bin/two": 4_000, "shared/b.py": 20_000})
    (site / "two" / "hard_link.so").hardlink_to(site / "two" / "c.so")
    (site / "two" / "soft_link.so").symlink_to(site / "two" / "c.so")
    with (site / "two-1.0.dist-info" / "RECORD").open("a") as record:
        record.write("two/hard_link.so,,\ntwo/soft_link.so,,\ntwo/deleted.py,,\n")
    (site / "_virtualenv.py").write_text("of no package")
    assert installed(framework) == Installed(packages=2, installed_mb=1.324)


def test_what_is_installed_is_kept_until_a_package_changes(
    framework: Framework, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[int] = []

    def counted(folders: Sequence[Path]) -> Installed:
        looked_up.append(len(folders))
        return look_up(folders)

    look_up = environments._looked_up
    monkeypatch.setattr(environments, "_looked_up", counted)
    again = installed.__wrapped__  # as another process asks
    site = install(framework, "one", {"one/a.py": 1_000_000})
    assert [again(framework), again(framework)] == [Installed(1, 1.0)] * 2
    assert looked_up == [1]

    note = framework.folder / ".venv" / "bakeoff-installed.json"
    for damaged in (b"", b"{", b"[]", b'{"of": 1}', note.read_bytes().replace(b"1.0", b"null"), b"\xff"):
        note.write_bytes(damaged)
        assert again(framework) == Installed(1, 1.0)
    assert looked_up == [1] * 7

    install(framework, "two", {"two/b.py": 20_000})
    assert [again(framework), again(framework)] == [Installed(2, 1.02)] * 2
    (site / "one" / "a.py").write_bytes(b"x" * 3_000_000)
    (site / "one-1.0.dist-info" / "RECORD").write_text("one/a.py,sha256=x,3000000\n")
    assert [again(framework), again(framework)] == [Installed(2, 3.02)] * 2
    assert looked_up[7:] == [2, 2]

    note.unlink()
    note.mkdir()  # what cannot be kept is looked up each time
    assert [again(framework), again(framework)] == [Installed(2, 3.02)] * 2
    assert looked_up[9:] == [2, 2]


async def test_what_is_installed_is_looked_at_once_the_environment_is_made(framework: Framework, fake_uv: Path) -> None:
    fake_uv.with_name("uv").write_text(f"#!/bin/sh\ncp -r {framework.folder.parent}/made/. {framework.folder}/.venv/\n")
    made = framework.folder.parent / "made" / "lib" / "python3.11" / "site-packages" / "one-1.0.dist-info"
    made.mkdir(parents=True)
    (made / "RECORD").write_text("one-1.0.dist-info/RECORD,,\n")
    await provision(framework, lambda line: None)
    assert installed(framework) == Installed(packages=1, installed_mb=0.0)


def test_nothing_is_installed(framework: Framework) -> None:
    assert installed(framework) is None


async def test_stopped_half_way_it_does_not_pass_for_current(framework: Framework, fake_uv: Path) -> None:
    await provision(framework, lambda line: None)
    (framework.folder / "uv.lock").write_text(LOCK + "# other\n")
    fake_uv.with_name("uv").write_text("#!/bin/sh\necho 'warning: slow' >&2\necho 'error: no space' >&2\nexit 2\n")
    with pytest.raises(Mistake, match=r"fake: uv sync failed: no space$"):
        await provision(framework, lambda line: None)
    (framework.folder / "uv.lock").write_text(LOCK)  # what the stamp was for
    assert not is_current(framework)


async def test_without_uv_one_line_says_so(
    framework: Framework, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Mistake, match=r"^uv was not found: `pip install uv`, then run the command again$"):
        await provision(framework, lambda line: None)
    monkeypatch.setenv("UV", str(tmp_path / "gone"))
    with pytest.raises(Mistake, match=r"^uv cannot be started as '.*gone': No such file or directory$"):
        await provision(framework, lambda line: None)


@pytest.mark.skipif(shutil.which("uv") is None, reason="needs uv")
async def test_a_lock_that_is_out_of_date_gives_one_line_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    folder = tmp_path / "implementations" / "fake"
    folder.mkdir(parents=True)
    project = '[project]\nname = "fake"\nversion = "0"\nrequires-python = ">=3.11"\n[tool.uv]\npackage = false\n'
    metadata = '[tool.bakeoff]\ntitle = "Fake"\nhomepage = "https://example.org"\npackage = "fake"\n'
    (folder / "pyproject.toml").write_text(project + metadata)
    subprocess.run(["uv", "lock", "--project", folder], check=True, capture_output=True)
    framework = read_framework(folder)
    await provision(framework, lambda line: None)
    assert is_current(framework)
    (folder / "pyproject.toml").write_text(project.replace(">=3.11", ">=3.11,<4") + metadata)
    with pytest.raises(Mistake) as caught:
        await provision(framework, lambda line: None)
    message = str(caught.value)
    assert "\n" not in message and "hint" not in message
    assert message.startswith(f"{folder}: uv sync failed: The lockfile at `uv.lock` needs to be updated")
    assert message.endswith("or lock anew, after which all its traces are out of date")


def test_uv_gets_neither_keys_nor_what_changes_which_packages_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = {"OPENAI_API_KEY": "sk-1", "HF_TOKEN": "t", "AWS_SECRET_ACCESS_KEY": "s", "UV_PUBLISH_TOKEN": "p"}
    changing = {
        "UV_FROZEN": "1",
        "UV_EXCLUDE_NEWER": "2020-01-01",
        "UV_PROJECT": "/",
        "VIRTUAL_ENV": "/",
        "PYTHONPATH": "/",
    }
    mirror = {"UV_DEFAULT_INDEX": "https://mirror.example", "UV_INDEX_PRIVATE_PASSWORD": "x"}
    kept = {"UV_CACHE_DIR": "/cache", "https_proxy": "http://proxy.example", "SSL_CERT_FILE": "/c.pem"}
    for name, value in {**secret, **changing, **mirror, **kept}.items():
        monkeypatch.setenv(name, value)
    environment = uv_environment()
    assert environment.keys().isdisjoint({*secret, *changing, *mirror})
    assert environment.items() >= kept.items()
    assert uv_environment(mirror=True).items() >= {**kept, **mirror}.items()
    assert uv_environment(mirror=True).keys().isdisjoint({*secret, *changing})


@pytest.mark.parametrize("named", ["variable", "file"])
async def test_packages_come_from_the_users_mirror_with_the_hashes_of_the_lock(
    framework: Framework, fake_uv: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str
) -> None:
    if named == "variable":
        monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mirror.example/simple")
    else:
        monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "uv.toml"))
        (tmp_path / "uv.toml").write_text('[[index]]\nurl = "https://mirror.example/simple"\ndefault = true\n')
    await provision(framework, lambda line: None)
    export, venv, sync = fake_uv.read_text().splitlines()
    assert export.startswith("export --locked ") and "--no-config" in export
    assert venv.startswith("venv ") and venv.endswith(str(framework.folder / ".venv"))
    assert sync.startswith("pip sync --require-hashes ") and "--no-config" not in sync
    assert is_current(framework)


async def test_what_a_mirror_does_not_give_comes_from_where_the_lock_says(
    framework: Framework, fake_uv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_INDEX_URL", "https://mirror.invalid/simple")
    uv = fake_uv.with_name("uv")
    uv.write_text(uv.read_text() + 'if [ "$1" = pip ]; then echo "error: no answer" >&2; exit 2; fi\n')
    lines: list[str] = []
    await provision(framework, lines.append)
    assert [call.split(" --")[0].split()[0] for call in fake_uv.read_text().splitlines()] == [
        *("export", "venv", "pip", "sync")
    ]
    assert "not from the mirror" in lines[1] and "uv pip failed: no answer" in lines[1]
    assert is_current(framework)
