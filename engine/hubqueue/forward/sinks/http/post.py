"""Requests to one endpoint: connections kept, TLS checked, troubles in our own words. For the sinks that speak HTTP.

A redirect is followed only where everything that is sent may be told as well: on the same scheme, host and port.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from hubqueue.client.tls import client_context
from hubqueue.errors import HubqueueError, LinkDown, TimedOut
from hubqueue.forward.sinks.http.answer import Reply
from hubqueue.forward.sinks.http.endpoint import Endpoint, origin
from hubqueue.forward.verdict import Down, Reason, SinkDown

SLOWEST_BYTES_PER_S: Final = 8 * 1024  # an uplink slower than this is down
MAX_ANSWER_BYTES: Final = 1024 * 1024
MAX_REDIRECTS: Final = 5
IDLE_S: Final = 4.0  # connections are kept so long: many servers close theirs after 5 s

_SAME_METHOD: Final = frozenset({307, 308})


class Poster:
    """Open until `close`. Units: timeout_s seconds, on top of the time the bytes need on a slow uplink."""

    def __init__(self, endpoint: Endpoint, timeout_s: float) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        context: ssl.SSLContext | bool = client_context(endpoint.tls) if endpoint.tls is not None else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, keepalive_timeout=IDLE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            headers=_standing(endpoint),
        )

    async def close(self) -> None:
        await self._session.close()

    async def send(self, method: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """One request and its answer. Errors: LinkDown and TimedOut; SinkDown where TLS fails."""
        shown = self._endpoint.url
        try:
            async with asyncio.timeout(self._timeout_s + len(body) / SLOWEST_BYTES_PER_S):
                return await self._followed(method, body, headers)
        except TimeoutError:
            failure: HubqueueError = TimedOut(f"{shown} does not answer in time")
        except aiohttp.ClientSSLError as error:
            failure = SinkDown(Down(Reason.TLS, f"{shown}: {error}"))
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:  # RuntimeError: closed meanwhile
            failure = LinkDown(f"{shown}: {str(error) or type(error).__name__}")
        raise failure

    async def _followed(self, method: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        url = self._endpoint.address
        for _ in range(MAX_REDIRECTS):
            reply = await self._request(method, url, body, headers)
            if reply.status not in _SAME_METHOD:
                return reply
            there = urljoin(url, reply.headers.get("location", ""))
            if origin(there) != origin(url):
                return reply
            url = there
        return reply

    async def _request(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        async with self._session.request(
            method, URL(url, encoded=True), data=body, headers=headers, allow_redirects=False
        ) as answer:
            content = bytearray()
            async for chunk in answer.content.iter_chunked(64 * 1024):
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    answer.close()
                    break
            return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, bytes(content))


def _standing(endpoint: Endpoint) -> dict[str, str]:
    """The headers that go with every request."""
    headers = {"User-Agent": "hubqueue", **endpoint.headers}
    if endpoint.token is not None:
        headers["Authorization"] = f"{endpoint.scheme} {endpoint.token}"
    elif endpoint.username is not None:
        login = f"{endpoint.username}:{endpoint.password or ''}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    return headers
