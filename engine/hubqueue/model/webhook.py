"""Webhooks: which events are sent where, and which addresses may be sent to at all.

A hub stands inside a home network: a webhook must not become a way to its other machines (SSRF). So an address that
is not public is refused unless the configuration names it, or its network, when a webhook is added, and again for
each address a name resolves to when it is sent (`hooks.sender`).
Source: docs/protocol.md, AddWebhook.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import msgspec

from hubqueue.errors import Invalid

QUEUE: Final = "_webhooks"  # deliveries are jobs of this queue
MAX_URL_CHARS: Final = 2048
KINDS: Final = {  # the event of a webhook -> the hub's own
    "job.pushed": "pushed",
    "job.started": "pulled",
    "job.completed": "completed",
    "job.failed": "failed",
    "job.progress": "progress",
    "job.expired": "expired",
}
NAMES: Final = {kind: name for name, kind in KINDS.items()}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # its last 32 bits are an IPv4 address


class Webhook(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Where which events of a queue (None: of all) are sent. secret signs them."""

    id: str
    url: str
    events: tuple[str, ...]
    queue: str | None = None
    secret: str | None = None
    enabled: bool = True


class Delivery(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What is sent: the data of a job in QUEUE, whose name is the webhook's id. data: MessagePack of the user's."""

    event: str
    timestamp: int
    job_id: str
    queue: str
    data: bytes | None = None
    error: str | None = None
    progress: float | None = None


class Guard:
    """Which addresses webhooks may be sent to: public ones, and what is named in `allowed` (hosts and networks)."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._hosts: set[str] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for entry in allowed:
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                self._hosts.add(_plain(entry))

    def names(self, host: str) -> bool:
        """Whether a host is allowed by its name, whatever its address."""
        return _plain(host) in self._hosts

    def check_host(self, host: str) -> None:
        """A host as it stands in a URL; names are not looked up. Errors: Invalid."""
        if self.names(host):
            return
        name = _plain(host)
        address = _literal(name)
        if address is not None:
            self.check_address(address)
        elif name == "localhost" or name.endswith(".localhost"):
            raise _refused("localhost")
        elif name.endswith(".internal"):
            raise _refused("cloud metadata endpoints")

    def check_address(self, address: Address) -> None:
        """An address that is to be connected to. Errors: Invalid."""
        inner = _inner(address)
        if any(each in network for each in {address, inner} for network in self._networks if _same(each, network)):
            return
        if inner in (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1")):
            raise _refused("localhost")
        kind = _kind(inner)
        if kind is not None:
            raise _refused(f"{kind} IP")


def check_webhook(url: str, events: Iterable[str], guard: Guard) -> None:
    """Errors: Invalid."""
    if not url:
        raise Invalid("Webhook URL is required")
    if len(url) > MAX_URL_CHARS:
        raise Invalid("Webhook URL too long (max 2048 characters)")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Invalid("Invalid URL format") from None
    if not parts.scheme or (parts.scheme in ("http", "https") and not host):
        raise Invalid("Invalid URL format")
    if parts.scheme not in ("http", "https"):
        raise Invalid("Webhook URL must use http or https protocol")
    guard.check_host(host or "")
    unknown = [event for event in events if event not in KINDS]
    if unknown:
        raise Invalid(f"Invalid webhook event(s): {', '.join(unknown)}. Valid: {', '.join(KINDS)}")


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _literal(host: str) -> Address | None:
    """The address that a host is; None for a name. Errors: Invalid for a number that systems read differently."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    last = host.rpartition(".")[2]
    if last.isdigit() or last.startswith("0x") or ":" in host:
        raise Invalid("Invalid URL format", hint="write the address as 192.0.2.1 or [2001:db8::1]")
    return None


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, else the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _same(address: Address, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    return address.version == network.version


def _kind(address: Address) -> str | None:
    """What keeps an address from being public."""
    if address.is_unspecified:
        return "unspecified"
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    if address.is_multicast:
        return "multicast"
    return None if address.is_global else "private"


def _refused(what: str) -> Invalid:
    return Invalid(
        f"Webhook URL cannot point to {what}", hint="allow the host or its network under webhooks.allow in the config"
    )
