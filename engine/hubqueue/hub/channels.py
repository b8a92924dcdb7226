"""Channels: what is published reaches everybody who listens now, in this process. Nothing is kept.

Doors, the MQTT bridge and embedding programs listen and publish here. A listener must be quick: it is called while
the publisher waits. Bounds of slow clients are their door's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from hubqueue.model.channel import EVERY_CHANNEL, ChannelMessage, check_channel, check_message

log = logging.getLogger(__name__)

Hear = Callable[[ChannelMessage], Any]


class Channels:
    """Listeners by channel, and to all of them (`*`). now_ms: hub time."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._listeners: dict[str, list[Hear]] = {}

    def subscribe(self, channel: str, hear: Hear) -> Callable[[], None]:
        """Call `hear` for each message of a channel, or of all (`*`). Returns what ends it. Errors: Invalid."""
        if channel != EVERY_CHANNEL:
            check_channel(channel)
        listeners = self._listeners.setdefault(channel, [])
        listeners.append(hear)

        def end() -> None:
            if hear in listeners:
                listeners.remove(hear)
                if not listeners:
                    self._listeners.pop(channel, None)

        return end

    def publish(self, channel: str, data: bytes, *, source: object = None) -> int:
        """Tell everybody who listens; how many. source: who brings it in, so that it does not send it back.

        Errors: Invalid, PayloadTooLarge.
        """
        check_channel(channel)
        message = ChannelMessage(channel, check_message(data), self._now_ms(), source)
        hearers = (*self._listeners.get(channel, ()), *self._listeners.get(EVERY_CHANNEL, ()))
        for hear in hearers:
            try:
                hear(message)
            except Exception:
                log.exception("A listener of a channel failed: a defect of it channel=%s", channel)
        return len(hearers)
