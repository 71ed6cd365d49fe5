"""Any OpenAI-compatible server, plain and streamed, passed through byte for byte."""

import os
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import orjson
from multidict import CIMultiDict
from yarl import URL

from evaluator.upstreams import Endpoint, Reply, Session, UpstreamError
from tasks.base import Script

_PASSED_ON = ("content-type", "retry-after", "retry-after-ms", "x-should-retry", "x-request-id")


class HttpUpstream:
    """Forwards to one endpoint; changes nothing but the model's name and the key."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._url = URL(endpoint.base_url.rstrip("/") + "/chat/completions")
        self._headers = CIMultiDict({"Content-Type": "application/json", "Accept-Encoding": "identity"})
        if endpoint.key:
            self._headers["Authorization"] = f"Bearer {endpoint.key}"
        self._client: aiohttp.ClientSession | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The server that it forwards to."""
        return self._endpoint

    def session(self, script: Script) -> Session:
        """A server remembers nothing of a run."""
        return Session()

    async def chat(self, body: bytes, request: dict[str, Any], session: Session, time_left_s: float) -> Reply:
        """See `Upstream.chat`."""
        if request.get("model") != self._endpoint.model:
            try:
                body = orjson.dumps({**request, "model": self._endpoint.model})
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
            response = await _posted(self._client, self._url, data=body, headers=self._headers, timeout=timeout)
            headers = [
                (name.encode(), response.headers[name].encode(errors="surrogateescape"))
                for name in _PASSED_ON
                if name in response.headers
            ]
            if response.content_type == "text/event-stream":
                return Reply(response.status, headers, _pieces(response))
            content = await response.read()
            if response.status >= 400 and self._endpoint.key:
                content = content.replace(self._endpoint.key.encode(), b"***")  # some servers show a wrong key
            return Reply(response.status, headers, content)
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
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return str(error)
    return type(error).__name__
