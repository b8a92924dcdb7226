"""Forwarders of the hub that are made, changed and removed in Home Assistant, towards a second real hub."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from custom_components.hubqueue.connection import Connection
from custom_components.hubqueue.const import ACTIONS_QUEUE, DOMAIN
from custom_components.hubqueue.uplink import store_of
from flows import add_subentry, change_subentry, try_subentry
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until_async, until_state

from conftest import Call, hub_process, url_of
from support.hub_process import HubProcess
from support.ports import free_port

PLAIN: dict[str, Any] = {"schedule": {}, "more": {"test": False}}


@pytest.fixture(scope="module")
def central(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with hub_process(tmp_path_factory.mktemp("central")) as hub:
        yield hub


async def forwarders(call: Call) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await call("Forwarders"))["forwarders"]
    return found


def itself_signed() -> tuple[str, str]:
    """PEM texts of a certificate that has signed itself, and of it with its private key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    signed = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, SHA256())
    certificate = signed.public_bytes(Encoding.PEM).decode()
    return certificate, certificate + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


async def test_jobs_go_to_the_other_hub_until_the_uplink_is_removed(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, central: HubProcess
) -> None:
    made = {"queue": "up", "to": central.url, "target_queue": "site", **PLAIN}
    subentry_id = await add_subentry(hass, loaded, "uplink", {**made, "token": "s3cret"})
    assert "s3cret" not in str(loaded.as_dict())
    subentry = loaded.subentries[subentry_id]
    assert (subentry.title, subentry.unique_id) == (f"up → {central.url}", "up")
    await until_state(hass, "binary_sensor.uplink_up_connection", "on")
    job_id = (await call("PUSH", queue="up", data=1))["id"]

    async def arrived() -> bool:
        return bool((await call("GetJob", id=job_id))["job"]["state"] == "completed")

    await until_async(arrived, "forwarded")
    hass.config_entries.async_remove_subentry(loaded, subentry_id)
    await hass.async_block_till_done()
    assert await forwarders(call) == []
    await until_state(hass, "binary_sensor.uplink_up_connection", None)
    assert not await store_of(hass, loaded.entry_id).async_load()


