"""What the behaviour suite of the sinks wants to know of a server: the adapter that each kind of destination brings."""

from __future__ import annotations

from typing import Any, Protocol

from hubqueue.model.job import NewJob

QUEUE = "readings"


def reading(n: int) -> dict[str, Any]:
    """The data of job number n: what every kind of destination can take."""
    return {"n": n, "device": f"d{n % 3}", "value": n / 2}


class Place(Protocol):
    """A real server, made anew for each test and not yet running; the suite calls `close` at the end.

    port: where it listens, the same over restarts. public_port: what the suite connects to, a proxy's port, set before
    the first start; for servers that tell clients where to come (Kafka). knows: whether a job that is sent twice is
    there once. ordered: whether `arrived` tells in which order the jobs came.
    """

    port: int
    public_port: int
    knows: bool
    ordered: bool

    async def start(self) -> None:
        """Run, and accept clients; after `kill` with all that it had said ok for."""
        ...

    async def kill(self) -> None:
        """End it as hard as it bears without breaking its own promises."""
        ...

    def way(self, *, stranger: bool = False) -> dict[str, Any]:
        """The forwarder's keys in hubqueue.yaml, with an address over public_port; stranger: with a wrong secret."""
        ...

    def poison(self) -> NewJob:
        """A job that it will never take."""
        ...

    async def arrived(self) -> list[int]:
        """The numbers of the jobs that are there, repeated ones as often as they are there."""
        ...

    async def close(self) -> None:
        """End it for good, whether it runs or not."""
        ...
