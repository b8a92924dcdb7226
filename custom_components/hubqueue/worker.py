"""Action `worker`: takes jobs that wait now, runs actions or a script for each, and answers with counts.

For automations that work at a time of their own (at night, when the boiler is on) instead of when jobs come.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

import probatio as vol
from homeassistant.core import Context, HomeAssistant, ServiceCall, ServiceResponse
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.script import Script, async_validate_actions_config

from . import run_options
from .actions import ENTRY, QUEUE, failure
from .const import ATTR_CONFIG_ENTRY_ID, ATTR_QUEUE, DOMAIN, LOGGER
from .consumer import OWNER
from .entries import async_reached_hub
from .errors import HubError
from .fields import only
from .outcome import Complete, Fail, Outcome, Release
from .queues import async_check_queue
from .run_options import RunOptions
from .runs import LEASE_S, Leased, Run, Runs, async_run_script, async_run_sequence
from .said import said

ATTR_MAX_JOBS: Final = "max_jobs"
ATTR_SEQUENCE: Final = "sequence"
ATTR_SCRIPT: Final = "script"

FIELDS: Final[dict[Any, Any]] = {
    vol.Required(ATTR_QUEUE): QUEUE,
    vol.Optional(ATTR_MAX_JOBS, default=10): vol.All(vol.Coerce(int), vol.Range(1, 1000)),
    vol.Exclusive(ATTR_SEQUENCE, "what"): vol.All(cv.ensure_list, [dict]),
    vol.Exclusive(ATTR_SCRIPT, "what"): cv.entity_domain("script"),
    **run_options.FIELDS,
    **ENTRY,
}
SCHEMA: Final = vol.All(only(FIELDS), cv.has_at_least_one_key(ATTR_SEQUENCE, ATTR_SCRIPT))


async def async_work(call: ServiceCall) -> ServiceResponse:
    """One after the other, until nothing waits or there were `max_jobs`."""
    hass = call.hass
    entry = async_reached_hub(hass, call.data.get(ATTR_CONFIG_ENTRY_ID))
    await async_check_queue(hass, entry, call.data[ATTR_QUEUE])
    run, close = await _what(hass, call)
    counts = Counter[str]()
    try:
        for _ in range(call.data[ATTR_MAX_JOBS]):
            outcome = await _one(entry.runtime_data.runs, call.data[ATTR_QUEUE], run)
            if outcome is None:
                break
            counts[_word(outcome)] += 1
            if outcome == Release():
                break  # it would only come back at once
    except HubError as error:
        raise failure(error) from error
    finally:
        await close()
    answer: dict[str, Any] = {word: counts[word] for word in ("completed", "failed", "released")}
    return {"jobs": counts.total(), **answer} if call.return_response else None


async def _what(hass: HomeAssistant, call: ServiceCall) -> tuple[Run, Callable[[], Awaitable[None]]]:
    context: Context = call.context
    options = RunOptions.of(call.data)
    if (entity_id := call.data.get(ATTR_SCRIPT)) is not None:
        if hass.states.get(entity_id) is None:
            raise ServiceValidationError(
                translation_domain=DOMAIN, translation_key="no_script", translation_placeholders={"script": entity_id}
            )

        async def run_script(leased: Leased) -> Outcome:
            return await async_run_script(hass, entity_id, leased, options, context)

        return run_script, _nothing
    try:
        actions = await async_validate_actions_config(hass, cv.SCRIPT_SCHEMA(call.data[ATTR_SEQUENCE]))
    except (vol.Invalid, HomeAssistantError) as error:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="bad_sequence", translation_placeholders={"error": said(error)}
        ) from error
    script = Script(hass, actions, "hubqueue worker", DOMAIN, logger=LOGGER, running_description="worker")

    async def run_sequence(leased: Leased) -> Outcome:
        return await async_run_sequence(hass, script, leased, options, context)

    return run_sequence, script.async_unload


async def _one(runs: Runs, queue: str, run: Run) -> Outcome | None:
    """How the run of the next job ended; None: no job waits, or the hub is unloaded."""
    reply = await runs.client.call("PULL", queue=queue, owner=OWNER, lockTtl=LEASE_S * 1000)
    if reply["job"] is None:
        return None
    task = runs.begin(Leased(reply["job"], reply["token"]), run)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:  # who called us was stopped
        task.cancel()
        raise
    return None if task.cancelled() else task.result()


def _word(outcome: Outcome) -> str:
    match outcome:
        case Complete():
            return "completed"
        case Fail():
            return "failed"
    return "released"


async def _nothing() -> None:
    pass
