"""Action `run_action`: puts the call of any action of Home Assistant into a queue, from which it is done later.

A call is a job: its data are `action` for people and the call itself, sealed (seal.py). Who works them is in
action_calls.py.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import probatio as vol
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.util.ulid import ulid_now

from . import job_options, trying
from .actions import ENTRY, NEW_QUEUE, QUEUE, failure, kept_here
from .const import ACTIONS_QUEUE, ATTR_CONFIG_ENTRY_ID, ATTR_CREATE, ATTR_QUEUE, DOMAIN
from .durations import milliseconds, within
from .entries import async_hub_of
from .errors import HubError
from .fields import only
from .keeping import async_keeping
from .outbox_entry import ONCE
from .patience import patience
from .queues import async_check_queue, async_name_queue
from .seal import Seal, async_seal
from .success import expression
from .targets import registered, target_of

MOST: Final = timedelta(days=10)

FIELDS: Final[dict[Any, Any]] = {
    vol.Required("action"): vol.All(cv.service, job_options.JOB_NAME),
    vol.Optional("target"): cv.TARGET_FIELDS,
    vol.Optional("data", default=dict): dict,
    vol.Optional(ATTR_QUEUE, default=ACTIONS_QUEUE): QUEUE,
    **NEW_QUEUE,
    vol.Optional("keep_trying"): within(timedelta(seconds=1), MOST),
    vol.Optional("ttl"): job_options.FIELDS["ttl"],
    vol.Optional("supersede"): job_options.DEDUP_KEY,
    vol.Optional("group"): job_options.GROUP,
    vol.Optional("state"): vol.All(cv.ensure_list, [cv.string]),
    vol.Optional("success"): expression,
    vol.Optional("success_within", default=timedelta(seconds=30)): within(timedelta(), timedelta(hours=1)),
    **ENTRY,
}
SCHEMA: Final = only(FIELDS, job_options.ELSEWHERE)


async def async_run_action(call: ServiceCall) -> ServiceResponse:
    """Put a call into its queue; on the disk of the hub when this is done, or on the disk here while it is away."""
    hass, given = call.hass, call.data
    entry = async_hub_of(hass, given.get(ATTR_CONFIG_ENTRY_ID))
    queue: str = given[ATTR_QUEUE]
    if given[ATTR_CREATE]:
        async_name_queue(hass, entry.entry_id, queue, once=True)
    else:
        await async_check_queue(hass, entry, queue, may_create=True)
    seal = await async_seal(hass)
    try:
        fields = job_fields(hass, seal, given, call.context.user_id)
        await seal.async_add_queue(entry.entry_id, queue)
        if entry.state is ConfigEntryState.LOADED:
            entry.runtime_data.calls.take_from(queue)
        sent = await (await async_keeping(hass, entry)).outbox.async_put(queue, [fields])
    except HubError as error:
        raise failure(error) from error
    return {"id": sent.ids[0], **kept_here(sent)} if call.return_response else None


def job_fields(hass: HomeAssistant, seal: Seal, given: Mapping[str, Any], user_id: str | None) -> dict[str, Any]:
    """The job of a call, with an id of its own. Errors: ServiceValidationError, HubError."""
    target = given.get("target")
    if "state" in given and not target_of(given["data"], target):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="state_without_target")
    id = f"{ONCE}{ulid_now()}"
    keep_trying: timedelta = given.get("keep_trying") or patience(hass, given["action"], given["data"], target)
    what = {key: given[key] for key in ("action", "target", "data", "state", "success") if key in given}
    what |= {
        "success_within_s": given["success_within"].total_seconds(),
        "until_ms": round(time.time() * 1000) + milliseconds(keep_trying),
        "user_id": user_id,
        "ids": registered(hass, target_of(given["data"], target)),
    }
    options = {key: given[key] for key in ("ttl", "group") if key in given} | {"keep_trying": keep_trying}
    if (key := given.get("supersede")) is not None:
        options |= {"dedup": {"key": key, "replace": True}}
        options.setdefault("group", key)  # a newer call never runs beside the one it supersedes
    job_options.check(options)
    return {
        "customId": id,
        "name": given["action"],
        "data": seal.close(what, id),
        "durable": True,
        **job_options.to_hub(trying.patient(options)),
    }
