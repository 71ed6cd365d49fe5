"""Models of the user's own: a GGUF file on this machine (`gguf:PATH`), or on the model hub (`hf:REPO/FILE`).

They are run as the embedded models are, with the chat template that is inside the file.
"""

import re
from pathlib import Path

from rich.console import Console

from evaluator.errors import Mistake
from evaluator.models import weights
from evaluator.models.embedded import LocalModel
from evaluator.providers.names import GGUF_ON_HUB, GGUF_PATH, GGUF_PREFIX

_FILE, _HUB = (form.partition(":")[0] + ":" for form in (GGUF_PATH, GGUF_ON_HUB))
_DIGITS = 8
"""So much of the digest tells files of one name apart."""

_PART = re.compile(r"-\d{5}-of-(\d{5})\.gguf$")


def names_a_file(asked: str) -> bool:
    """Whether what the user asked for has one of the two forms."""
    return asked.startswith((_FILE, _HUB))


def own_model(asked: str, console: Console | None = None) -> LocalModel:
    """The model in a GGUF file, fetched first if it is on the hub and not here yet. Raises `Mistake`.

    Its name is that of the file with the beginning of its SHA-256, such as `gguf-Qwen3-4B-Q4_K_M-1a2b3c4d`: the same
    wherever the file lies, another for other content, and safe as the name of a folder of traces.
    """
    form, _, place = asked.partition(":")
    if parts := _PART.search(place):
        raise Mistake(
            f"--model {asked!r} is one of {int(parts[1])} parts: join them with `llama-gguf-split --merge`, "
            f"and give the whole file as {GGUF_PATH}"
        )
    path = Path(place).expanduser() if f"{form}:" == _FILE else _from_hub(asked, place, console)
    if wrong := weights.not_gguf(path):
        raise Mistake(f"--model {asked!r}: {wrong}")
    digest = weights.sha256_of(path)
    stem = re.sub(r"[^\w.-]+", "-", path.name.removesuffix(".gguf"), flags=re.ASCII).strip("-.")
    return LocalModel(f"{GGUF_PREFIX}{stem}-{digest[:_DIGITS]}", path, digest, None)


def _from_hub(asked: str, place: str, console: Console | None) -> Path:
    owner, _, rest = place.partition("/")
    repository, _, file = rest.partition("/")
    if not (owner and repository and file):
        raise Mistake(f"--model {asked!r}: write {GGUF_ON_HUB}, such as hf:OWNER/NAME-GGUF/NAME-Q4_K_M.gguf")
    try:
        return weights.fetch_from_hub(f"{owner}/{repository}", file, console)
    except Mistake as mistake:
        reason = f"is not here yet, and cannot be had from the hub: {mistake}"
        raise Mistake(f"--model {asked!r} {reason} (a file that is here already is {GGUF_PATH})") from mistake
