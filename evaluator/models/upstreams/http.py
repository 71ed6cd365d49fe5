"""Any OpenAI-compatible server, plain and streamed, called as leniently as the OpenAI client calls it."""

import os
import re
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from evaluator.models.upstreams import Reply, Session, UpstreamError
from evaluator.models.upstreams.redaction import Redactor, basic, secrets_of
from evaluator.providers import quirks
from evaluator.providers.endpoint import Endpoint
from evaluator.wire.bodies import as_json
from tasks.cases import Script

_JSON = {"Content-Type": "application/json"}
_PASSED_ON = ("content-type", "retry-after", "retry-after-ms", "x-should-retry", "x-request-id")


_STATUSES = range(200, 600)
"""Statuses that a reply can end with, and that can be passed on."""

_NOT_IN_HEADERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What no header may have in it, though servers do write it: such a header cannot be passed on."""

LARGEST_BODY = 64_000_000
"""Bytes of one reply that are read. No model says so much; what is larger comes from something else."""

_LONGEST_HEADER = 128 * 1024
_MOST_REDIRECTS = 20


class Server:
    """How an endpoint is called: where, and with what in the headers.

    Credentials in the base URL are sent as HTTP's Basic authentication in place of the key, as the OpenAI client does,
    and its query stays behind the path.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        written = endpoint.base_url
        base = URL(written, encoded=written.isascii() and " " not in written)  # as it is, not spelled in another way
        self._base = base.with_user(None)
        self.redactor = Redactor(secrets_of(endpoint.key, base.user, base.password))
        self.headers = CIMultiDict({"Accept-Encoding": "identity"})
        if base.user is not None or base.password is not None:
            self.headers["Authorization"] = f"Basic {basic(base.user, base.password)}"
        elif endpoint.key:
            self.headers["Authorization"] = f"Bearer {endpoint.key}"

    def url(self, path: str) -> URL:
        """`path` behind the base URL, or from the root if it begins with a slash."""
        below = path if path.startswith("/") else f"{self._base.raw_path.rstrip('/')}/{path}"
        return self._base.with_path(below, encoded=True, keep_query=True)

    def proxy(self) -> str | None:
        """The proxy that the environment names for this server, unless that is this machine or is left out there."""
        host = self._base.host or ""
        proxies = urllib.request.getproxies()
        named = proxies.get(self._base.scheme) or proxies.get("all")
        if not named or is_loopback(host) or urllib.request.proxy_bypass(self._base.authority):
            return None
        return named if "://" in named else f"http://{named}"

    def client(self, **options: Any) -> aiohttp.ClientSession:
        """A client that sends these headers, and reads what the OpenAI client would read."""
        return aiohttp.ClientSession(
            headers=self.headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            proxy=self.proxy(),
            **options,
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    return host == "localhost" or host.endswith(".localhost") or host == "::1" or host.startswith("127.")


class HttpSession(Session):
    """A run against a server: nothing is remembered, and the quirks are the same for each request."""

    def __init__(self, upstream: "HttpUpstream") -> None:
        self._upstream = upstream

    def changes(self, request: dict[str, Any]) -> list[str]:
        """The names of the quirks that change this request."""
        return quirks.applied(self._upstream.endpoint.quirks, request)[1]

    def without_secrets(self, value: Any) -> Any:
        """See `Session.without_secrets`."""
        return self._upstream.redactor.clean(value)


class HttpUpstream:
    """Forwards to one endpoint; changes nothing but the model's name, the key, and what the endpoint's quirks say."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._server = Server(endpoint)
        self._chat_url = self._server.url("chat/completions")
        self._responses_url = self._server.url("responses")
        self.redactor = self._server.redactor
        self._client: aiohttp.ClientSession | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The server that it forwards to."""
        return self._endpoint

    def session(self, script: Script) -> Session:
        """What the gateway asks about changes."""
        return HttpSession(self)

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
            body = as_json(going)
        if self._client is None:
            self._client = self._server.client(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
                trace_configs=[_noticing_kept_connections()],
            )
        timeout = aiohttp.ClientTimeout(total=max(time_left_s, 0.001))  # to aiohttp, 0 is no limit at all
        try:
            response = await _posted(self._client, url, data=body, headers=_JSON, timeout=timeout)
            if response.status not in _STATUSES:
                response.close()
                raise UpstreamError(f"the model's server cannot be used: it answers with status {response.status}")
            headers = [
                (name.encode(), value.encode(errors="surrogateescape"))
                for name in _PASSED_ON
                if (value := response.headers.get(name)) is not None and not _NOT_IN_HEADERS.search(value)
            ]
            if response.content_type == "text/event-stream":
                return Reply(response.status, headers, _pieces(response))
            return Reply(response.status, headers, b"".join([piece async for piece in _pieces(response)]))
        except TimeoutError:
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
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
            return await client.post(url, max_redirects=_MOST_REDIRECTS, trace_request_ctx=noticed, **request)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if "kept" not in noticed:
                raise


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body as it arrives, unpacked where it was sent compressed, of at most `LARGEST_BODY` bytes."""
    read = 0
    try:
        async for piece in response.content.iter_any():
            read += len(piece)
            if read > LARGEST_BODY:
                raise UpstreamError(f"the model's server sent more than {LARGEST_BODY // 10**6} MB in one reply")
            yield piece
    except TimeoutError:  # an OSError too, but the run's own limit
        raise
    except (aiohttp.ClientError, OSError) as error:
        raise UpstreamError(f"the model's server broke off its reply: {reason(error)}") from error
    finally:
        response.close()


def lacking_certificates() -> str | None:
    """What is wrong with the certificates that the environment names, in words without the path; None if nothing is."""
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file and not Path(file).is_file():
        return "SSL_CERT_FILE names a file that is not there"
    if folders and not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
        return "SSL_CERT_DIR names a folder that is not there"
    return None


def reason(error: Exception) -> str:
    """What went wrong, without the server's address: that is the user's own and stands in no trace."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientSSLError):
        lacking = lacking_certificates()
        why = f": {lacking}" if lacking else "; is its address http:// or https://, and is its certificate valid?"
        return f"no TLS with it{why}"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return "the proxy that the environment names for it cannot be reached"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy that the environment names for it answered {error.status}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    if isinstance(error, aiohttp.TooManyRedirects):
        return f"it redirects more than {_MOST_REDIRECTS} times"
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return "it redirects to what is no web address"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "it closed the connection before the end"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
        return "it closed the connection without an answer"
    if isinstance(error, aiohttp.ClientResponseError):
        return "what it answers is not HTTP"
    return type(error).__name__
