"""The embedded models, and what decides their answers: weights, template, engine, settings. Nothing is run here."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

import psutil

from evaluator.models import weights
from evaluator.models.template import TEMPLATE
from evaluator.providers.names import LOCAL, LOCAL_HALF_B


@dataclass(frozen=True)
class Embedded:
    """A model that the project brings along: its weights, and the chat template that it is run with."""

    weights: weights.WeightFile
    template: Path


EMBEDDED = {LOCAL: Embedded(weights.QWEN, TEMPLATE), LOCAL_HALF_B: Embedded(weights.QWEN_HALF_B, TEMPLATE)}
"""The embedded models by name."""


@dataclass(frozen=True)
class LocalModel:
    """Weights on this machine, their digest, and their chat template (None: the one inside the weights).

    `name` is what the server answers to, and shows in its responses instead of the path of the weights.
    """

    name: str
    path: Path
    sha256: str
    template: Path | None


@dataclass(frozen=True)
class Settings:
    """How llama.cpp runs the model.

    The harness sends many long prompts in turn that differ early (each framework's own instructions
    and tools). `cache_ram_mib` keeps the prompts used last in memory, so that each of them is read
    once only, even with a single slot. A single slot, so that neither the time nor the rounding of
    one run depends on another that happens to be answered at the same moment.

    What is read again and what comes from the cache must not change an answer. llama.cpp's repacked
    weights and flash attention round differently for different numbers of new tokens, which changed
    a greedy answer here. Without both (no slower, within the noise), the prompt that was tried gave
    the same numbers to the bit with 13, 70, 130, 225 and 300 new tokens as when it was read whole.
    With 1, 2, 3 and 7 (a prompt repeated, or nearly) they still differ a little.
    """

    context_tokens: int = 16384
    max_new_tokens: int = 512
    slots: int = 1
    cache_ram_mib: int = 2048
    flash_attention: bool = False
    repacked_weights: bool = False
    threads: int = field(default_factory=lambda: psutil.cpu_count(logical=False) or os.cpu_count() or 1)


def engine_version() -> str:
    """The engine and its version, such as `xllamacpp 2026.10.11549`."""
    return f"xllamacpp {version('xllamacpp')}"


def model_digest(model: LocalModel, settings: Settings) -> str:
    """SHA-256 over all that decides the answers: weights, template, engine and settings (not the threads)."""
    parts = {
        "weights": model.sha256,
        "template": hashlib.sha256(model.template.read_bytes()).hexdigest() if model.template else None,
        "engine": engine_version(),
        "settings": {name: value for name, value in asdict(settings).items() if name != "threads"},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def embedded_digest(name: str) -> str:
    """16 hex digits over what decides the answers of one of `EMBEDDED`, as the project brings it along."""
    embedded = EMBEDDED[name]
    model = LocalModel(name, embedded.weights.path, embedded.weights.sha256, embedded.template)
    return model_digest(model, Settings())[:16]
