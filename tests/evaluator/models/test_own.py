"""Models in GGUF files of the user's own: how they are named, fetched and run."""

import io
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import tiny_gguf
from huggingface_hub.errors import GatedRepoError, RemoteEntryNotFoundError, RepositoryNotFoundError
from rich.console import Console

from evaluator.errors import Mistake
from evaluator.models import specs, weights
from evaluator.models.embedded import Settings, model_digest
from evaluator.models.local import LocalServer, local_model
from evaluator.models.own import own_model

TEMPLATE = "{% for message in messages %}<{{ message.role }}> {{ message.content }}\n{% endfor %}"
HUB = "hf:someone/Some-GGUF/quants/Some-Q4_K_M.gguf"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def gguf_file(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"GGUF" + content.encode())
    return path


def test_the_name_is_that_of_the_file_and_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    here = gguf_file(tmp_path / "secret-folder" / "My Model (v2): Q4_K_M.gguf", "a")
    name = own_model(f"gguf:{here}").name
    assert re.fullmatch(r"gguf-My-Model-v2-Q4_K_M-[0-9a-f]{8}", name)
    assert name.endswith(weights.sha256_of(here)[:8])
    assert own_model(f"gguf:~/secret-folder/{here.name}").name == name
    gguf_file(tmp_path / "elsewhere" / here.name, "a")
    assert own_model(f"gguf:{tmp_path}/elsewhere/{here.name}").name == name
    gguf_file(here, "b")
    assert own_model(f"gguf:{here}").name != name


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("none.gguf", None, r"cannot read .*none\.gguf \(No such file or directory\)"),
        ("page.gguf", b"<html>", r"page\.gguf is not a GGUF file"),
        ("m-00001-of-00003.gguf", b"GGUF", r"is one of 3 parts: join them with `llama-gguf-split --merge`"),
    ],
)
def test_a_file_that_cannot_be_run_is_one_line(tmp_path: Path, file: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(Mistake, match=words) as refused:
        own_model(f"gguf:{tmp_path}/{file}")
    assert str(refused.value).startswith(f"--model 'gguf:{tmp_path}/{file}'")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("place", ["Some.gguf", "someone/Some.gguf", "someone/Some-GGUF/", "/Some-GGUF/Some.gguf"])
def test_a_place_on_the_hub_has_a_repository_and_a_file(place: str) -> None:
    with pytest.raises(Mistake, match=r"write hf:REPO/FILE, such as hf:OWNER/"):
        own_model(f"hf:{place}")


class Hub:
    """Stands in for the hub and its client's cache."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.asked: list[tuple[str, ...]] = []
        self.fails: Exception | None = None
        monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", self._metadata)
        monkeypatch.setattr("huggingface_hub.hf_hub_download", self._download)
        monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", self._cached)

    def _path(self, repository: str, filename: str) -> Path:
        return self.folder / repository / filename

    def _metadata(self, url: str, timeout: float) -> Any:
        self.asked.append(("metadata", url))
        if self.fails:
            raise self.fails

        class Metadata:
            size = 4_000_000

        return Metadata

    def _download(self, repository: str, filename: str, **_: Any) -> str:
        self.asked.append(("download", repository, filename))
        return str(gguf_file(self._path(repository, filename), "from the hub"))

    def _cached(self, repository: str, filename: str, **_: Any) -> str | None:
        path = self._path(repository, filename)
        return str(path) if path.exists() else None


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    return Hub(tmp_path / "hub", monkeypatch)


def test_a_file_on_the_hub_is_fetched_once_and_then_taken_without_asking(hub: Hub, tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=300)
    model = own_model(HUB, console)
    assert hub.asked[0][0] == "metadata" and hub.asked[0][1].endswith("/quants/Some-Q4_K_M.gguf")
    assert hub.asked[1:] == [("download", "someone/Some-GGUF", "quants/Some-Q4_K_M.gguf")]
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "fetching quants/Some-Q4_K_M.gguf (4.0 MB)\n"
    hub.fails = ConnectionError("there is no network")
    assert own_model(HUB) == model
    assert len(hub.asked) == 2
    here = gguf_file(tmp_path / "Some-Q4_K_M.gguf", "from the hub")
    assert own_model(f"gguf:{here}").name == model.name


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionError("no route\nto the hub"), "no route"),
        (GatedRepoError, "the hub wants you to accept its terms first, and a token in HF_TOKEN"),
        (RepositoryNotFoundError, "the hub has no such repository, or none that it shows without a token in HF_TOKEN"),
        (RemoteEntryNotFoundError, "the hub's repository has no such file"),
    ],
)
def test_what_the_hub_does_not_give_is_one_line(hub: Hub, error: Any, words: str) -> None:
    hub.fails = error if isinstance(error, Exception) else error.__new__(error)
    with pytest.raises(Mistake) as refused:
        own_model(HUB)
    said = f"--model '{HUB}' is not here yet, and cannot be had from the hub: {words}"
    assert str(refused.value) == f"{said} (a file that is here already is gguf:PATH)"


def test_it_is_a_model_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = gguf_file(tmp_path / "own.gguf")
    spec = specs.resolve(f"gguf:{path}", None, None)
    assert spec.name == spec.sent_name == own_model(f"gguf:{path}").name
    assert (spec.jobs, specs.knows_cases(spec)) == (1, False)
    assert str(tmp_path) not in spec.name
    monkeypatch.setenv("BAKEOFF_LOCAL_GGUF", str(path))
    console = Console(file=io.StringIO())
    digest = specs.digest(spec, console)
    assert digest == specs.digest(specs.resolve("local", None, None), console)  # the same file answers in the same way
    assert local_model().name == "local"
    gguf_file(path, "other content")
    assert specs.digest(specs.resolve(f"gguf:{path}", None, None), console) != digest
    with pytest.raises(Mistake, match=r"is a file, which is run here: leave out --base-url"):
        specs.resolve(f"gguf:{path}", "http://127.0.0.1:9/v1", None)


async def test_the_engine_runs_it_with_its_own_template(tmp_path: Path) -> None:
    model = own_model(f"gguf:{tiny_gguf.write(tmp_path / 'tiny.gguf', TEMPLATE)}")
    body = {"messages": [{"role": "user", "content": "Hi"}], "temperature": 0, "max_tokens": 3}
    settings = Settings(context_tokens=512, threads=1)
    server = LocalServer(model, settings, console=Console(file=io.StringIO()))
    async with server, aiohttp.ClientSession() as session:
        async with session.post(server.base_url.removesuffix("/v1") + "/apply-template", json=body) as response:
            assert (await response.json())["prompt"] == "<user> Hi\n"
        async with session.post(f"{server.base_url}/chat/completions", json=body) as response:
            answer = await response.json()
    assert answer["model"] == model.name
    assert answer["usage"]["completion_tokens"] == 3
    assert str(tmp_path) not in json.dumps(answer)
    other = own_model(f"gguf:{tiny_gguf.write(tmp_path / 'other' / 'tiny.gguf', TEMPLATE, seed=1)}")
    assert other.name != model.name and other.path.name == model.path.name
    assert model_digest(other, settings) != model_digest(model, settings)
