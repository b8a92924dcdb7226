"""A subentry "Worker" at work: jobs of a queue, each run through actions that were put together in the user interface.

How a run ends decides what becomes of its job, as the table in outcome.py says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import CONF_SEQUENCE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.script import Script, async_validate_actions_config
from probatio import Invalid

from .const import ATTR_QUEUE, DOMAIN, LOGGER
from .consumer import Consumer
from .listeners import Listeners
from .outcome import Complete, Fail, Keep, Outcome, Release
from .run_options import RunOptions
from .runs import Leased, Runs, async_run_sequence
from .said import said

SUBENTRY_WORKER: Final = "worker"
CONF_CONCURRENCY: Final = "concurrency"
CONF_NAMES: Final = "names"
MOST_AT_ONCE: Final = 100


async def async_actions(hass: HomeAssistant, given: Any) -> list[dict[str, Any]]:
    """The actions as Home Assistant runs them. Errors: Invalid, HomeAssistantError."""
    return await async_validate_actions_config(hass, cv.SCRIPT_SCHEMA(given))


class SubentryWorker:
    """Numbers count since the entry was loaded."""

    def __init__(self, hass: HomeAssistant, runs: Runs, subentry: ConfigSubentry) -> None:
        self.subentry_id = subentry.subentry_id
        self.title = subentry.title
        self.completed = 0
        self.failed = 0
        self.released = 0
        self.valid = True  # whether its actions are; else it takes no jobs
        self.listeners = Listeners(hass)
        self._hass = hass
        self._data: Mapping[str, Any] = subentry.data
        self._script: Script | None = None
        self._options = RunOptions()
        self._consumer = Consumer(
            runs,
            self._data[ATTR_QUEUE],
            self._run,
            names=self._data.get(CONF_NAMES, ()),
            concurrency=int(self._data[CONF_CONCURRENCY]),
        )

    async def async_start(self) -> None:
        """Begin to take jobs."""
        try:
            self._options = RunOptions.of(self._data)
            actions = await async_actions(self._hass, self._data[CONF_SEQUENCE])
        except (Invalid, HomeAssistantError) as error:
            LOGGER.warning(
                "a worker does not start: its actions are not valid worker=%s error=%s", self.title, said(error)
            )
            self.valid = False
            self.listeners.changed()
            return
        self._script = Script(
            self._hass,
            actions,
            self.title,
            DOMAIN,
            script_mode="parallel",
            max_runs=int(self._data[CONF_CONCURRENCY]),
            logger=LOGGER,
            running_description="worker",
        )
        self._consumer.start()

    async def async_stop(self) -> None:
        """Take no more jobs."""
        self._consumer.close()
        self.listeners.close()
        if self._script is not None:
            await self._script.async_unload()

    async def _run(self, leased: Leased) -> Outcome:
        assert self._script is not None
        outcome = await async_run_sequence(self._hass, self._script, leased, self._options)
        match outcome:
            case Complete():
                self.completed += 1
            case Fail():
                self.failed += 1
            case Release() | Keep():
                self.released += 1
        self.listeners.changed()
        return outcome
