"""`queue.forward(...)`: a forwarder to another hub, with the events of the public surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self, overload

from hubqueue.client.address import LinkSettings
from hubqueue.forward.breaker import LinkState
from hubqueue.forward.forwarder import Forwarder
from hubqueue.forward.settings import ForwardSettings
from hubqueue.forward.sinks.hub import HubSink
from hubqueue.forward.status import Event, Forwarded, ForwardStatus, LinkChanged, Refused
from hubqueue.model.verbs import Verbs

HubIdOf = Callable[[int], str]
ForwardError = Refused | LinkChanged


@dataclass(frozen=True, slots=True)
class Target:
    """Where to forward to. url: `tls://host:port` or `tcp://host:port`; queue None: the one of the same name."""

    url: str
    queue: str | None = None
    token: str | None = None
    ca_file: str | None = None
    check_hostname: bool = True
    durable: bool = True


class Forwarding:
    """A forwarder: `async with` it, or `start` and `stop` it."""

    def __init__(self, verbs: Verbs, queue: str, hub_id_of: HubIdOf, target: Target, settings: ForwardSettings) -> None:
        link = LinkSettings.from_url(
            target.url, token=target.token, ca_file=target.ca_file, check_hostname=target.check_hostname
        )
        sink = HubSink(link, queue=target.queue, durable=target.durable)
        self._forwarder = Forwarder(verbs, queue, sink, settings, hub_id_of=hub_id_of)

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def start(self) -> None:
        """Begin to forward."""
        self._forwarder.start()

    async def stop(self) -> None:
        """Let batches in flight arrive, give the rest back."""
        await self._forwarder.stop()

    async def status(self) -> ForwardStatus:
        """How it goes, and how far it is behind."""
        return await self._forwarder.status()

    @overload
    def on(self, kind: Literal["forwarded"], receive: Callable[[Forwarded], Any]) -> Callable[[], None]: ...
    @overload
    def on(self, kind: Literal["error"], receive: Callable[[ForwardError], Any]) -> Callable[[], None]: ...
    @overload
    def on(self, kind: Literal["link"], receive: Callable[[LinkChanged], Any]) -> Callable[[], None]: ...

    def on(self, kind: Literal["forwarded", "error", "link"], receive: Callable[[Any], Any]) -> Callable[[], None]:
        """Call `receive` for jobs that arrived, for jobs refused and links lost, or for every change of the link.

        Returns what ends it.
        """

        def filtered(event: Event) -> None:
            if _is(kind, event):
                receive(event)

        return self._forwarder.listen(filtered)


def _is(kind: str, event: Event) -> bool:
    match event:
        case Forwarded():
            return kind == "forwarded"
        case Refused():
            return kind == "error"
        case LinkChanged(state=state):
            return kind == "link" or (kind == "error" and state is LinkState.DOWN)


def url_of(to: str, tls: bool | None) -> str:
    """`host:port` with `tls` said, as a URL; a URL stays what it is."""
    return to if "://" in to else f"{'tls' if tls else 'tcp'}://{to}"
