"""Trigger: an automation takes jobs of a queue, and how its run ends decides what becomes of each.

The action of the automation is awaited in our own task, where Home Assistant's trace says why the run ended; the table
is in outcome.py. Each trigger of each automation takes jobs for itself; the next one comes when a run is over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, cast, override

import probatio as vol
from homeassistant.const import CONF_OPTIONS
from homeassistant.core import CALLBACK_TYPE, Context, HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.script import ScriptRunResult
from homeassistant.helpers.start import async_at_started
from homeassistant.helpers.trace import script_execution_get, trace_id_get
from homeassistant.helpers.trigger import (
    Trigger,
    TriggerAction,
    TriggerActionPayloadBuilder,
    TriggerActionRunner,
    TriggerConfig,
    TriggerNotTriggeredReporter,
)
from homeassistant.helpers.typing import ConfigType

from . import run_options
from .const import ATTR_CONFIG_ENTRY_ID, ATTR_QUEUE
from .consumer import Consumer
from .coordinator import HubqueueConfigEntry
from .durations import within
from .hubs import OF_A_QUEUE, async_follow_hubs
from .outcome import Complete, Fail, Keep, Outcome, decide
from .queues import async_name_queue
from .run_options import RunOptions
from .runs import Leased
from .said import said
from .why import why

ATTR_NAME: Final = "name"
ATTR_CONCURRENCY: Final = "concurrency"
ATTR_ACK: Final = "ack"
ATTR_LEASE: Final = "lease"
AUTOMATIC: Final = "automatic"
MANUAL: Final = "manual"

OPTIONS: Final[dict[Any, Any]] = {
    **OF_A_QUEUE,
    vol.Optional(ATTR_NAME, default=list): vol.All(cv.ensure_list, [cv.string]),
    vol.Optional(ATTR_CONCURRENCY, default=1): vol.All(vol.Coerce(int), vol.Range(1, 100)),
    vol.Optional(ATTR_ACK, default=AUTOMATIC): vol.In((AUTOMATIC, MANUAL)),
    vol.Optional(ATTR_LEASE, default=timedelta(minutes=5)): within(timedelta(seconds=1), timedelta(days=1)),
    **run_options.FIELDS,
}
SCHEMA: Final = vol.Schema({vol.Required(CONF_OPTIONS): OPTIONS})

type Start = Callable[[dict[str, Any], str, Context], Awaitable[Any]]


class JobReceived(Trigger):
    """Triggers for each job, with `trigger.job`."""

    @classmethod
    @override
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        return cast(ConfigType, SCHEMA(config))

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        super().__init__(hass, config)
        self._options: dict[str, Any] = config.options or {}

    @override
    async def async_attach_action(
        self,
        action: TriggerAction,
        action_payload_builder: TriggerActionPayloadBuilder,
        *,
        did_not_trigger: TriggerNotTriggeredReporter | None = None,
    ) -> CALLBACK_TYPE:
        async def start(extra: dict[str, Any], description: str, context: Context) -> Any:
            return await action(action_payload_builder(extra, description), context)

        return self._attach(start)

    @override
    async def async_attach_runner(
        self, run_action: TriggerActionRunner, did_not_trigger: TriggerNotTriggeredReporter | None = None
    ) -> CALLBACK_TYPE:
        async def start(extra: dict[str, Any], description: str, context: Context) -> Any:
            return await run_action(extra, description, context)

        return self._attach(start)

    def _attach(self, start: Start) -> CALLBACK_TYPE:
        @callback
        def attach(entry: HubqueueConfigEntry) -> CALLBACK_TYPE:
            taking = _Taking(self._hass, entry, self._options, start)
            consumer = Consumer(
                entry.runtime_data.runs,
                self._options[ATTR_QUEUE],
                taking.run,
                names=self._options[ATTR_NAME],
                concurrency=self._options[ATTR_CONCURRENCY],
            )
            # what the actions need may not be there before
            stop = async_at_started(self._hass, callback(lambda _: consumer.start()))

            @callback
            def detach() -> None:
                taking.leaving = True
                stop()
                consumer.close()

            return detach

        entry_id: str | None = self._options.get(ATTR_CONFIG_ENTRY_ID)
        unfollow = async_follow_hubs(self._hass, entry_id, attach)
        forget = async_name_queue(self._hass, entry_id, self._options[ATTR_QUEUE])

        @callback
        def leave() -> None:
            unfollow()
            forget()

        return leave


class _Taking:
    """One trigger at one hub. leaving: the automation was turned off, reloaded or removed meanwhile."""

    def __init__(self, hass: HomeAssistant, entry: HubqueueConfigEntry, options: dict[str, Any], start: Start) -> None:
        self.leaving = False
        self._hass = hass
        self._entry = entry
        self._manual = options[ATTR_ACK] == MANUAL
        self._lease_s = options[ATTR_LEASE].total_seconds()
        self._run_options = RunOptions.of(options)
        self._start = start

    async def run(self, leased: Leased) -> Outcome:
        extra = {
            "job": leased.variable,
            ATTR_QUEUE: leased.job["queue"],
            ATTR_CONFIG_ENTRY_ID: self._entry.entry_id,
        }
        context = Context()  # the automation makes a child of it for its actions
        with self._run_options.watching(context, of_child=True):
            returned: ScriptRunResult | None = await self._start(
                extra, f"job {leased.name} of queue {leased.job['queue']}", context
            )
        trace_id = trace_id_get()
        outcome = decide(
            None if returned is None else returned.service_response,
            script_execution_get(),
            traced=trace_id is not None,
            leaving=self.leaving or self._hass.is_stopping,
            failed=None if trace_id is None else why(self._hass) or _before_actions(self._hass, *trace_id),
        )
        outcome = await self._run_options.judged(self._hass, outcome, {"job": leased.variable, "trigger": extra})
        if isinstance(outcome, Complete) and self._manual:
            return Keep(self._lease_s)
        return outcome


def _before_actions(hass: HomeAssistant, automation: str, run_id: str) -> Fail | None:
    """Why a run failed before its first action, where Home Assistant keeps traces: of automations that have an id."""
    kept = hass.data.get("trace", {}).get(automation)
    trace = getattr(kept, "runs", kept or {}).get(run_id)
    error = None if trace is None else trace.as_short_dict().get("error")
    return None if error is None else Fail(said(Exception(str(error))))
