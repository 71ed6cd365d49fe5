import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.models import embedding
from evaluator.models.embedding import DIMENSIONS, MAX_TOKENS, Embedder, Vectors

PASSWORD = "How do I reset my password?"
TEXTS = [PASSWORD, "Forgotten login credentials: how to recover them", "The cat sat on the mat.", "parcel " * 170, ""]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder()


def test_vectors_have_length_one_and_follow_the_meaning(embedder: Embedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), DIMENSIONS)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    alike, unlike = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert alike > 0.5 > 0.2 > unlike


def test_a_text_has_the_same_vector_in_whatever_company() -> None:
    alone, together, turned = Embedder(), Embedder(), Embedder()
    expected = np.vstack([alone.embed([text]) for text in TEXTS])
    assert np.array_equal(together.embed(TEXTS), expected)
    assert np.array_equal(turned.embed(TEXTS[::-1])[::-1], expected)


def test_a_second_time_costs_nothing(embedder: Embedder) -> None:
    embedder.embed(TEXTS)
    started_at = time.perf_counter()
    for _ in range(100):
        embedder.embed(TEXTS)
    assert (time.perf_counter() - started_at) / 100 < 0.002


def test_only_the_texts_used_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_CACHED_TEXTS", 2)
    embedder = Embedder()
    embedder.embed(["a", "b", "a", "c"])
    assert list(embedder._known) == ["a", "c"]


def test_what_is_returned_is_the_callers_own(embedder: Embedder) -> None:
    vectors = embedder.embed([PASSWORD])
    vectors[:] = 0
    assert embedder.embed([PASSWORD]).any()


def test_nothing_gives_nothing(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, DIMENSIONS)
    assert embedder.count_tokens([]) == 0


def test_tokens_are_those_that_the_model_reads(embedder: Embedder) -> None:
    assert embedder.count_tokens(["hello world"]) == 4
    assert embedder.count_tokens(["hello world", "hello " * 1000]) == 4 + MAX_TOKENS
    assert np.array_equal(*embedder.embed(["hello " * 1000, "hello " * 2000]))


class Counted:
    """A session that counts the texts that go through the model."""

    def __init__(self, embedder: Embedder) -> None:
        self._session = embedder._session
        self.texts = 0

    def __getattr__(self, name: str) -> Any:
        self.texts += name == "run"
        return getattr(self._session, name)


@pytest.fixture
def kept(embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the vectors of `TEXTS`, in a cache folder of the test's own."""
    other = Embedder()
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path))
    other.know(TEXTS)
    [path] = (tmp_path / "embeddings").iterdir()
    return path


def known_again(monkeypatch: pytest.MonkeyPatch) -> tuple[Vectors, int]:
    """The vectors of `TEXTS` for an embedder that is told to know them, and how many it made for that."""
    with monkeypatch.context() as elsewhere:
        elsewhere.delenv("BAKEOFF_CACHE")
        embedder = Embedder()
    counted = Counted(embedder)
    monkeypatch.setattr(embedder, "_session", counted)
    embedder.know(TEXTS)
    return embedder.embed(TEXTS), counted.texts


def test_vectors_are_kept(embedder: Embedder, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, made = known_again(monkeypatch)
    assert np.array_equal(vectors, embedder.embed(TEXTS))
    assert made == 1  # to see whether those kept are of this processor


@pytest.mark.parametrize(
    "damage", [lambda _: b"", lambda content: content[:-4], lambda content: content[:-1] + bytes([content[-1] ^ 1])]
)
def test_what_is_damaged_is_made_anew(
    embedder: Embedder, kept: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes]
) -> None:
    content = kept.read_bytes()
    kept.write_bytes(damage(content))
    vectors, made = known_again(monkeypatch)
    assert np.array_equal(vectors, embedder.embed(TEXTS)) and made == len(TEXTS)
    assert kept.read_bytes() == content


def test_vectors_of_another_processor_are_made_anew(
    embedder: Embedder, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = kept.read_bytes()
    data = (embedder.embed(TEXTS) * np.float32(1.0001)).tobytes()
    kept.write_bytes(hashlib.sha256(data).digest() + data)
    vectors, made = known_again(monkeypatch)
    assert np.array_equal(vectors, embedder.embed(TEXTS)) and made == len(TEXTS)
    assert kept.read_bytes() == content


def test_other_texts_are_kept_apart_and_nothing_must_be_writable(
    embedder: Embedder, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder.know(TEXTS[:2])
    assert len(list(kept.parent.iterdir())) == 2
    shutil.rmtree(kept.parent)
    kept.parent.write_text("in the way")
    vectors, _ = known_again(monkeypatch)
    assert np.array_equal(vectors, embedder.embed(TEXTS))
