"""One webhook delivery by HTTP: signed, to the address that was checked, without following redirects.

Imported with the first delivery: a hub without webhooks does not carry the HTTP library (11 MiB).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import socket
from typing import Any, Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from hubqueue.errors import Invalid
from hubqueue.hooks.body import body
from hubqueue.model.outcome import Fail, Reject
from hubqueue.model.webhook import Delivery, Guard, Webhook

TIMEOUT_S: Final = 10.0  # of one request, the lookup of the name included


class Post:
    """Sends deliveries as long as it is open."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=Resolver(guard), use_dns_cache=False),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, webhook: Webhook, delivery: Delivery) -> Fail | Reject | None:
        """Send it; why it could not be delivered, or None."""
        content = body(delivery)
        try:
            url = URL(webhook.url)
            self._guard.check_host(url.host or "")
            async with self._session.post(
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
