"""What answers behind the gateway: the scripted model, or any OpenAI-compatible server."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from evaluator.trace import ModelCall
from tasks.cases import Script


@dataclass(slots=True)
class Reply:
    """An upstream's response: the whole body, or its pieces as they arrive."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes | AsyncIterator[bytes]

    @property
    def retry_after(self) -> str | None:
        """What the header `Retry-After` says; None where there is none, or it says nothing."""
        return dict(self.headers).get(b"retry-after", b"").decode(errors="replace") or None


class UpstreamError(Exception):
    """The upstream could not be reached or broke off. The message is for people."""


class BrokenOff(Exception):
    """The connection to the framework is to be closed as it is, in the middle of a reply or before it. The message is
    for people."""


class Session:
    """What an upstream remembers of one run; most remember nothing.

    Where `ends_when_left`, a stream ends as soon as the framework has closed the connection that it comes on.
    """

    ends_when_left = False

    def changes(self, request: dict[str, Any]) -> list[str]:
        """What the upstream changes in this request before it goes on, in words."""
        return []

    def without_secrets(self, value: Any) -> Any:
        """JSON data that is to be recorded, without the user's secrets."""
        return value

    @property
    def faults_played(self) -> int | None:
        """How often a fault that is put in on purpose has come so far; None where none is this upstream's to play."""
        return None

    def refuses_to_embed(self, texts: list[str]) -> bool:
        """Whether these texts are not embedded this time, since a fault of the server's is played."""
        return False

    def complaint(self) -> str | None:
        """In words, why this upstream could not answer the run as it should; asked once the run has ended."""
        return None

    def annotated(self, calls: list[ModelCall]) -> list[ModelCall]:
        """The model calls of the run, in order, with what this upstream knows of them."""
        return calls


class Upstream(Protocol):
    """What the gateway forwards chat completions to."""

    def session(self, script: Script) -> Session:
        """The memory of a run that is about to start."""
        ...

    async def chat(self, body: bytes, request: dict[str, Any], session: Session, time_left_s: float) -> Reply:
        """Answer one chat completion; `body` is `request` as sent. Raises `UpstreamError`, `TimeoutError`."""
        ...

    async def close(self) -> None:
        """Free connections."""
        ...


@runtime_checkable
class ResponsesUpstream(Upstream, Protocol):
    """An upstream that can pass on the API `responses` as well."""

    async def responses(self, body: bytes, request: dict[str, Any], session: Session, time_left_s: float) -> Reply:
        """Answer one response; see `chat`."""
        ...


JSON_HEADERS: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
STREAM_HEADERS: list[tuple[bytes, bytes]] = [(b"content-type", b"text/event-stream; charset=utf-8")]
