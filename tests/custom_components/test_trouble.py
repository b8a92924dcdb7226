"""What becomes of an entry when the hub, its tokens or its links are in trouble."""

from __future__ import annotations

import pytest
from custom_components.hubqueue import async_remove_config_entry_device, repairs
from custom_components.hubqueue.connection import Connection
from custom_components.hubqueue.const import DOMAIN
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until, until_state

from conftest import Call, url_of
from support.hub_process import HubProcess


async def entry_of(hass: HomeAssistant, hub: HubProcess, token: str | None) -> MockConfigEntry:
    entry = MockConfigEntry(
        domain=DOMAIN, title="Home", unique_id=hub.hub_id, data={"url": url_of(hub), "token": token}
    )
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return entry


async def test_a_token_that_is_revoked_meanwhile_asks_for_another(
    hass: HomeAssistant, guarded: HubProcess, boss: Connection
) -> None:
    token = (await boss.call("TokenAdd", name="ha", scopes=["admin"]))["token"]
    entry = await entry_of(hass, guarded, token)
    assert entry.state is ConfigEntryState.LOADED
    await boss.call("TokenRevoke", name="ha")
    await until(lambda: bool(hass.config_entries.flow.async_progress()), "a flow")
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == "reauth"
    token = (await boss.call("TokenAdd", name="ha", scopes=["admin"]))["token"]
    done = await hass.config_entries.flow.async_configure(flow["flow_id"], {"token": token})
    assert done["reason"] == "reauth_successful"
    await until(lambda: entry.state is ConfigEntryState.LOADED and entry.runtime_data.client.connected, "loaded")
    await until_state(hass, "binary_sensor.home_connection", "on")
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_token_that_may_not_read_sets_nothing_up(
    hass: HomeAssistant, guarded: HubProcess, boss: Connection
) -> None:
    token = (await boss.call("TokenAdd", name="ha", scopes=["enqueue"]))["token"]
    entry = await entry_of(hass, guarded, token)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_refused_forwarder_is_a_repair(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, guarded: HubProcess
) -> None:
    issues = ir.async_get(hass).issues
    await call("ForwarderPut", name="up", queue="readings", to=guarded.url, token="wrong")
    await call("PUSH", queue="readings", data=1)

    def raised() -> bool:
        return [issue.translation_key for issue in issues.values()] == ["uplink"]

    await until(raised, "a repair")
    await call("ForwarderPut", name="up", queue="readings", to=guarded.url, token="boss")
    await until_state(hass, "binary_sensor.uplink_up_connection", "on")
    await until(lambda: not issues, "no repair")


async def test_a_disk_that_is_nearly_full_is_a_repair(
    hass: HomeAssistant, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repairs, "NEARLY_FULL_BYTES", 2**62)
    await hass.config_entries.async_setup(entry.entry_id)
    assert [issue.translation_key for issue in ir.async_get(hass).issues.values()] == ["disk"]
    await hass.config_entries.async_unload(entry.entry_id)
    assert not ir.async_get(hass).issues


async def test_a_device_goes_only_when_its_queue_is_gone(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, hub: HubProcess
) -> None:
    await call("PUSH", queue="mail", data=1)
    await until_state(hass, "sensor.mail_waiting", "1")
    registry = dr.async_get(hass)
    gone = registry.async_get_or_create(
        config_entry_id=loaded.entry_id, identifiers={(DOMAIN, f"{hub.hub_id}_queue_gone")}, name="gone"
    )
    foreign = registry.async_get_or_create(
        config_entry_id=loaded.entry_id, identifiers={("other", "x")}, name="foreign"
    )
    devices = {each.name: each for each in dr.async_entries_for_config_entry(registry, loaded.entry_id)}
    assert await async_remove_config_entry_device(hass, loaded, gone)
    for device, why in (
        (foreign, "device_stays"),
        (devices["Home"], "device_stays"),
        (devices["mail"], "queue_not_empty"),
    ):
        with pytest.raises(ServiceValidationError) as refused:
            await async_remove_config_entry_device(hass, loaded, device)
        assert refused.value.translation_key == why
