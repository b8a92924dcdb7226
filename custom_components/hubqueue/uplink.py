"""A subentry "Uplink": a forwarder of the hub that was made in Home Assistant, and goes with its subentry.

The hub keeps all of it, the token for the other side too; Home Assistant knows which forwarders are its own, so that it
can delete one whose subentry was removed while the hub was away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_TOKEN, CONF_URL
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.storage import Store

from .client import HubClient
from .const import ATTR_QUEUE, DOMAIN, LOGGER
from .errors import HubError

SUBENTRY_UPLINK: Final = "uplink"

CONF_TO: Final = "to"
CONF_TARGET_QUEUE: Final = "target_queue"
SECTION_SCHEDULE: Final = "schedule"
CONF_WINDOWS: Final = "windows"
CONF_TIMEZONE: Final = "timezone"
SECTION_MORE: Final = "more"
CONF_RATE: Final = "rate"
CONF_DURABLE: Final = "durable"
CONF_CA: Final = "ca"
CONF_CERTIFICATE: Final = "certificate"
CONF_FORGET: Final = "forget"
CONF_SERVER_NAME: Final = "server_name"
CONF_VERIFY: Final = "verify"
CONF_TEST: Final = "test"
# secrets, and what is asked anew each time
NOT_KEPT: Final = (CONF_TOKEN, CONF_CA, CONF_CERTIFICATE, CONF_FORGET, CONF_TEST)

GONE: Final = frozenset({"not_found", "wrong_state"})  # nothing of ours is there any more


def store_of(hass: HomeAssistant, entry_id: str) -> Store[dict[str, str]]:
    """The names of our forwarders, by subentry."""
    return Store(hass, 1, f"{DOMAIN}.{entry_id}.uplinks")


def uplinks_of(entry: ConfigEntry[Any]) -> dict[str, str]:
    """The names that forwarders have which should be there, by subentry: those of their queues."""
    return {
        subentry.subentry_id: subentry.data[ATTR_QUEUE]
        for subentry in entry.subentries.values()
        if subentry.subentry_type == SUBENTRY_UPLINK
    }


def put_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """What ForwarderPut is told. Secrets that are not given are not told, unless to be forgotten: the hub keeps its."""
    schedule, more = data.get(SECTION_SCHEDULE, {}), data.get(SECTION_MORE, {})
    windows = [window.strip() for window in schedule.get(CONF_WINDOWS, ()) if window.strip()]
    zone = {"timezone": schedule[CONF_TIMEZONE]} if schedule.get(CONF_TIMEZONE) else {}
    fields: dict[str, Any] = {
        "name": data[ATTR_QUEUE],
        "queue": data[ATTR_QUEUE],
        "to": data[CONF_TO].strip(),
        "durable": more.get(CONF_DURABLE, True),
        "schedule": {"windows": windows, **zone} if windows else None,
        "rate": more.get(CONF_RATE),
        "serverName": more.get(CONF_SERVER_NAME) or None,
        "verify": more.get(CONF_VERIFY, True),
    }
    if data.get(CONF_TARGET_QUEUE):
        fields["target"] = data[CONF_TARGET_QUEUE]
    if data.get(CONF_TOKEN):
        fields["token"] = data[CONF_TOKEN]
    if more.get(CONF_FORGET):
        fields |= {"caCert": None, "clientCert": None}
    if more.get(CONF_CA):
        fields["caCert"] = more[CONF_CA]
    if more.get(CONF_CERTIFICATE):
        fields["clientCert"] = more[CONF_CERTIFICATE]
    return fields


def without_secrets(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the subentry keeps."""
    return {
        key: without_secrets(value) if isinstance(value, Mapping) else value
        for key, value in data.items()
        if key not in NOT_KEPT
    }


async def async_settle(hass: HomeAssistant, entry: ConfigEntry[Any], client: HubClient) -> None:
    """Delete forwarders whose subentry is gone; one that cannot be deleted now is tried at the next start."""
    store = store_of(hass, entry.entry_id)
    kept, wanted = await store.async_load() or {}, uplinks_of(entry)
    left = {
        subentry_id: name
        for subentry_id, name in kept.items()
        if subentry_id not in wanted and name not in wanted.values() and not await _deleted(client, name)
    }
    if (now := {**left, **wanted}) != kept:
        await store.async_save(now)


async def async_forget(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """The entry is gone: so are its forwarders, if the hub can be reached now."""
    store = store_of(hass, entry.entry_id)
    if names := list((await store.async_load() or {}).values()):
        client = HubClient(async_get_clientsession(hass), entry.data[CONF_URL], entry.data.get(CONF_TOKEN))
        try:
            await client.connect()
        except HubError as error:
            LOGGER.warning("forwarders stay at the hub names=%s code=%s", ",".join(names), error.code)
        else:
            for name in names:
                await _deleted(client, name)
            await client.close()
    await store.async_remove()


async def _deleted(client: HubClient, name: str) -> bool:
    try:
        await client.call("ForwarderDelete", name=name)
    except HubError as error:
        if error.code not in GONE:
            LOGGER.warning("a forwarder was not deleted name=%s code=%s", name, error.code)
            return False
    return True
