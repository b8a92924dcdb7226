"""Clients that listen to the same events: what happens is collected and encoded once, and given to all in one piece.

An event costs the same for one listener and for fifty. A piece leaves when its time has come, when it is large, or
before a reply to one of the listeners, so that each still gets events and replies in the order of the commits.
Source: engine-rules 32.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Final, Protocol

from hubqueue.hub.replay import ReplayBuffer
from hubqueue.model.verbs import Event, wants
from hubqueue.servers.told import Teller

LINGER_S: Final = 0.005  # an event after a silence waits so long for more of its kind: those of one command
FLOW_S: Final = 0.025  # in a steady flow: each write to a client costs as much as many events
MOST_EVENTS: Final = 500
MOST_BYTES: Final = 64 * 1024  # of their data

log = logging.getLogger(__name__)

# events of a queue, or of all (None); of these kinds, or of the usual ones (None)
Part = tuple[str | None, frozenset[str] | None]
Parts = frozenset[Part]


class Burst:
    """Events that leave together."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self._frames: dict[Teller, bytes] = {}

    def frames(self, teller: Teller) -> bytes:
        """All of them in the encoding of this door, made once."""
        frames = self._frames.get(teller)
        if frames is None:
            frames = self._frames[teller] = b"".join([teller.once(event) for event in self.events])
        return frames


class Member(Protocol):
    """A client with what it asked for, by the name under which it did."""

    wishes: dict[str | None, Parts]
    choir: Choir | None

    def tell_burst(self, burst: Burst) -> None: ...


class Choir:
    """Everybody who listens to just these parts."""

    def __init__(self, parts: Parts, recent: ReplayBuffer) -> None:
        self.parts = parts
        self.members: dict[Member, None] = {}  # a set in order of arrival
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Event] = []
        self._bytes = 0
        self._seq = 0
        self._timer: asyncio.TimerHandle | None = None
        self._left_at = -math.inf
        self._ends = [recent.follow(queue, self._receiver(kinds)) for queue, kinds in parts]

    def flush(self) -> None:
        """Give everybody what has been collected."""
        if not self._waiting:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        burst, self._waiting, self._bytes = Burst(self._waiting), [], 0
        self._left_at = self._loop.time()
        for member in tuple(self.members):
            try:
                member.tell_burst(burst)
            except Exception:
                log.exception("A listener to events failed: a defect of it")

    def close(self) -> None:
        """Nobody is left."""
        if self._timer is not None:
            self._timer.cancel()
        for end in self._ends:
            end()

    def _receiver(self, kinds: frozenset[str] | None) -> Callable[[Event], None]:
        def receive(event: Event) -> None:
            if event.seq != self._seq and wants(kinds, event):
                self._seq = event.seq  # it may be of a queue that is listened to, and of all queues
                self._add(event)

        return receive

    def _add(self, event: Event) -> None:
        self._waiting.append(event)
        self._bytes += len(event.data or b"")
        if self._bytes > MOST_BYTES or len(self._waiting) >= MOST_EVENTS:
            self.flush()
        elif self._timer is None:
            flows = self._loop.time() - self._left_at < FLOW_S
            self._timer = self._loop.call_later(FLOW_S if flows else LINGER_S, self.flush)


class Choirs:
    """All choirs of the doors of a hub."""

    def __init__(self, recent: ReplayBuffer) -> None:
        self._recent = recent
        self._choirs: dict[Parts, Choir] = {}

    def move(self, member: Member) -> None:
        """Its wishes have changed: it gets what was collected for it, and from now on what it wishes."""
        parts: Parts = frozenset().union(*member.wishes.values())
        if member.choir is not None and member.choir.parts != parts:
            member.choir.flush()
            self._leave(member, member.choir)
        if parts and member.choir is None:
            choir = self._choirs.get(parts)
            if choir is None:
                choir = self._choirs[parts] = Choir(parts, self._recent)
            choir.flush()
            choir.members[member] = None
            member.choir = choir

    def leave(self, member: Member) -> None:
        """It wishes nothing any more, and is told nothing any more."""
        member.wishes.clear()
        if member.choir is not None:
            self._leave(member, member.choir)

    def _leave(self, member: Member, choir: Choir) -> None:
        member.choir = None
        del choir.members[member]
        if not choir.members:
            del self._choirs[choir.parts]
            choir.close()
