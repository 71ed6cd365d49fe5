"""What a `--model` can be, and how it is brought up behind the gateway."""

import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from rich.console import Console

from evaluator.errors import Mistake
from evaluator.models import embedded, local, own
from evaluator.models.upstreams import Upstream
from evaluator.models.upstreams.capabilities import CapabilityUpstream, capabilities_digest
from evaluator.models.upstreams.conversing import ConversingUpstream, conversing_digest
from evaluator.models.upstreams.faults import FaultUpstream, faults_digest
from evaluator.models.upstreams.http import HttpUpstream
from evaluator.models.upstreams.obeying import ObeyingUpstream, obeying_digest
from evaluator.models.upstreams.probes import ProbeUpstream, probes_digest
from evaluator.models.upstreams.replay import ReplayUpstream
from evaluator.models.upstreams.scripted import ScriptedUpstream, scripted_digest
from evaluator.models.upstreams.suites import SuiteUpstream, suites_digest
from evaluator.providers import endpoints
from evaluator.providers.endpoint import Endpoint
from evaluator.providers.names import (
    BUILT_IN,
    CAPABILITIES_NAME,
    DEFAULT_KEY_VARIABLE,
    FAULTS_NAME,
    GGUF_ON_HUB,
    GGUF_PATH,
    OBEYING,
    PROBES_NAME,
    REPLAY,
    SCRIPTED,
)
from evaluator.trace import check_model_name


@dataclass(frozen=True)
class _Played:
    """A model that plays what a case expects, or what was recorded.

    That is what answers, the digest of how, and the time limit of a run in seconds.
    """

    upstream: Callable[[], Upstream]
    digest: Callable[[], str]
    timeout_s: float


_PLAYED = {
    SCRIPTED: _Played(ScriptedUpstream, scripted_digest, timeout_s=60),
    PROBES_NAME: _Played(ProbeUpstream, probes_digest, timeout_s=30),
    FAULTS_NAME: _Played(FaultUpstream, faults_digest, timeout_s=30),
    CAPABILITIES_NAME: _Played(CapabilityUpstream, capabilities_digest, timeout_s=60),
    REPLAY: _Played(ReplayUpstream, digest=lambda: REPLAY, timeout_s=300),  # each run has those of its recording
    OBEYING: _Played(ObeyingUpstream, obeying_digest, timeout_s=60),
}
_PLAYED_FOR_SUITES = _PLAYED | {SCRIPTED: _Played(SuiteUpstream, suites_digest, timeout_s=60)}
_PLAYED_IN_CONVERSATIONS = _PLAYED | dict.fromkeys(
    (SCRIPTED, OBEYING), _Played(ConversingUpstream, conversing_digest, timeout_s=60)
)


_EMBEDDED_TIMEOUT_S = 300


@dataclass(frozen=True)
class ModelSpec:
    """A model by name. `endpoint` is set where the user named a server, `own` where a GGUF file, `for_suites` where it
    answers cases of outside suites: the scripted model then knows tools by whatever name they are offered under. With
    `for_conversations` these are conversations, of which it plays what the user has said so far."""

    name: str
    timeout_s: float
    jobs: int
    endpoint: Endpoint | None = None
    own: embedded.LocalModel | None = None
    for_suites: bool = False
    for_conversations: bool = False

    @property
    def played(self) -> "_Played | None":
        """What answers, where that is a model that plays."""
        if self.endpoint is not None:
            return None
        of_suites = _PLAYED_IN_CONVERSATIONS if self.for_conversations else _PLAYED_FOR_SUITES
        return (of_suites if self.for_suites else _PLAYED).get(self.name)

    @property
    def sent_name(self) -> str:
        """The name that frameworks are given and servers are sent: without the endpoint's."""
        return self.endpoint.model if self.endpoint is not None else self.name


