"""What all sinks over HTTP have in common: a client for one endpoint, and no connection that could be lost."""

from __future__ import annotations

import asyncio

from hubqueue.errors import LinkDown
from hubqueue.forward.sinks.http.endpoint import Endpoint
from hubqueue.forward.sinks.http.post import Poster
from hubqueue.forward.verdict import Down, Reason, SinkDown


class Posting:
    """The connection part of a sink; `write` is the sink's own. Units: timeout_s seconds for one request."""

    wants_floor = False

    def __init__(self, endpoint: Endpoint, url: str, timeout_s: float) -> None:
        self._endpoint = endpoint
        self._url = url
        self._timeout_s = timeout_s
        self._client: Poster | None = None

    async def connect(self) -> None:
        """Nothing is sent: the first batch shows whether anybody is there."""
        await self.close()
        self._client = Poster(self._endpoint, self._timeout_s)

    async def ping(self) -> None:
        """Whether the server answers anything. Errors: those of a request; SinkDown where it is in trouble itself."""
        reply = await self._poster.send("OPTIONS", b"", {})
        if reply.status >= 500:
            raise SinkDown(Down(Reason.STORE, f"{self._url} answers {reply.text}"))

    async def lost(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @property
    def _poster(self) -> Poster:
        if self._client is None:
            raise LinkDown(f"there is no connection to {self._url}")
        return self._client
