"""Embeddings for every framework's own index: all-MiniLM-L6-v2 with int8 weights, on the CPU, without PyTorch."""

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from rich.console import Console
from tokenizers import Tokenizer

from evaluator.models import weights

MODEL_NAME = "all-minilm-l6-v2"
DIMENSIONS = 384
MAX_TOKENS = 256
"""What the model was trained to read; a longer text is cut there."""

_CACHED_TEXTS = 4096
_MAX_THREADS = 2

Vectors = NDArray[np.float32]


class Embedder:
    """Turns texts into vectors. Safe to use from several threads.

    Each text goes through the model alone: its vector does not depend on what else is embedded,
    and on a CPU a batch is no faster. The texts used last are remembered, so the documents that
    every run embeds again cost nothing the second time, also where a framework changes their white
    space: the tokenizer takes any for one blank.
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

    def count_tokens(self, texts: Sequence[str]) -> int:
        """The tokens that the model reads for these texts, its two special ones each and the cut included."""
        return sum(len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts)))

    def _vector(self, text: str) -> Vectors:
        key = " ".join(text.split())
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
