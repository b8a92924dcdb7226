"""What clients are told without having asked for just that: events, channel messages, summaries, gaps.

The map of each is the same at every door. It is encoded once and the bytes are shared by all who are told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from hubqueue.hub.summaries import Summaries
from hubqueue.model.channel import ChannelMessage
from hubqueue.model.verbs import Event
from hubqueue.wire.fields import number


class Gap(msgspec.Struct, frozen=True, gc=False):
    """Something was left out before this. missed: how many; None when that is not known any more."""

    queue: str
    at_ms: int
    missed: int | None


Told = Event | ChannelMessage | Summaries | Gap


class Teller:
    """Frames of what is told, in one door's encoding. The last one is kept: every listener gets the same bytes."""

    def __init__(self, encode: Callable[[dict[str, Any]], bytes]) -> None:
        self._encode = encode
        self._last: Told | None = None
        self._frame = b""

    def frame(self, told: Told) -> bytes:
        """The frame, ready to be sent."""
        if told is not self._last:
            self._last, self._frame = told, self.once(told)
        return self._frame

    def once(self, told: Told) -> bytes:
        """The frame of what is told to one client only."""
        return self._encode(told_map(told))


def told_map(told: Told) -> dict[str, Any]:
    """The message as a map."""
    match told:
        case Event():
            numbered = {"seq": number(told.seq)} if told.seq else {}  # none: nobody follows events
            return {"type": "event", **numbered, "event": event_map(told)}
        case ChannelMessage():
            return {
                "type": "message",
                "channel": told.channel,
                "data": msgspec.Raw(told.data),
                "timestamp": float(told.at_ms),
            }
        case Summaries():
            return {
                "type": "summaries",
                "timestamp": float(told.at_ms),
                "queues": told.queues,
                "gone": told.gone,
            }
        case Gap():
            gap = {
                "eventType": "gap",
                "queue": told.queue,
                "jobId": "",
                "timestamp": float(told.at_ms),
                "missed": told.missed,
            }
            return {"type": "event", "event": gap}


def event_map(event: Event) -> dict[str, Any]:
    """An event as its subscribers see it."""
    fields: dict[str, Any] = {
        "eventType": event.kind,
        "queue": event.queue,
        "jobId": event.job_id,
        "timestamp": float(event.at_ms),
        "prev": event.prev,
        "error": event.error,
        "data": None if event.data is None else msgspec.Raw(event.data),
        "terminal": event.terminal,
        "progress": event.progress,
        "delay": None if event.delay_ms is None else number(event.delay_ms),
        "name": event.name,
    }
    return {name: value for name, value in fields.items() if value is not None}
