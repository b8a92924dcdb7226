"""Who wants to know that numbers have changed: told at most once a second, however often they change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback

EVERY_S: Final = 1.0


class Listeners:
    """From its making to `close`."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._listeners: list[Callable[[], None]] = []
        self._telling: asyncio.TimerHandle | None = None
        self._closed = False

    @callback
    def add(self, tell: Callable[[], None]) -> CALLBACK_TYPE:
        """Hear of changes; the answer ends that."""
        self._listeners.append(tell)
        return lambda: self._listeners.remove(tell)

    @callback
    def changed(self) -> None:
        if self._listeners and self._telling is None and not self._closed:
            self._telling = self._hass.loop.call_later(EVERY_S, self._tell)

    @callback
    def close(self) -> None:
        """Tell nobody anything any more."""
        self._closed = True
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    def _tell(self) -> None:
        self._telling = None
        for tell in list(self._listeners):
            tell()
