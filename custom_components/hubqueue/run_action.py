"""Action `run_action`: puts the call of any action of Home Assistant into a queue, from which it is done later.

A call is a job: its data are `action` for people, `sealed` (the call as text) and `signature`. Calls are signed with a
secret of this Home Assistant, so that whoever may enqueue at the hub may not do everything at home. Who works them:
action_calls.py.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import probatio as vol
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import service
from homeassistant.helpers.json import json_dumps
from homeassistant.helpers.storage import Store
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.ulid import ulid_now

from .actions import ENTRY, NEW_QUEUE, QUEUE, failure, milliseconds
from .const import ACTIONS_QUEUE, ATTR_CONFIG_ENTRY_ID, ATTR_CREATE, ATTR_QUEUE, DOMAIN
from .errors import HubError
from .queues import async_check_queue

if TYPE_CHECKING:
    from .coordinator import HubqueueConfigEntry

STORE: Final = HassKey["Seal"](f"{DOMAIN}_seal")

FIRST_MS: Final = 5_000
LONGEST_MS: Final = 15 * 60_000
MOST_ATTEMPTS: Final = 1000  # about ten days of them, every 15 minutes
DAY: Final = timedelta(days=1)


def _expression(value: Any) -> str:
    """A condition as it stands between the braces of a template: with them, it would be rendered now."""
    text = cv.string(value)
    if isinstance(value, bool) or text.strip().lower() in ("true", "false"):
        raise vol.Invalid("write the expression without {{ }}: it is looked at later, after the action")
    cv.template("{{ " + text + " }}")
    return text


FIELDS: Final[dict[Any, Any]] = {
    vol.Required("action"): cv.service,
    vol.Optional("target"): cv.TARGET_FIELDS,
    vol.Optional("data", default=dict): dict,
    vol.Optional(ATTR_QUEUE, default=ACTIONS_QUEUE): QUEUE,
    **NEW_QUEUE,
    vol.Optional("keep_trying", default=DAY): vol.All(
        cv.positive_time_period, vol.Range(timedelta(seconds=1), 10 * DAY)
    ),
    vol.Optional("expires"): vol.All(cv.positive_time_period, vol.Range(timedelta(seconds=1), 365 * DAY)),
    vol.Optional("supersede"): cv.string,
    vol.Optional("group"): cv.string,
    vol.Optional("state"): vol.All(cv.ensure_list, [cv.string]),
    vol.Optional("success"): _expression,
    vol.Optional("success_within", default=timedelta(seconds=30)): vol.All(
        cv.positive_time_period, vol.Range(timedelta(), timedelta(hours=1))
    ),
    **ENTRY,
}
SCHEMA: Final = vol.Schema(FIELDS)


class Seal:
    """What this Home Assistant keeps: its secret, and the queues that its calls were put into, by entry."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._store = Store[dict[str, Any]](hass, 1, f"{DOMAIN}.actions", private=True)
        self._kept: dict[str, Any] = {}
        self._loading = asyncio.Lock()

    async def async_load(self) -> None:
        """Read what is kept, or make it; once, however many ask for it at once."""
        async with self._loading:
            if self._kept:
                return
            kept = await self._store.async_load() or {}
            if "secret" not in kept:
                kept = {"secret": secrets.token_hex(32), "home": secrets.token_hex(8), "queues": {}}
                await self._store.async_save(kept)
            self._kept = kept

    def queues(self, entry_id: str) -> list[str]:
        """Where calls may wait."""
        return list(self._kept["queues"].get(entry_id, ()))

    async def async_add_queue(self, entry_id: str, queue: str) -> bool:
        """Whether this queue is a new one."""
        if queue in self.queues(entry_id):
            return False
        self._kept["queues"].setdefault(entry_id, []).append(queue)
        await self._store.async_save(self._kept)
        return True

    def close(self, call: Mapping[str, Any], id: str) -> dict[str, Any]:
        """The data of a job."""
        sealed = json_dumps({**call, "id": id})
        return {
            "action": call["action"],
            "home": self._kept["home"],
            "sealed": sealed,
            "signature": self._sign(sealed),
        }

    def is_ours(self, data: Any) -> bool:
        return isinstance(data, Mapping) and data.get("home") == self._kept["home"]

    def open(self, data: Any, id: str) -> dict[str, Any] | None:
        """The call; None: it was not sealed here, or not for this job."""
        sealed = str(data.get("sealed", ""))
        if not hmac.compare_digest(self._sign(sealed).encode(), str(data.get("signature", "")).encode()):
            return None
        call: dict[str, Any] = json.loads(sealed)
        return call if call["id"] == id else None

    def _sign(self, sealed: str) -> str:
        return hmac.new(self._kept["secret"].encode(), sealed.encode(), hashlib.sha256).hexdigest()


async def async_seal(hass: HomeAssistant) -> Seal:
    """The one of this Home Assistant."""
    seal = hass.data.setdefault(STORE, Seal(hass))
    await seal.async_load()
    return seal


async def async_run_action(call: ServiceCall) -> ServiceResponse:
    """Put a call into its queue; on the disk of the hub when this is done."""
    hass, given = call.hass, call.data
    entry: HubqueueConfigEntry = service.async_get_config_entry(hass, DOMAIN, given.get(ATTR_CONFIG_ENTRY_ID))
    if "state" in given and not given.get("target"):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="state_without_target")
    queue: str = given[ATTR_QUEUE]
    if not given[ATTR_CREATE]:
        await async_check_queue(hass, entry, queue, may_create=True)
    seal = await async_seal(hass)
    id = f"ha:{ulid_now()}"
    what = {key: given[key] for key in ("action", "target", "data", "state", "success") if key in given}
    what |= {
        "success_within_s": given["success_within"].total_seconds(),
        "until_ms": round(time.time() * 1000) + milliseconds(given["keep_trying"]),
        "user_id": call.context.user_id,
    }
    fields: dict[str, Any] = {
        "name": given["action"],
        "data": seal.close(what, id),
        "maxAttempts": MOST_ATTEMPTS,
        "backoff": {"type": "exponential", "delay": FIRST_MS, "maxDelay": LONGEST_MS},
        "durable": True,
    }
    if "expires" in given:
        fields["ttl"] = milliseconds(given["expires"])
    if (key := given.get("supersede")) is not None:
        fields |= {"uniqueKey": key, "dedup": {"replace": True}}
    if (group := given.get("group", key)) is not None:  # a newer call never runs beside the one it supersedes
        fields["groupId"] = group
    if await seal.async_add_queue(entry.entry_id, queue):
        entry.runtime_data.calls.take_from(queue)
    try:
        reply = await entry.runtime_data.client.call("PUSH", queue=queue, jobId=id, **fields)
    except HubError as error:
        raise failure(error) from error
    return {"id": reply["id"]} if call.return_response else None