async def test_an_uplink_is_changed(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    to = f"tcp://127.0.0.1:{free_port()}"
    subentry_id = await add_subentry(hass, loaded, "uplink", {"queue": "up", "to": to, "token": "t", **PLAIN})
    schedule = {"windows": ["22:00-06:00"], "timezone": "Europe/Berlin"}
    changed = await change_subentry(
        hass,
        loaded,
        subentry_id,
        {"to": to, "schedule": schedule, "more": {"test": False, "durable": False, "rate": 5}},
    )
    assert changed["reason"] == "reconfigure_successful"
    (told,) = await forwarders(call)
    assert told["hasToken"]
    assert (told["schedule"]["windows"], told["schedule"]["timezone"]) == (["22:00-06:00"], "Europe/Berlin")
    assert (told["rate"], told["durable"]) == (5, False)


async def test_what_secures_it_reaches_the_hub(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    to = f"tls://127.0.0.1:{free_port()}"
    secured = {"test": False, "server_name": "central.example.org", "verify": False}
    await add_subentry(hass, loaded, "uplink", {"queue": "up", "to": to, "schedule": {}, "more": secured})
    (told,) = await forwarders(call)
    assert (told["to"], told["serverName"], told["verify"]) == (to, "central.example.org", False)


async def test_certificates_stay_until_they_are_forgotten_or_the_address_is_another(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    to, other = (f"tls://127.0.0.1:{free_port()}" for _ in range(2))
    ca, certificate = itself_signed()
    both = {"ca": ca, "certificate": certificate}
    subentry_id = ""
    steps: list[tuple[str, dict[str, Any], tuple[bool, bool, bool]]] = [
        (to, both, (True, True, True)),
        (to, {}, (True, True, True)),
        (to, {"forget": True}, (True, False, False)),
        (to, {"ca": ca}, (True, True, False)),
        (to, {"forget": True, "certificate": certificate}, (True, False, True)),
        (to, {"ca": ca}, (True, True, True)),
        (other, {}, (False, False, False)),
    ]
    for address, more, has in steps:
        given = {"to": address, "schedule": {}, "more": {"test": False, **more}}
        if subentry_id:
            await change_subentry(hass, loaded, subentry_id, given)
        else:
            subentry_id = await add_subentry(hass, loaded, "uplink", {"queue": "up", "token": "t", **given})
        (told,) = await forwarders(call)
        assert (told["hasToken"], told["hasCaCert"], told["hasClientCert"]) == has, (address, more.keys())
        assert not {"ca", "certificate", "forget"} & loaded.subentries[subentry_id].data["more"].keys()


async def test_what_the_hub_says_is_shown_in_the_dialog(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    to = f"tcp://127.0.0.1:{free_port()}"
    wrong = await try_subentry(hass, loaded, "uplink", {"queue": "up", "to": "ftp://x", **PLAIN})
    assert wrong["errors"] == {"base": "refused"}
    assert wrong["description_placeholders"]["error"]
    named = await try_subentry(hass, loaded, "uplink", {"queue": "a b", "to": to, **PLAIN})
    assert named["errors"] == {"queue": "invalid_queue"}
    await call("ForwarderPut", name="other", queue="taken", to=to)
    taken = await try_subentry(hass, loaded, "uplink", {"queue": "taken", "to": to, **PLAIN})
    assert taken["errors"] == {"base": "has_forwarder"}
    same = await try_subentry(hass, loaded, "uplink", {"queue": "other", "to": to, **PLAIN})
    assert same["errors"] == {"queue": "has_forwarder"}
    subentry_id = await add_subentry(hass, loaded, "uplink", {"queue": "up", "to": to, **PLAIN})
    again = await try_subentry(hass, loaded, "uplink", {"queue": "up", "to": to, **PLAIN})
    assert again["errors"] == {"queue": "has_forwarder"}
    wrong = await change_subentry(hass, loaded, subentry_id, {"to": "ftp://x", **PLAIN})
    assert wrong["errors"] == {"base": "refused"}
    assert await hass.config_entries.async_unload(loaded.entry_id)
    away = await try_subentry(hass, loaded, "uplink", {"queue": "more", "to": to, **PLAIN})
    assert away["errors"] == {"base": "cannot_connect"}


async def test_the_other_hub_is_tried_before_anything_is_kept(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, guarded: HubProcess, boss: Connection
) -> None:
    reader = (await boss.call("TokenAdd", name="reader", scopes=["read"]))["token"]
    tried = {"queue": "up", "schedule": {}, "more": {}}
    for to, token, error in (
        (f"tcp://127.0.0.1:{free_port()}", "boss", "no_answer"),
        (url_of(guarded).replace("http", "tcp"), "boss", "no_hub"),
        (guarded.url, "wrong", "other_refuses"),
        (guarded.url, reader, "other_refuses"),
    ):
        refused = await try_subentry(hass, loaded, "uplink", {**tried, "to": to, "token": token})
        assert refused["errors"] == {"base": error}
        assert refused["description_placeholders"]["error"]
        assert token not in str(refused["description_placeholders"])
    assert await forwarders(call) == []
    assert not loaded.subentries
    subentry_id = await add_subentry(hass, loaded, "uplink", {**tried, "to": guarded.url, "token": "boss"})
    assert "test" not in loaded.subentries[subentry_id].data["more"]
    again = {"to": guarded.url, "schedule": {}, "more": {}}
    wrong = await change_subentry(hass, loaded, subentry_id, {**again, "token": "wrong"})
    assert wrong["errors"] == {"base": "other_refuses"}
    kept = await change_subentry(hass, loaded, subentry_id, again)  # with the token that the hub has
    assert kept["reason"] == "reconfigure_successful"
    await until_state(hass, "binary_sensor.uplink_up_connection", "on")
    assert (await boss.call("ListQueues"))["queues"] == []


async def test_no_queue_is_chosen_before_somebody_chooses(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    for queue in (ACTIONS_QUEUE, "mail"):
        await call("PUSH", queue=queue, data=1)
    await loaded.runtime_data.coordinator.async_refresh()
    for kind, offered in (("uplink", ["mail"]), ("feed", [ACTIONS_QUEUE, "mail"]), ("worker", [ACTIONS_QUEUE, "mail"])):
        flow = await hass.config_entries.subentries.async_init((loaded.entry_id, kind), context={"source": SOURCE_USER})
        ((key, selector),) = [each for each in flow["data_schema"].schema.items() if each[0] == "queue"]
        assert key.description == {"suggested_value": ""}
        assert selector.config["options"] == offered
    to = f"tcp://127.0.0.1:{free_port()}"
    empty = await try_subentry(hass, loaded, "uplink", {"queue": "", "to": to, **PLAIN})
    assert empty["errors"] == {"queue": "invalid_queue"}
    actions = await try_subentry(hass, loaded, "uplink", {"queue": ACTIONS_QUEUE, "to": to, **PLAIN})
    assert actions["errors"] == {"queue": "queue_of_actions"}
    web = await try_subentry(hass, loaded, "uplink", {"queue": "mail", "to": "http://central:6790", **PLAIN})
    assert web["errors"] == {"base": "refused"}
    assert "goes to a hub, not to http://" in web["description_placeholders"]["error"]
    assert "write t" in web["description_placeholders"]["error"]


async def test_one_that_somebody_else_removed_is_a_repair(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    to = f"tcp://127.0.0.1:{free_port()}"
    subentry_id = await add_subentry(hass, loaded, "uplink", {"queue": "up", "to": to, **PLAIN})
    await loaded.runtime_data.coordinator.async_refresh()
    issue = f"no_forwarder_{loaded.entry_id}_{subentry_id}"
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue) is None
    await call("ForwarderDelete", name="up")
    await loaded.runtime_data.coordinator.async_refresh()
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue) is not None
    await change_subentry(hass, loaded, subentry_id, {"to": to, **PLAIN})
    await loaded.runtime_data.coordinator.async_refresh()
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue) is None


async def test_one_that_is_removed_while_the_hub_is_away_goes_when_it_is_back(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    hub = hub_process(tmp_path, http_port=free_port())
    with hub:
        entry = MockConfigEntry(domain=DOMAIN, title="Home", unique_id=hub.hub_id, data={"url": url_of(hub)})
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        to = f"tcp://127.0.0.1:{free_port()}"
        subentry_id = await add_subentry(hass, entry, "uplink", {"queue": "up", "to": to, **PLAIN})
        await add_subentry(hass, entry, "uplink", {"queue": "stays", "to": to, **PLAIN})
        hub.kill()
        await until_state(hass, "binary_sensor.home_connection", "off")
        hass.config_entries.async_remove_subentry(entry, subentry_id)
        await hass.async_block_till_done()
        assert entry.state is ConfigEntryState.SETUP_RETRY
        hub.start()
        assert await hass.config_entries.async_reload(entry.entry_id)
        call = entry.runtime_data.client.call
        assert [each["name"] for each in await forwarders(call)] == ["stays"]

        # the entry goes, and its forwarders with it
        await hass.config_entries.async_remove(entry.entry_id)
        again = MockConfigEntry(domain=DOMAIN, title="Home", unique_id=hub.hub_id, data={"url": url_of(hub)})
        again.add_to_hass(hass)
        assert await hass.config_entries.async_setup(again.entry_id)
        assert await forwarders(again.runtime_data.client.call) == []
        await hass.config_entries.async_unload(again.entry_id)


async def test_an_entry_that_goes_while_the_hub_is_away_leaves_them(
    hass: HomeAssistant, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with hub_process(tmp_path, http_port=free_port()) as hub:
        entry = MockConfigEntry(domain=DOMAIN, title="Home", unique_id=hub.hub_id, data={"url": url_of(hub)})
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        await add_subentry(hass, entry, "uplink", {"queue": "up", "to": "tcp://127.0.0.1:9", **PLAIN})
        hub.kill()
        await hass.config_entries.async_remove(entry.entry_id)
        assert "forwarders stay at the hub names=up" in caplog.text


async def test_one_that_may_not_be_deleted_is_deleted_when_it_may(
    hass: HomeAssistant, guarded: HubProcess, boss: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    reader = (await boss.call("TokenAdd", name="reader", scopes=["read"]))["token"]
    data = {"url": url_of(guarded), "token": "boss"}
    entry = MockConfigEntry(domain=DOMAIN, title="Home", unique_id=guarded.hub_id, data=data)
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    made = {"queue": "up", "to": "tcp://127.0.0.1:9", **PLAIN}
    secure = {**made, "to": "tls://127.0.0.1:9"}
    for said in ({"ca": "no PEM"}, {"certificate": "no PEM"}, {"server_name": "no host"}):
        nonsense = await try_subentry(hass, entry, "uplink", {**secure, "more": {"test": False, **said}})
        assert nonsense["errors"] == {"base": "refused"}, said
    subentry_id = await add_subentry(hass, entry, "uplink", made)
    hass.config_entries.async_update_entry(entry, data={**data, "token": reader})
    await hass.async_block_till_done()
    hass.config_entries.async_remove_subentry(entry, subentry_id)
    await hass.async_block_till_done()
    assert "a forwarder was not deleted name=up code=forbidden" in caplog.text
    assert [each["name"] for each in await forwarders(boss.call)] == ["up"]
    hass.config_entries.async_update_entry(entry, data=data)
    await hass.async_block_till_done()
    assert await forwarders(boss.call) == []
    await hass.config_entries.async_unload(entry.entry_id)
