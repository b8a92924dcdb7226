"""Works off the queue of webhook deliveries: one signed POST each, tried again by the queue's own back-off.

Built by app.py. The address that was checked is the one that is connected to: names are looked up here, once, and
redirects are not followed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import socket
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from hubqueue.errors import Draining, HubqueueError, Invalid
from hubqueue.hooks.body import body
from hubqueue.hub.hub import Hub
from hubqueue.model.job import Leased
from hubqueue.model.outcome import Fail, Reject
from hubqueue.model.webhook import QUEUE, Delivery, Guard, Webhook

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 10.0  # of one request, the lookup of the name included
AT_ONCE: Final = 16
OWNER: Final = "webhooks"
LEASE_MS: Final = 60_000
POLL_MS: Final = 30_000
PAUSE_S: Final = 1.0  # after the hub itself had an error

_read = msgspec.msgpack.Decoder(Delivery).decode


class Sender:
    """Runs from `start` to `close`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take back what an earlier life of this hub was about to send, and begin."""
        await self._hub.reclaim(QUEUE, OWNER)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop; what is under way is given back. Safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._hub.reclaim(QUEUE, OWNER)

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(resolver=Resolver(self._hub.webhooks.guard), use_dns_cache=False)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while True:
                try:
                    leased = await self._hub.lease(QUEUE, AT_ONCE, owner=OWNER, lease_ms=LEASE_MS, wait_ms=POLL_MS)
                    await asyncio.gather(*(self._deliver(session, each) for each in leased))
                except Draining:
                    return
                except HubqueueError as error:
                    log.warning("Webhooks wait for the hub. error=%s", error)
                    await asyncio.sleep(PAUSE_S)

    async def _deliver(self, session: aiohttp.ClientSession, leased: Leased) -> None:
        webhook = self._hub.webhooks.find(leased.job.name)
        failure: Fail | Reject | None = None
        try:
            delivery = _read(leased.job.data or b"")
        except msgspec.DecodeError as error:
            failure = Reject(f"not a delivery: {error}")
        if failure is None and webhook is not None and webhook.enabled:
            failure = await self._post(session, webhook, delivery)
        await self._hub.run(lambda tx: self._hub.webhooks.delivered(tx, leased, failure))

    async def _post(self, session: aiohttp.ClientSession, webhook: Webhook, delivery: Delivery) -> Fail | Reject | None:
        """Send it; why it could not be delivered, or None."""
        content = body(delivery)
        try:
            url = URL(webhook.url)
            self._hub.webhooks.guard.check_host(url.host or "")
            async with session.post(
                url, data=content, headers=_headers(webhook, delivery, content), allow_redirects=False
            ) as response:
                return None if 200 <= response.status < 300 else Fail(f"HTTP {response.status}")
        except (Invalid, Refused) as error:
            return Reject(str(error))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            refused = _refusal(error)
            return Reject(str(refused)) if refused is not None else Fail(str(error) or type(error).__name__)


class Refused(OSError):
    """A name resolved to an address that webhooks may not be sent to."""


class Resolver(AbstractResolver):
    """Looks names up, and gives out none of the addresses if one of them is not allowed."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        results: list[ResolveResult] = []
        for kind, _, proto, _, where in found:
            address = str(where[0])
            if not self._guard.names(host):
                try:
                    self._guard.check_address(ipaddress.ip_address(address))
                except Invalid as error:
                    raise Refused(str(error)) from None
            results.append(
                ResolveResult(
                    hostname=host, host=address, port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST
                )
            )
        return results

    async def close(self) -> None:
        """Nothing is kept."""


def _headers(webhook: Webhook, delivery: Delivery, content: bytes) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "X-Webhook-Event": delivery.event,
        "X-Webhook-Timestamp": str(delivery.timestamp),
    }
    if webhook.secret is not None:
        headers["X-Webhook-Signature"] = hmac.new(webhook.secret.encode(), content, hashlib.sha256).hexdigest()
    return headers


def _refusal(error: BaseException | None) -> Refused | None:
    """The guard's refusal behind an error of the HTTP library."""
    seen: Any = error
    while seen is not None:
        if isinstance(seen, Refused):
            return seen
        inner = getattr(seen, "os_error", None)
        seen = inner if inner is not None and inner is not seen else seen.__cause__
    return None
