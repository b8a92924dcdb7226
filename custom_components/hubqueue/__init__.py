"""hubqueue for Home Assistant: durable jobs for automations, on a hub that runs as an app or anywhere else."""

from __future__ import annotations

from homeassistant.const import EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntry
from homeassistant.helpers.dispatcher import async_dispatcher_connect, async_dispatcher_send
from homeassistant.helpers.typing import ConfigType

from . import repairs
from .action_calls import Calls
from .actions import failure
from .choices import async_offer_queues
from .const import DOMAIN
from .coordinator import (
    SIGNAL_LINK,
    SIGNAL_LOADED,
    SIGNAL_UNLOADED,
    HubqueueConfigEntry,
    HubqueueCoordinator,
    HubqueueData,
    async_forget_update,
)
from .delete_queue import async_delete_queue
from .entity import hub_device, part_of_device
from .entity_services import look_for_them
from .errors import HubError
from .keeping import async_forget_keeping, async_keeping, async_setup_keeping
from .runs import DRAIN_S, Runs
from .services import async_setup_services
from .subentries import async_forget_subentries, async_start_subentries, workers_of
from .uplink import async_settle
from .watched_calls import async_watch_calls

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)
PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.NUMBER,
    Platform.SENSOR,
    Platform.SWITCH,
]


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Actions exist once, whatever entries there are; what happens now is kept until a hub is there."""
    async_setup_services(hass)
    look_for_them()
    await async_setup_keeping(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: HubqueueConfigEntry) -> bool:
    """Open the link to one hub, and show it."""
    keeping = await async_keeping(hass, entry)
    coordinator = HubqueueCoordinator(hass, entry)
    await coordinator.async_connect()
    try:
        await async_settle(hass, entry, coordinator.client)  # what it deletes is not shown any more
        await coordinator.async_config_entry_first_refresh()
    except BaseException:
        await coordinator.async_close()
        raise
    entry.async_on_unload(async_watch_calls(hass))
    runs = Runs(hass, coordinator.client)
    entry.runtime_data = HubqueueData(
        coordinator.client,
        coordinator,
        runs,
        keeping,
        workers_of(hass, entry, runs),
        Calls(hass, runs, entry.entry_id),
    )
    entry.async_create_background_task(hass, coordinator.async_keep(), "hubqueue link")
    # queues hang from the hub: its device comes first
    dr.async_get(hass).async_get_or_create(config_entry_id=entry.entry_id, **hub_device(coordinator))
    _remove_stale_devices(hass, entry)
    keeping.outbox.attach(coordinator.client)
    entry.async_on_unload(keeping.outbox.detach)
    async_start_subentries(hass, entry)
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    await async_offer_queues(hass, entry)
    entry.async_on_unload(coordinator.async_add_listener(lambda: _remove_stale_devices(hass, entry)))
    entry.async_on_unload(repairs.async_watch(hass, entry))
    entry.async_on_unload(entry.add_update_listener(_async_reload))
    entry.async_on_unload(async_dispatcher_connect(hass, SIGNAL_LINK, runs.on_link))
    entry.async_on_unload(hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, runs.async_on_stop))
    entry.async_on_unload(await entry.runtime_data.calls.async_start())
    async_dispatcher_send(hass, SIGNAL_LOADED, entry.entry_id)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: HubqueueConfigEntry) -> bool:
    """Take the entry down; leases of its connection are given back at once."""
    unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
    if unloaded:
        async_dispatcher_send(hass, SIGNAL_UNLOADED, entry.entry_id)
        await entry.runtime_data.runs.async_stop(DRAIN_S)
        await entry.runtime_data.coordinator.async_close()
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: HubqueueConfigEntry) -> None:
    """What its subentries have left goes too; the hub keeps its jobs."""
    await async_forget_keeping(hass, entry)
    await async_forget_subentries(hass, entry)
    async_forget_update(hass, entry.entry_id)


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: HubqueueConfigEntry, device: DeviceEntry
) -> bool:
    """A queue goes with its device when nothing is in it; what must stay says why. Errors: HomeAssistantError."""
    if _is_stale(entry, device):
        return True
    match part_of_device(entry, device):
        case ("queue", queue):
            try:
                await async_delete_queue(entry.runtime_data.client, queue)
            except HubError as error:
                raise failure(error) from error
            return True
        case ("link", forwarder):
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="device_of_forwarder",
                translation_placeholders={"forwarder": forwarder},
            )
    raise ServiceValidationError(translation_domain=DOMAIN, translation_key="device_stays")


async def _async_reload(hass: HomeAssistant, entry: HubqueueConfigEntry) -> None:
    await hass.config_entries.async_reload(entry.entry_id)


def _remove_stale_devices(hass: HomeAssistant, entry: HubqueueConfigEntry) -> None:
    """Devices of queues and forwarders that are gone go too; nothing goes while the hub cannot be asked."""
    coordinator = entry.runtime_data.coordinator
    if not coordinator.last_update_success or not coordinator.data.complete:
        return
    registry = dr.async_get(hass)
    for device in dr.async_entries_for_config_entry(registry, entry.entry_id):
        if _is_stale(entry, device):
            registry.async_remove_device(device.id)


def _is_stale(entry: HubqueueConfigEntry, device: DeviceEntry) -> bool:
    part = part_of_device(entry, device)
    if part is None:
        return False
    kind, name = part
    snapshot = entry.runtime_data.coordinator.data
    return name not in (snapshot.queues if kind == "queue" else snapshot.links)
