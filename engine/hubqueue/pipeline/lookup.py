"""enrich by HTTP: what another server says about a record, asked before the record runs.

Answers are kept for `ttl_s`, and used for `stale_s` longer when the server cannot be asked. Rules: records of one
batch with the same URL share one request; a server that does not answer is left alone for a while, so that a long
outage costs no time-outs; redirects are not followed, and only JSON of a bounded size is read.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import aiohttp
from yarl import URL

from hubqueue.client.address import Tls
from hubqueue.client.tls import client_context
from hubqueue.errors import Invalid, LinkDown
from hubqueue.expression import ExpressionFailed, Url
from hubqueue.model import payload
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.model.jsontext import read_json
from hubqueue.pipeline.merge import Merge
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.step import State

_log = logging.getLogger(__name__)

_MAX_BYTES: Final = 256 * 1024  # of one answer
_ALONE_S: Final = 1.0  # doubled with every failure in a row
_MAX_ALONE_S: Final = 30.0
_ABSENT_STATUSES: Final = frozenset({204, 404, 410})
_WHOLE_STATUSES: Final = frozenset({401, 403, 429, 502, 503, 504})  # the next question would get no other


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupSettings:
    """Units: seconds. down: what becomes of records while the server does not answer and no answer is kept.

    Where it answers, but not this question, `wait` refuses the records in question. entries: answers kept at once.
    concurrency: requests at once.
    """

    url: Url
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 5.0
    ttl_s: float = 600.0
    stale_s: float = 86_400.0
    tls: Tls = field(default_factory=Tls)
    entries: int = 1000
    concurrency: int = 4
    down: Literal["wait", "refuse", "keep"] = "wait"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the server said; `absent`: that it knows nothing."""

    value: Any
    at_s: float
    absent: bool = False


class _Failed(Exception):
    """This question got no answer. whole: nor would another one; alone: it was not even asked."""

    def __init__(self, reason: str, *, whole: bool = False, alone: bool = False) -> None:
        super().__init__(reason)
        self.whole = whole or alone
        self.alone = alone


class Lookup:
    """requests and stale: how many were made, and how many answers were used beyond their time, since the start."""

    def __init__(self, settings: LookupSettings, merge: Merge) -> None:
        self._settings: Final = settings
        self._merge: Final = merge
        self._kept: Final[OrderedDict[str, _Answer]] = OrderedDict()
        self._of_batch: dict[str, _Answer | _Failed] = {}
        self._http: aiohttp.ClientSession | None = None
        self._backoff: Final = ExponentialBackoff(_ALONE_S, _MAX_ALONE_S)
        self._alone_until_s = 0.0
        self.requests = 0
        self.stale = 0

    async def prepare(self, records: Sequence[Record]) -> None:
        """Errors: LinkDown when records have to wait for the server."""
        settings, now = self._settings, time.monotonic()
        found: dict[str, _Answer | _Failed] = {}
        asked: dict[str, None] = {}  # in order, each once
        for record in records:
            try:
                url = settings.url.render(record.values())
            except ExpressionFailed:
                continue  # run says so
            kept = self._kept.get(url)
            if kept is not None and now < kept.at_s + settings.ttl_s:
                self._kept.move_to_end(url)
                found[url] = kept
            else:
                asked[url] = None
        if asked:
            free = asyncio.Semaphore(settings.concurrency)
            found.update(zip(asked, await asyncio.gather(*(self._ask(url, free) for url in asked)), strict=True))
        self._of_batch = found
        why = next((answer for answer in found.values() if isinstance(answer, _Failed) and answer.whole), None)
        if why is not None and settings.down == "wait":
            raise LinkDown(f"a look-up got no answer: {why}")

    def run(self, record: Record, state: State) -> tuple[Record, ...]:
        try:
            url = self._settings.url.render(record.values())
        except ExpressionFailed as error:
            return (self._merge.nothing(record, f"its URL cannot be worked out: {error}"),)
        answer = self._of_batch.get(url) or self._kept.get(url)
        if answer is None:
            raise LinkDown("this record was not looked up before it ran")
        if isinstance(answer, _Failed):
            if self._settings.down == "keep":
                return (record,)
            raise Refused(f"the look-up got no answer: {answer}")
        if answer.absent:
            return (self._merge.nothing(record, "the server that was asked knows nothing of it"),)
        return (self._merge.found(record, answer.value),)

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _ask(self, url: str, free: asyncio.Semaphore) -> _Answer | _Failed:
        """The answer, a kept one if there is no new one, or why there is none."""
        async with free:
            try:
                if time.monotonic() < self._alone_until_s:
                    raise _Failed("the server did not answer before, and is left alone for a while", alone=True)
                answer = await self._request(url)
            except _Failed as error:
                self._failed(error)
                kept = self._kept.get(url)
                if kept is None or time.monotonic() >= kept.at_s + self._settings.ttl_s + self._settings.stale_s:
                    return error
                self.stale += 1
                return kept
        if self._backoff.failures:
            _log.info("look-ups are answered again failures=%d", self._backoff.failures)
            self._backoff.reset()
        self._kept[url] = answer
        self._kept.move_to_end(url)
        while len(self._kept) > self._settings.entries:
            self._kept.popitem(last=False)
        return answer

    async def _request(self, url: str) -> _Answer:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                headers={"Accept": "application/json", **self._settings.headers},
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(ssl=client_context(self._settings.tls)),
            )
        self.requests += 1
        try:
            async with self._http.get(URL(url, encoded=True), allow_redirects=False) as response:
                if response.status in _ABSENT_STATUSES:
                    return _Answer(None, time.monotonic(), absent=True)
                if response.status != 200:
                    raise _Failed(f"status {response.status}", whole=response.status in _WHOLE_STATUSES)
                body = bytearray()
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > _MAX_BYTES:
                        raise _Failed(f"the answer is larger than {_MAX_BYTES // 1024} kB")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _Failed(_words(error, self._settings.timeout_s), whole=True) from error
        except ValueError as error:
            raise _Failed("what was asked is not a URL") from error
        try:
            value = read_json(bytes(body))
            payload.encode(value)
        except Invalid as error:
            raise _Failed("the answer is not JSON that can be carried") from error
        return _Answer(value, time.monotonic())

    def _failed(self, error: _Failed) -> None:
        if error.alone or not error.whole:
            return
        self._alone_until_s = time.monotonic() + self._backoff.next_s()
        if self._backoff.failures == 1:
            _log.warning("a look-up got no answer, kept answers are used: %s down=%s", error, self._settings.down)


def _words(error: Exception, timeout_s: float) -> str:
    """Why the server could not be asked."""
    if isinstance(error, TimeoutError):
        return f"nothing came within {timeout_s:g} s"
    if isinstance(error, aiohttp.ClientSSLError):
        return "its certificate is not trusted, or it speaks no TLS"
    if isinstance(error, aiohttp.ClientConnectorError):
        code = error.os_error.errno or 0  # a name that is not known has a code below 0, or none
        return f"no connection: {os.strerror(code) if code > 0 else 'its name is not known'}"
    if isinstance(error, OSError) and error.errno:
        return f"the connection failed: {os.strerror(error.errno)}"
    return "the connection broke, or what came is no HTTP"
