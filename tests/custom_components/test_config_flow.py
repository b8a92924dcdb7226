"""Every way of setting a hub up and of changing it, each with its error and the way out of it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from custom_components.hubqueue import config_flow
from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.errors import IncompatibleError
from homeassistant.config_entries import SOURCE_HASSIO, SOURCE_USER, SOURCE_ZEROCONF, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.service_info.hassio import HassioServiceInfo
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until_state

from conftest import Call, hub_process, url_of
from support.hub_process import HubProcess
from support.ports import free_port


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[HubProcess]:
    """A hub that wants the token "right"."""
    config = tmp_path / "hubqueue.yaml"
    config.write_text(f"data_path: {tmp_path}/hub.db\ntcp: {{port: 0, tokens: [right]}}\n")
    with hub_process(tmp_path, config=config) as hub:
        yield hub


@pytest.fixture
async def clean(hass: HomeAssistant) -> Any:
    """What a flow has set up is taken down at the end."""
    yield
    for entry in hass.config_entries.async_entries(DOMAIN):
        if entry.state is ConfigEntryState.LOADED:
            await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()


def announced(hub: HubProcess, **properties: str) -> ZeroconfServiceInfo:
    return ZeroconfServiceInfo(
        ip_address=ip_address("127.0.0.1"),
        ip_addresses=[ip_address("127.0.0.1")],
        port=hub.http_port,
        hostname="hub.local.",
        type="_hubqueue._tcp.local.",
        name="garage._hubqueue._tcp.local.",
        properties={"hub_id": hub.hub_id, **properties},
    )


def told(hub: HubProcess, token: str = "right") -> HassioServiceInfo:
    return HassioServiceInfo(
        config={"host": "127.0.0.1", "port": hub.http_port, "token": token, "addon": "hubqueue"},
        name="hubqueue",
        slug="a1b2c3d4_hubqueue",
        uuid="1234",
    )


async def begin(hass: HomeAssistant, source: str, data: Any = None) -> Any:
    return await hass.config_entries.flow.async_init(DOMAIN, context={"source": source}, data=data)


async def go_on(hass: HomeAssistant, flow: Any, given: dict[str, Any]) -> Any:
    done = await hass.config_entries.flow.async_configure(flow["flow_id"], given)
    await hass.async_block_till_done()
    return done


@pytest.mark.usefixtures("clean")
async def test_by_hand_with_every_mistake_on_the_way(hass: HomeAssistant, guarded: HubProcess) -> None:
    flow = await begin(hass, SOURCE_USER)
    assert flow["type"] is FlowResultType.FORM
    for given, wrong in (
        ({"url": "nonsense"}, {"url": "invalid_url"}),
        ({"url": f"http://127.0.0.1:{free_port()}"}, {"base": "cannot_connect"}),
        ({"url": url_of(guarded)}, {"base": "invalid_auth"}),
        ({"url": url_of(guarded), "token": "wrong"}, {"base": "invalid_auth"}),
    ):
        assert (await go_on(hass, flow, given))["errors"] == wrong
    done = await go_on(hass, flow, {"url": f" {url_of(guarded)}/ui/ ", "token": "right"})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert done["title"] == "hubqueue (127.0.0.1)"
    assert done["data"] == {"url": url_of(guarded), "token": "right"}
    assert done["result"].unique_id == guarded.hub_id
    assert done["result"].state is ConfigEntryState.LOADED


@pytest.mark.usefixtures("clean")
async def test_two_hubs_of_one_machine_are_told_apart(
    hass: HomeAssistant, guarded: HubProcess, hub: HubProcess
) -> None:
    first = await go_on(hass, await begin(hass, SOURCE_USER), {"url": url_of(hub)})
    second = await go_on(hass, await begin(hass, SOURCE_USER), {"url": url_of(guarded), "token": "right"})
    assert first["title"] == "hubqueue (127.0.0.1)"
    assert second["title"] == f"hubqueue (127.0.0.1:{guarded.http_port})"


async def test_what_is_no_hub_is_said(hass: HomeAssistant, hub: HubProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    async def too_old(*_: object) -> None:
        raise IncompatibleError("too old")

    flow = await begin(hass, SOURCE_USER)
    with monkeypatch.context() as patched:
        patched.setattr(config_flow.Connection, "open", too_old)
        assert (await go_on(hass, flow, {"url": url_of(hub)}))["errors"] == {"base": "incompatible"}


async def test_the_same_hub_is_not_set_up_twice(hass: HomeAssistant, hub: HubProcess) -> None:
    entry = MockConfigEntry(domain=DOMAIN, unique_id=hub.hub_id, data={"url": "http://old:1", "token": None})
    entry.add_to_hass(hass)
    flow = await begin(hass, SOURCE_USER)
    assert (await go_on(hass, flow, {"url": url_of(hub)}))["reason"] == "already_configured"
    assert entry.data["url"] == url_of(hub)


@pytest.mark.usefixtures("clean")
async def test_the_app_is_found_and_confirmed(hass: HomeAssistant, guarded: HubProcess) -> None:
    flow = await begin(hass, SOURCE_HASSIO, told(guarded))
    assert flow["step_id"] == "hassio_confirm"
    assert flow["description_placeholders"] == {"name": "hubqueue"}
    done = await go_on(hass, flow, {})
    assert done["title"] == "hubqueue"
    assert done["data"] == {"url": url_of(guarded), "token": "right"}


async def test_the_app_with_a_new_token_changes_its_entry(hass: HomeAssistant, guarded: HubProcess) -> None:
    entry = MockConfigEntry(domain=DOMAIN, unique_id=guarded.hub_id, data={"url": "http://old:1", "token": "old"})
    entry.add_to_hass(hass)
    assert (await begin(hass, SOURCE_HASSIO, told(guarded)))["reason"] == "already_configured"
    assert dict(entry.data) == {"url": url_of(guarded), "token": "right"}


async def test_an_app_that_refuses_its_own_token_is_left_alone(hass: HomeAssistant, guarded: HubProcess) -> None:
    assert (await begin(hass, SOURCE_HASSIO, told(guarded, "wrong")))["reason"] == "invalid_auth"


@pytest.mark.usefixtures("clean")
async def test_a_hub_in_the_network_is_found(hass: HomeAssistant, guarded: HubProcess) -> None:
    flow = await begin(hass, SOURCE_ZEROCONF, announced(guarded))
    assert flow["step_id"] == "zeroconf_confirm"
    assert (await go_on(hass, flow, {"token": "wrong"}))["errors"] == {"base": "invalid_auth"}
    done = await go_on(hass, flow, {"token": "right"})
    assert done["title"] == "garage"
    assert done["data"] == {"url": url_of(guarded), "token": "right"}


@pytest.mark.parametrize(("properties", "reason"), [({"hub_id": ""}, "incompatible"), ({"app": "1"}, "is_app")])
async def test_announcements_for_others_are_passed_over(
    hass: HomeAssistant, hub: HubProcess, properties: dict[str, str], reason: str
) -> None:
    assert (await begin(hass, SOURCE_ZEROCONF, announced(hub, **properties)))["reason"] == reason


async def test_a_hub_that_moved_is_followed(hass: HomeAssistant, hub: HubProcess) -> None:
    entry = MockConfigEntry(domain=DOMAIN, unique_id=hub.hub_id, data={"url": "http://old:1", "token": "kept"})
    entry.add_to_hass(hass)
    assert (await begin(hass, SOURCE_ZEROCONF, announced(hub)))["reason"] == "already_configured"
    assert dict(entry.data) == {"url": url_of(hub), "token": "kept"}


@pytest.mark.parametrize("step", ["reauth", "reconfigure"])
async def test_another_hub_does_not_take_the_place(hass: HomeAssistant, hub: HubProcess, step: str) -> None:
    entry = MockConfigEntry(domain=DOMAIN, unique_id="other", data={"url": url_of(hub), "token": None})
    entry.add_to_hass(hass)
    flow = await getattr(entry, f"start_{step}_flow")(hass)
    given = {} if step == "reauth" else {"url": url_of(hub)}
    assert (await go_on(hass, flow, given))["reason"] == "another_hub"


async def test_a_loaded_entry_gets_another_token(
    hass: HomeAssistant, loaded: MockConfigEntry, hub: HubProcess, call: Call
) -> None:
    await call("PUSH", queue="mail", data=1)
    flow = await loaded.start_reconfigure_flow(hass)
    assert (await go_on(hass, flow, {"url": "ftp://x"}))["errors"] == {"url": "invalid_url"}
    done = await go_on(hass, flow, {"url": url_of(hub), "token": "another"})
    assert done["reason"] == "reconfigure_successful"
    assert loaded.data["token"] == "another"
    await until_state(hass, "sensor.mail_waiting", "1")


async def test_options_choose_what_is_shown(hass: HomeAssistant, loaded: MockConfigEntry, call: Call) -> None:
    await call("PUSH", queue="mail", data=1)
    await call("PUSH", queue="other", data=1)
    await until_state(hass, "sensor.other_waiting", "1")
    flow = await hass.config_entries.options.async_init(loaded.entry_id)
    assert flow["type"] is FlowResultType.FORM
    done = await hass.config_entries.options.async_configure(flow["flow_id"], {"queues": ["ma*l"], "dead_letters": 5.0})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert dict(loaded.options) == {"queues": ["ma*l"], "dead_letters": 5, "outbox_mb": 16}
    await until_state(hass, "sensor.other_waiting", None)
    await until_state(hass, "sensor.mail_waiting", "1")


async def test_options_of_an_entry_that_is_not_loaded(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    flow = await hass.config_entries.options.async_init(entry.entry_id)
    assert flow["type"] is FlowResultType.FORM
