"""A subentry "Entities to queue" at work: what happens in Home Assistant, through its rule, into the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.exceptions import TemplateError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.target import TargetStateChangedData, async_track_target_selector_state_change_event

from .const import DOMAIN, LOGGER
from .feed_rule import FeedRule
from .outbox import Outbox
from .outbox_entry import Tally


class Feed:
    """From `async_start` to `stop`."""

    def __init__(self, hass: HomeAssistant, outbox: Outbox, subentry: ConfigSubentry) -> None:
        self.title = subentry.title
        self.subentry_id = subentry.subentry_id
        self.rule = FeedRule.of(hass, subentry.data)
        self._hass = hass
        self._outbox = outbox
        self._held: dict[str, bytes | None] = {}  # by entity or type of event: the newest since the last one was sent
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._unsubscribe: list[CALLBACK_TYPE] = []
        self._complained = False

    async def async_start(self) -> None:
        """Begin to listen."""
        if self.rule.target:
            self._unsubscribe.append(
                await async_track_target_selector_state_change_event(
                    self._hass, dict(self.rule.target), self._on_state, self._without_ours
                )
            )
        for event_type in sorted(self.rule.event_types):
            self._unsubscribe.append(self._hass.bus.async_listen(event_type, self._on_event))

    @property
    def tally(self) -> Tally:
        """What became of its jobs."""
        return self._outbox.tallies[self.subentry_id]

    @callback
    def stop(self) -> None:
        """Listen no more; what was held back is sent with the rest."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe.clear()
        for timer in self._timers.values():
            timer.cancel()
        held = [job for job in self._held.values() if job is not None]
        self._timers.clear()
        self._held.clear()
        for job in held:
            self._send(job)

    def _without_ours(self, entity_ids: set[str]) -> set[str]:
        """Numbers of queues change with every job: what tells them goes into a queue only when it was named."""
        registry = er.async_get(self._hass)
        named = cv.ensure_list(self.rule.target.get(ATTR_ENTITY_ID))
        ours = {each for each in entity_ids if (known := registry.async_get(each)) and known.platform == DOMAIN}
        return entity_ids - (ours - set(named))

    @callback
    def _on_state(self, told: TargetStateChangedData) -> None:
        before, now = (told.state_change_event.data[key] for key in ("old_state", "new_state"))
        if now is not None:
            self._pass(
                now.entity_id, lambda: self.rule.job_of_state(now) if self.rule.wants_state(before, now) else None
            )

    @callback
    def _on_event(self, event: Event[Any]) -> None:
        self._pass(
            str(event.event_type), lambda: self.rule.job_of_event(event) if self.rule.wants_event(event) else None
        )

    def _pass(self, key: str, make: Callable[[], bytes | None]) -> None:
        try:
            job = make()
        except (TemplateError, ValueError, TypeError) as error:
            if not self._complained:  # the next one would say the same
                LOGGER.warning("no job was made feed=%s of=%s error=%s", self.title, key, error)
            self._complained = True
            return
        if job is None:
            return
        if not self.rule.throttle_s:
            self._send(job)
        elif key in self._held:
            self._held[key] = job
        else:
            self._offer(key, job)

    def _send(self, job: bytes) -> None:
        self._outbox.offer(self.rule.queue, self.subentry_id, job)

    def _offer(self, key: str, job: bytes) -> None:
        self._send(job)
        self._held[key] = None
        self._timers[key] = self._hass.loop.call_later(self.rule.throttle_s, self._release, key)

    def _release(self, key: str) -> None:
        """The time is over: the newest goes, or the next one goes at once."""
        del self._timers[key]
        if (job := self._held.pop(key)) is not None:
            self._offer(key, job)
