"""The checks of this machine: what is judged how. No weights and no network."""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from evaluator import ROOT
from evaluator.catalog.frameworks import Framework
from evaluator.doctor import machine
from evaluator.doctor import machine as doctor_machine
from evaluator.doctor.machine import (
    UNPACKED_TIMES,
    certificates_finding,
    disk_finding,
    environment_finding,
    lock_finding,
    python_finding,
    unpacked_bytes,
    weights_finding,
)
from evaluator.doctor.report import Verdict
from evaluator.harness import environments
from evaluator.models.weights import WeightFile

GB = 10**9


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("BAKEOFF_CACHE", str(folder))
    return folder


def test_a_python_version_has_to_be_in_every_range() -> None:
    ranges = {"the harness": ">=3.11,<3.14", "x": ">=3.10", "y": "<3.13", "z": ""}
    assert python_finding("3.12.4", ranges).verdict is Verdict.OK
    refused = python_finding("3.13.1", ranges)
    assert (refused.verdict, refused.found) == (Verdict.FAILS, "3.13.1, but y needs <3.13")
    assert python_finding("3.14.0", ranges).found == "3.14.0, but the harness needs >=3.11,<3.14, y needs <3.13"


@pytest.mark.parametrize(
    ("needs", "verdict", "words"),
    [
        ([((1, 50 * GB), 2 * GB), ((2, 9 * GB), 1 * GB)], Verdict.OK, "9.0 GB free; what is not there yet takes about"),
        ([((1, 50 * GB), 2 * GB), ((2, 3 * GB // 2), 1 * GB)], Verdict.FAILS, "1.5 GB free; "),
        ([((1, 4 * GB), 2 * GB), ((1, 4 * GB), 2 * GB)], Verdict.FAILS, "takes about 4.0 GB"),  # one disk, both needs
        ([((1, 4 * GB), 0), ((1, 4 * GB), 0)], Verdict.OK, "takes about 0 MB"),
    ],
)
def test_each_disk_has_to_take_what_goes_there(needs: Any, verdict: Verdict, words: str) -> None:
    finding = disk_finding(needs)
    assert finding.verdict is verdict
    assert words in finding.found


def test_certificates_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    assert certificates_finding().found == "those of the system"
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'gone'}:{tmp_path}")
    assert certificates_finding().found == "those that SSL_CERT_DIR names"
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    finding = certificates_finding()
    assert (finding.verdict, finding.found) == (Verdict.FAILS, "SSL_CERT_FILE names a file that is not there")
    (tmp_path / "gone.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "gone"))
    assert certificates_finding().found == "SSL_CERT_DIR names a folder that is not there"


def test_the_size_of_an_environment_is_that_of_the_biggest_wheels(tmp_path: Path) -> None:
    lock = tmp_path / "uv.lock"
    lock.write_text(
        '[[package]]\nname = "a"\nwheels = [{ url = "a", size = 100 }, { url = "b", size = 30 }]\n'
        '[[package]]\nname = "b"\nwheels = [{ url = "c", size = 7 }]\n'
        '[[package]]\nname = "source-only"\nsdist = { url = "d", size = 9 }\n'
    )
    assert unpacked_bytes(lock) == UNPACKED_TIMES * 107


def test_an_environment_is_current_missing_or_out_of_date(framework: Framework) -> None:
    assert environment_finding(framework).found.startswith("out of date (fake 1.2.3, ")
    stamp = framework.folder / ".venv" / environments._STAMP
    stamp.write_text(environments._wanted(framework))
    assert environment_finding(framework).verdict is Verdict.OK
    environments.python_of(framework).unlink()
    missing = environment_finding(framework)
    assert missing.verdict is Verdict.LIMITED and missing.found.startswith("not made yet (fake 1.2.3, ")


@pytest.mark.parametrize(
    ("code", "said", "verdict", "words"),
    [
        (0, "Resolved 16 packages in 83ms", Verdict.OK, "in date"),
        (1, "error: The lockfile at `uv.lock` needs to be updated, but `--check` was", Verdict.FAILS, "out of date"),
        (1, "error: No solution found when resolving\n  cause: Because x was not found", Verdict.FAILS, "out of date"),
        (
            2,
            "Using CPython\nerror: Failed to parse `uv.lock`\n  cause: TOML",
            Verdict.FAILS,
            "Failed to parse `uv.lock`",
        ),
        (7, "", Verdict.FAILS, "exit code 7"),
    ],
)
def test_what_uv_says_of_a_lock(code: int, said: str, verdict: Verdict, words: str) -> None:
    finding = lock_finding(code, said)
    assert finding.verdict is verdict
    assert words in finding.found


async def test_uv_itself_is_asked_about_a_lock(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "0"\nrequires-python = ">=3.11"\n')
    subprocess.run(["uv", "lock", "-q", "--offline"], cwd=tmp_path, check=True, capture_output=True)
    assert (await doctor_machine._lock(tmp_path)).verdict is Verdict.OK
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["y-z-not-there>=7"]\n'
    )
    assert (await doctor_machine._lock(tmp_path)).verdict is Verdict.FAILS


async def test_without_uv_the_rest_is_checked_all_the_same(
    framework: Framework, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "ROOT", tmp_path / "implementations" / "fake")
    monkeypatch.setattr(machine, "IMPLEMENTATIONS", tmp_path / "implementations")
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    begun: list[str] = []
    results = [result async for result in doctor_machine.examine([framework], begun.append)]
    assert begun == [result.title for result in results]
    verdicts = {result.name: result.finding.verdict for result in results}
    assert verdicts.pop("uv") is Verdict.FAILS
    assert verdicts.pop("lock fake") is verdicts.pop("lock harness") is Verdict.NOT_MADE
    assert verdicts.pop("weights local") is verdicts.pop("embeddings") is Verdict.LIMITED
    assert verdicts.pop("environment fake") is Verdict.LIMITED
    assert {name for name in verdicts if not name.startswith("weights ")} == {
        "python",
        "disk",
        "certificates",
        "engine",
    }
    assert list(cache.iterdir()) == []  # nothing was fetched
    assert [result.name for result in results if result.failed] == ["uv"]


def test_weights_are_missing_damaged_or_right(cache: Path) -> None:
    text = b"weights"
    file = WeightFile("x.gguf", "0" * 64, len(text), ())
    assert weights_finding([file]).found == "not fetched yet: x.gguf (0 MB)"
    file.path.write_bytes(b"other")
    assert weights_finding([file]).found == "damaged, and will be deleted: x.gguf: 5 bytes instead of 7"
    file.path.write_bytes(text)
    damaged = weights_finding([file])
    assert damaged.verdict is Verdict.LIMITED and "SHA-256" in damaged.found
    right = WeightFile("x.gguf", hashlib.sha256(text).hexdigest(), len(text), ())
    assert weights_finding([right]).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("content", "verdict"), [(b"GGUF...", Verdict.OK), (b"nope", Verdict.FAILS), (None, Verdict.FAILS)]
)
def test_weights_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, verdict: Verdict
) -> None:
    path = tmp_path / "mine.gguf"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("BAKEOFF_LOCAL_GGUF", str(path))
    finding = doctor_machine._local_weights("local")
    assert finding.verdict is verdict
    assert "BAKEOFF_LOCAL_GGUF" in finding.found


def test_the_commands_that_are_advised_name_folders_from_the_root() -> None:
    [check] = [check for check in doctor_machine.checks([]) if check.name == "lock harness"]
    assert check.todo == "uv lock"
    assert (ROOT / "uv.lock").is_file()
