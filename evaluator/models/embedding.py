"""Embeddings for every framework's own index: all-MiniLM-L6-v2 with int8 weights, on the CPU, without PyTorch."""

import contextlib
import hashlib
import json
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = (
    "1"  # before it is imported, or it writes a device id and looks up its maker's host
)

import numpy as np
import onnxruntime
import tokenizers
from numpy.typing import NDArray
from rich.console import Console
from tokenizers import Tokenizer

from evaluator import files
from evaluator.models import weights

MODEL_NAME = "all-minilm-l6-v2"
DIMENSIONS = 384
MAX_TOKENS = 256
"""What the model was trained to read; a longer text is cut there."""

_CACHED_TEXTS = 4096
_MAX_THREADS = 2
_DIGEST_BYTES = 32

Vectors = NDArray[np.float32]


class Embedder:
    """Turns texts into vectors. Safe to use from several threads.

    Each text goes through the model alone: its vector does not depend on what else is embedded,
    and on a CPU a batch is no faster. The texts used last are remembered, so the documents that
    every run embeds again cost nothing the second time, also where a framework changes their white space.
    """

    def __init__(self, console: Console | None = None) -> None:
        """Load the model, fetched first if it is not there. Raises `Mistake`."""
        self._tokenizer = Tokenizer.from_file(str(weights.fetch(weights.MINILM_TOKENIZER, console)))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(_MAX_THREADS, os.cpu_count() or 1)
        options.log_severity_level = 3
        model = weights.fetch(weights.MINILM, console)
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Vectors] = OrderedDict()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of length 1 for each text: shape (len(texts), DIMENSIONS), float32."""
        with self._lock:
            rows = [self._vector(text) for text in texts]
        return np.stack(rows) if rows else np.empty((0, DIMENSIONS), np.float32)

    def know(self, texts: Sequence[str]) -> None:
        """Have the vectors of these texts at hand from now on, as they are kept in the cache folder or made now.

        One of them is made in any case. Where that is not the vector kept for its text (another processor may round
        otherwise), none of those kept is used.
        """
        keys = list(dict.fromkeys(map(_key, texts)))
        sample = min(range(len(keys)), key=lambda number: len(keys[number]))
        kept = _Kept(keys, self._session.get_session_options().intra_op_num_threads)
        vectors = kept.read()
        if vectors is None or not np.array_equal(vectors[sample], self.embed([keys[sample]])[0]):
            kept.write(self.embed(keys))
            return
        with self._lock:
            self._known.update(zip(keys, vectors, strict=True))

    def count_tokens(self, texts: Sequence[str]) -> int:
        """The tokens that the model reads for these texts, its two special ones each and the cut included."""
        return sum(len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts)))

    def _vector(self, text: str) -> Vectors:
        key = _key(text)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        ids = np.array([self._tokenizer.encode(key).ids], np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        hidden = np.asarray(self._session.run(["last_hidden_state"], inputs)[0], np.float32)
        mean = hidden[0].mean(axis=0)
        vector: Vectors = mean / np.linalg.norm(mean)
        self._known[key] = vector
        if len(self._known) > _CACHED_TEXTS:
            self._known.popitem(last=False)
        return vector


def _key(text: str) -> str:
    """The text as it is remembered: the tokenizer takes any white space for one blank."""
    return " ".join(text.split())


class _Kept:
    """The vectors of some texts in the cache folder, under a digest of all that they depend on but the processor."""

    def __init__(self, keys: Sequence[str], threads: int) -> None:
        depends_on = [
            *(weights.MINILM.sha256, weights.MINILM_TOKENIZER.sha256, onnxruntime.__version__, tokenizers.__version__),
            *(np.__version__, sys.byteorder, str(threads), hashlib.sha256(Path(__file__).read_bytes()).hexdigest()),
        ]
        digest = hashlib.sha256(json.dumps([depends_on, list(keys)]).encode()).hexdigest()
        self._path = weights.cache_dir() / "embeddings" / f"{digest[:32]}.bin"
        self._shape = len(keys), DIMENSIONS

    def read(self) -> Vectors | None:
        """The vectors in the order of the texts; None where they are not there, or damaged."""
        with contextlib.suppress(OSError, ValueError):
            content = files.read_bytes(self._path)
            digest, data = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
            if hashlib.sha256(data).digest() == digest:
                return np.frombuffer(data, np.float32).reshape(self._shape)
        return None

    def write(self, vectors: Vectors) -> None:
        """Keep the vectors, if that can be done."""
        data = vectors.tobytes()
        with contextlib.suppress(OSError):
            files.write_whole(self._path, hashlib.sha256(data).digest() + data)
