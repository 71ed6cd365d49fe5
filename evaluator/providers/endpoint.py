"""A server, as the gateway calls it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible server, and the quirks that its `model` needs.

    `key` never leaves the gateway's process.
    """

    model: str
    base_url: str
    key: str | None = field(default=None, repr=False)
    quirks: tuple[str, ...] = ()
