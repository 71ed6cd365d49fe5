"""The names of the models that are built in: those that answer by themselves, and those that play what is expected
or was recorded."""

LOCAL = "local"
"""The default model: see `evaluator/models/embedded.py`."""

LOCAL_HALF_B = "local-0.5b"
"""The same, of a third of the size."""

SCRIPTED = "scripted"
"""The model that plays each case perfectly, and asks every framework for the same tool calls."""

PROBES_NAME = "probes"
"""The model that misbehaves on purpose: see `evaluator/probes/table.py`."""

FAULTS_NAME = "faults"
"""The scripted model, with a fault put in: see `evaluator/faults/table.py`."""

CAPABILITIES_NAME = "capabilities"
"""The model that plays capability tasks: see `evaluator/models/upstreams/capabilities.py`."""

REPLAY = "replay"
"""The recorded responses of earlier runs: see `evaluator/suites/replays.py`."""

OBEYING = "obeying"
"""The scripted model for outside suites that does what an instruction in a tool's result says: see
`evaluator/models/upstreams/obeying.py`."""

PLAYED = (SCRIPTED, PROBES_NAME, FAULTS_NAME, CAPABILITIES_NAME, OBEYING, REPLAY)
"""The models that do not answer by themselves."""

IN_ONE_GO = (PROBES_NAME, FAULTS_NAME, CAPABILITIES_NAME, REPLAY)
"""Those of them whose runs are not made in rounds, and are no recordings that could be made again."""

BUILT_IN = (LOCAL, LOCAL_HALF_B, *PLAYED)

GGUF_PATH, GGUF_ON_HUB = "gguf:PATH", "hf:REPO/FILE"
"""How a user names a model by its file, on this machine or on the model hub: see `evaluator/models/own.py`."""

GGUF_PREFIX = "gguf-"
"""How the name of such a model begins in traces and tables."""

DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"
"""The environment variable that holds the key of a server that has no name here."""


def is_real(name: str) -> bool:
    """Whether a name is that of a model that answers by itself, not one that plays what is expected or recorded."""
    return name not in PLAYED
