"""Calls that wait for entities are tried as soon as one of these is back, and not when their back-off is over.

In memory only: who begins anew tries all that wait once (action_calls.py). One that somebody has snoozed waits for its
time: it is due later than it would be by itself.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import CALLBACK_TYPE, Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.helpers.event import async_track_state_change_event

from .const import LOGGER
from .errors import HubError
from .runs import Runs

MOST: Final = 1000  # calls that are remembered; the others have their back-off
SETTLE_S: Final = 1.0  # a device that has just come back, and a run that has just ended
TRIES: Final = 3
LATE_MS: Final = 5000  # until the hub has heard that a run has ended; nobody snoozes for less


class Comebacks:
    """Of the calls of one hub."""

    def __init__(self, hass: HomeAssistant, runs: Runs) -> None:
        self._hass = hass
        self._runs = runs
        self._waiting = OrderedDict[str, CALLBACK_TYPE]()
        self._trying: dict[str, asyncio.Task[None]] = {}

    @callback
    def forget(self, job: str) -> None:
        """It is tried now, or never more."""
        if (stop := self._waiting.pop(job, None)) is not None:
            stop()
        if (task := self._trying.pop(job, None)) is not None:
            task.cancel()

    @callback
    def clear(self) -> None:
        for job in [*self._waiting, *self._trying]:
            self.forget(job)

    @callback
    def wait(self, job: str, entity_ids: Iterable[str], gone: Iterable[str]) -> None:
        """Try a job once any of those that are away now is back. gone: who was away when it was tried."""
        if any(_is_there(self._hass.states.get(each)) for each in gone):
            self.soon(job)
            return
        away = [each for each in entity_ids if "." in each and not _is_there(self._hass.states.get(each))]
        self.forget(job)
        if not away:
            return

        @callback
        def changed(event: Event[EventStateChangedData]) -> None:
            if _is_there(event.data["new_state"]):
                self.soon(job)

        self._waiting[job] = async_track_state_change_event(self._hass, away, changed)
        if len(self._waiting) > MOST:
            self.forget(next(iter(self._waiting)))

    @callback
    def soon(self, job: str, held_until_ms: float = 0.0) -> None:
        """Try a job that is delayed, unless it is snoozed. held_until_ms: by the hub's clock, one we gave back."""
        self.forget(job)
        task = self._trying[job] = self._runs.spawn(self._try(job, held_until_ms), f"try {job}")
        task.add_done_callback(lambda ended: self._trying.get(job) is ended and self._trying.pop(job))

    async def _try(self, id: str, held_until_ms: float) -> None:
        for _ in range(TRIES):
            await asyncio.sleep(SETTLE_S)
            await self._runs.client.up()
            try:
                job = (await self._runs.client.call("GetJob", id=id))["job"]
                if float(job["runAt"]) > max(held_until_ms, _backed_off_ms(job)) + LATE_MS:
                    return  # somebody has snoozed it
                await self._runs.client.call("Promote", id=id)
            except HubError as error:  # its run has not ended yet, or it has gone; else its back-off counts
                LOGGER.debug("a call is not tried earlier job=%s code=%s", id, error.code)
            else:
                return


def _is_there(state: State | None) -> bool:
    return state is not None and state.state != STATE_UNAVAILABLE


def _backed_off_ms(job: Mapping[str, Any]) -> float:
    """When a job is due at the latest after its last failure, by the hub's clock: with its longest back-off."""
    failed = [float(step["timestamp"]) for step in job["timeline"] if step["state"] == "failed"]
    backoff = job["backoffConfig"]  # run_action gives each one
    longest_ms = min(1.5 * backoff["delay"] * 2.0 ** min(job["attempts"], 60), backoff["maxDelay"]) if backoff else 0.0
    return max(failed, default=float(job["createdAt"])) + longest_ms
