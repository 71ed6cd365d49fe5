import time

import numpy as np
import pytest

from evaluator.models import embedding
from evaluator.models.embedding import DIMENSIONS, MAX_TOKENS, Embedder

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
