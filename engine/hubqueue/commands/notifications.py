"""Notifications: what clients get without having asked for just that: events, channel messages, summaries, gaps.

The map of each is the same whatever carries it. It is encoded once and the bytes are shared by all subscribers.
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


Notification = Event | ChannelMessage | Summaries | Gap


class NotificationEncoder:
    """Frames of notifications, in one encoding. The last one is kept: every listener gets the same bytes."""

    def __init__(self, encode: Callable[[dict[str, Any]], bytes]) -> None:
        self._encode = encode
        self._last: Notification | None = None
        self._frame = b""

    def frame(self, notification: Notification) -> bytes:
        """The frame, ready to be sent."""
        if notification is not self._last:
            self._last, self._frame = notification, self.once(notification)
        return self._frame

    def once(self, notification: Notification) -> bytes:
        """The frame of a notification that only one client gets."""
        return self._encode(notification_map(notification))


def notification_map(notification: Notification) -> dict[str, Any]:
    """The message as a map."""
    match notification:
        case Event():
            numbered = {"seq": number(notification.seq)} if notification.seq else {}  # none: nobody follows events
            return {"type": "event", **numbered, "event": event_map(notification)}
        case ChannelMessage():
            return {
                "type": "message",
                "channel": notification.channel,
                "data": msgspec.Raw(notification.data),
                "timestamp": float(notification.at_ms),
            }
        case Summaries():
            return {
                "type": "summaries",
                "timestamp": float(notification.at_ms),
                "queues": notification.queues,
                "gone": notification.gone,
            }
        case Gap():
            gap = {
                "eventType": "gap",
                "queue": notification.queue,
                "jobId": "",
                "timestamp": float(notification.at_ms),
                "missed": notification.missed,
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
