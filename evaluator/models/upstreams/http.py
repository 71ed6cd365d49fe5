"""Any OpenAI-compatible server, plain and streamed, passed through byte for byte but for the key."""

import os
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import aiohttp
import orjson
from multidict import CIMultiDict
from yarl import URL

from evaluator.models.upstreams import Reply, Session, UpstreamError
from evaluator.models.upstreams.redaction import Redactor
from evaluator.providers import quirks
from evaluator.providers.endpoint import Endpoint
from tasks.base import Script

_PASSED_ON = ("content-type", "retry-after", "retry-after-ms", "x-should-retry", "x-request-id")


class HttpSession(Session):
    """A run against a server: nothing is remembered, and the quirks are the same for each request."""

    def __init__(self, quirk_names: Sequence[str]) -> None:
        self._quirk_names = quirk_names

    def changes(self, request: dict[str, Any]) -> list[str]:
        """The names of the quirks that change this request."""
        return quirks.applied(self._quirk_names, request)[1]


class HttpUpstream:
    """Forwards to one endpoint; changes nothing but the model's name, the key, and what the endpoint's quirks say."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        base_url = endpoint.base_url.rstrip("/")
        self._chat_url = URL(f"{base_url}/chat/completions")
        self._responses_url = URL(f"{base_url}/responses")
        self._headers = CIMultiDict({"Content-Type": "application/json", "Accept-Encoding": "identity"})
        if endpoint.key:
            self._headers["Authorization"] = f"Bearer {endpoint.key}"
        self._redactor = Redactor(endpoint.key)
        self._client: aiohttp.ClientSession | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The server that it forwards to."""
        return self._endpoint

    def session(self, script: Script) -> Session:
        """What the gateway asks about changes."""
        return HttpSession(self._endpoint.quirks)

    async def chat(self, body: bytes, request: dict[str, Any], session: Session, time_left_s: float) -> Reply:
        """See `Upstream.chat`."""
        return await self._post(self._chat_url, body, request, time_left_s)

    async def responses(self, body: bytes, request: dict[str, Any], session: Session, time_left_s: float) -> Reply:
        """See `ResponsesUpstream.responses`."""
        return await self._post(self._responses_url, body, request, time_left_s)

    async def _post(self, url: URL, body: bytes, request: dict[str, Any], time_left_s: float) -> Reply:
        going, _ = quirks.applied(self._endpoint.quirks, request)
        if going.get("model") != self._endpoint.model:
            going = {**going, "model": self._endpoint.model}
        if going is not request:
            try:
                body = orjson.dumps(going)
            except TypeError as error:
                raise UpstreamError(f"the request cannot be passed on: {error}") from error
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trace_configs=[_noticing_kept_connections()],
            )
        timeout = aiohttp.ClientTimeout(total=max(time_left_s, 0.001))  # to aiohttp, 0 is no limit at all
        try:
            response = await _posted(self._client, url, data=body, headers=self._headers, timeout=timeout)
            headers = [
                (name.encode(), self._redactor.clean(response.headers[name].encode(errors="surrogateescape")))
                for name in _PASSED_ON
                if name in response.headers
            ]
            if response.content_type == "text/event-stream":
                return Reply(response.status, headers, self._redactor.clean_stream(_pieces(response)))
            return Reply(response.status, headers, self._redactor.clean(await response.read()))
        except TimeoutError:
            raise
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError(f"the model's server cannot be used: {reason(error)}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()


def _noticing_kept_connections() -> aiohttp.TraceConfig:
    """Puts "kept" into the context of a request that goes over a connection of an earlier one."""

    async def notice(client: aiohttp.ClientSession, request: SimpleNamespace, _: object) -> None:
        request.trace_request_ctx.add("kept")

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(notice)
    return config


async def _posted(client: aiohttp.ClientSession, url: URL, **request: Any) -> aiohttp.ClientResponse:
    """The response, once its headers are there.

    A kept connection may be closed already: llama.cpp's server closes it after a stream, although it
    announces to keep it. The request is then sent again, in the end on a new connection; on that, it
    is never sent twice.
    """
    while True:
        noticed: set[str] = set()
        try:
            return await client.post(url, allow_redirects=False, trace_request_ctx=noticed, **request)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if "kept" not in noticed:
                raise


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for piece in response.content.iter_any():
            yield piece
    except TimeoutError:  # an OSError too, but the run's own limit
        raise
    except (aiohttp.ClientError, OSError) as error:
        raise UpstreamError(f"the model's server broke off the stream: {reason(error)}") from error
    finally:
        response.close()


def reason(error: Exception) -> str:
    """What went wrong, without the server's address: that is the user's own and stands in no trace."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientSSLError):
        return "no TLS with it; is its address http:// or https://, and is its certificate valid?"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    if isinstance(error, aiohttp.ClientPayloadError):
        return "it closed the connection before the end"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
        return "it closed the connection without an answer"
    if isinstance(error, aiohttp.ClientResponseError):
        return "what it answers is not HTTP"
    return type(error).__name__
