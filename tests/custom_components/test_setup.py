"""Setting an entry up and taking it down, on a real hub."""

from __future__ import annotations

from custom_components.hubqueue.const import DOMAIN
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until_state

from conftest import Call, hub_process, url_of
from support.hub_process import HubProcess
from support.ports import free_port


async def test_a_hub_and_its_queues_become_devices(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, hub: HubProcess
) -> None:
    await call("PUSH", queue="mail", data=1)
    await until_state(hass, "sensor.mail_waiting", "1")
    devices = dr.async_get(hass)
    main = devices.async_get_device_by_identifier((DOMAIN, hub.hub_id), loaded.entry_id)
    queue = devices.async_get_device_by_identifier((DOMAIN, f"{hub.hub_id}_queue_mail"), loaded.entry_id)
    assert main is not None
    assert queue is not None
    assert main.entry_type is dr.DeviceEntryType.SERVICE
    assert queue.via_device_id == main.id


async def test_a_queue_that_is_gone_takes_its_device_along(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    await call("PUSH", queue="mail", data=1)
    await until_state(hass, "sensor.mail_waiting", "1")
    await call("Obliterate", queue="mail")
    await until_state(hass, "sensor.mail_waiting", None)
    assert not [each for each in er.async_get(hass).entities.values() if each.unique_id.endswith("_mail_waiting")]


async def test_an_entry_without_a_hub_is_tried_again(hass: HomeAssistant) -> None:
    entry = MockConfigEntry(domain=DOMAIN, unique_id="x", data={"url": f"http://127.0.0.1:{free_port()}"})
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "cannot_connect"
    await hass.config_entries.async_unload(entry.entry_id)


async def test_another_hub_at_the_address_is_not_taken(hass: HomeAssistant, hub: HubProcess) -> None:
    entry = MockConfigEntry(domain=DOMAIN, unique_id="other", data={"url": url_of(hub)})
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert entry.error_reason_translation_key == "another_hub"


async def test_a_refused_token_asks_for_another(hass: HomeAssistant, tmp_path, ours: None) -> None:
    config = tmp_path / "hubqueue.yaml"
    config.write_text(f"data_path: {tmp_path}/hub.db\ntcp: {{port: 0, tokens: [right]}}\n")
    with hub_process(tmp_path, config=config) as hub:
        entry = MockConfigEntry(domain=DOMAIN, unique_id=hub.hub_id, data={"url": url_of(hub), "token": "wrong"})
        entry.add_to_hass(hass)
        await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
        assert entry.state is ConfigEntryState.SETUP_ERROR
        (flow,) = hass.config_entries.flow.async_progress()
        assert flow["context"]["source"] == "reauth"
        done = await hass.config_entries.flow.async_configure(flow["flow_id"], {"token": "still wrong"})
        assert done["errors"] == {"base": "invalid_auth"}
        done = await hass.config_entries.flow.async_configure(flow["flow_id"], {"token": "right"})
        assert done["reason"] == "reauth_successful"
        await hass.async_block_till_done()
        assert entry.state is ConfigEntryState.LOADED
        await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_block_till_done()


async def test_a_hub_that_goes_and_comes_back_is_told_once(hass: HomeAssistant, tmp_path, caplog) -> None:
    caplog.set_level("INFO", "custom_components.hubqueue")
    hub = hub_process(tmp_path, http_port=free_port())
    with hub:
        entry = MockConfigEntry(domain=DOMAIN, title="Home", unique_id=hub.hub_id, data={"url": url_of(hub)})
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.services.async_call(DOMAIN, "enqueue", {"queue": "mail", "data": 1, "create": True}, blocking=True)
        await until_state(hass, "sensor.mail_waiting", "1")
        await until_state(hass, "binary_sensor.home_connection", "on")
        hub.kill()
        await until_state(hass, "sensor.mail_waiting", "unavailable")
        assert hass.states.get("binary_sensor.home_connection").state == "off"
        hub.start()
        await until_state(hass, "sensor.mail_waiting", "1")
        assert caplog.text.count("The hub is back") == 1
        assert caplog.text.count("The hub cannot be reached right now") + caplog.text.count("Error fetching") <= 1
        await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_block_till_done()


async def test_a_reload_keeps_everything(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await call("PUSH", queue="mail", data=1)
    await until_state(hass, "sensor.mail_waiting", "1")
    assert await hass.config_entries.async_reload(loaded.entry_id)
    await until_state(hass, "sensor.mail_waiting", "1")


async def test_only_the_chosen_queues_are_shown(hass: HomeAssistant, call: Call, entry: MockConfigEntry) -> None:
    hass.config_entries.async_update_entry(entry, options={"queues": ["mail"], "dead_letters": 1})
    await call("PUSH", queue="mail", data=1)
    await call("PUSH", queue="other", data=1)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until_state(hass, "sensor.mail_waiting", "1")
    assert hass.states.get("sensor.other_waiting") is None
    await hass.config_entries.async_unload(entry.entry_id)
    assert not ir.async_get(hass).issues