def resolve(name: str, base_url: str | None, key_variable: str | None) -> ModelSpec:
    """The model that the user means; a file on the hub is fetched. Raises `Mistake`."""
    if own.names_a_file(name):
        if base_url is not None:
            raise Mistake(f"--model {name!r} is a file, which is run here: leave out --base-url")
        model = own.own_model(name)
        return ModelSpec(model.name, timeout_s=_EMBEDDED_TIMEOUT_S, jobs=1, own=model)
    try:
        check_model_name(name)
    except ValueError as error:
        raise Mistake(f"--model {name!r}: {error}") from None
    if name in BUILT_IN and base_url is not None:
        raise Mistake(f"--model {name!r} is built in: leave out --base-url, or give your model's own name")
    if name in _PLAYED:
        return ModelSpec(name, timeout_s=_PLAYED[name].timeout_s, jobs=os.cpu_count() or 1)
    if name in embedded.EMBEDDED:
        return ModelSpec(name, timeout_s=_EMBEDDED_TIMEOUT_S, jobs=1)
    if base_url is not None and not endpoints.is_server_url(base_url):
        raise Mistake(f"--base-url {base_url!r}: must be a URL such as http://localhost:8000/v1")
    if key_variable is not None and endpoints.key_in(key_variable) is None:
        raise Mistake(f"--key-variable {key_variable}: this environment variable is not set")
    return ModelSpec(name, timeout_s=120, jobs=1, endpoint=_endpoint(name, base_url, key_variable))


def _endpoint(name: str, base_url: str | None, key_variable: str | None) -> Endpoint:
    """Where `<endpoint>/<model>` is, or the model of a server without a name."""
    there_are = endpoints.endpoints()
    first, _, model = name.partition("/")
    if model and first in there_are:
        return endpoints.reach(there_are[first], first, model, base_url, key_variable)
    if base_url is not None:
        return Endpoint(name, base_url, endpoints.key_in(key_variable or DEFAULT_KEY_VARIABLE))
    if first in there_are:
        raise Mistake(
            f"--model {name!r}: say which model of this endpoint, such as {first}/{there_are[first].example or 'NAME'}"
        )
    raise Mistake(
        f"--model {name!r} is unknown: use {', '.join(map(repr, BUILT_IN))}, {GGUF_PATH}, {GGUF_ON_HUB}, "
        f"ENDPOINT/MODEL with one of {', '.join(there_are)}, or any name together with --base-url URL"
    )


def resolve_all(names: Sequence[str], base_url: str | None, key_variable: str | None) -> list[ModelSpec]:
    """The models that the user means, each once. Raises `Mistake`."""
    once = list(dict.fromkeys(names))
    firsts = {name.partition("/")[0] for name in once}
    of_one_server = len(once) == 1 or (len(firsts) == 1 and firsts <= endpoints.endpoints().keys())
    for option, value in (("--base-url", base_url), ("--key-variable", key_variable)):
        if value is not None and not of_one_server:
            raise Mistake(f"{option} is for one server; these models are not of one endpoint: {', '.join(once)}")
    return [resolve(name, base_url, key_variable) for name in once]


def knows_cases(spec: ModelSpec) -> bool:
    """Whether the model's replies depend on what a case expects."""
    return spec.played is not None and spec.name != REPLAY


def computed_here(spec: ModelSpec) -> bool:
    """Whether a language model on this machine answers, and takes its time for it."""
    return spec.endpoint is None and spec.played is None


def digest(spec: ModelSpec, console: Console, *, fetched: bool = True) -> str:
    """16 hex digits over what decides the model's answers, as far as it can be known. Nothing is started.

    Weights are fetched if they are not there, unless `fetched` is false. Raises `Mistake`, `Failure`.
    """
    if spec.endpoint is not None:
        decides = " ".join([spec.name, spec.endpoint.base_url, *spec.endpoint.quirks])
        return hashlib.sha256(decides.encode()).hexdigest()[:16]
    if spec.played is not None:
        return spec.played.digest()
    return embedded.model_digest(_run_here(spec, console, fetched), embedded.Settings())[:16]


def _run_here(spec: ModelSpec, console: Console, fetched: bool = True) -> embedded.LocalModel:
    return spec.own or local.local_model(spec.name, console, fetched=fetched)


@contextlib.asynccontextmanager
async def running(spec: ModelSpec, console: Console) -> AsyncIterator[Upstream]:
    """Bring the model up, fetching weights if need be; it is down again at the end."""
    if spec.endpoint is not None:
        yield HttpUpstream(spec.endpoint)
    elif spec.played is not None:
        yield spec.played.upstream()
    else:
        async with local.LocalServer(_run_here(spec, console), console=console) as server:
            yield HttpUpstream(Endpoint(spec.name, server.base_url))
