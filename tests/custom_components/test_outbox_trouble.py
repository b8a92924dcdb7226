"""What Home Assistant keeps for a hub when something is wrong: refused, full, unreadable, another hub, removed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from custom_components.hubqueue import outbox, outbox_keeper, outbox_sender
from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.errors import HubError
from custom_components.hubqueue.keeping import KEEPINGS, async_forget_keeping, async_keeping
from custom_components.hubqueue.outbox_file import OutboxFile, Put
from custom_components.hubqueue.repairs import async_create_fix_flow
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from outboxes import enqueue, file_of, keeping_of, listed, load_anew, until_sent
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until

from conftest import hub_process, url_of
from support.disk import fill, small
from support.hub_process import HubProcess
from support.ports import free_port


async def test_one_that_the_hub_will_never_take_stops_nobody_and_is_told(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    own.kill()
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done()
    kept = keeping_of(hass, home).outbox
    await enqueue(hass, queue="mail", data=1)
    await kept.async_put("mail", [{"customId": "once:bad", "data": 2, "priority": 10**9}])  # no schema of ours lets it
    await enqueue(hass, queue="mail", data=3)
    own.start()
    assert await hass.config_entries.async_reload(home.entry_id)
    await until(lambda: kept.waiting == 0, "sent")
    assert [job["data"] for job in await listed(home, "mail")] == [1, 3]
    issue_id = f"outbox_refused_{home.entry_id}_-"
    await until(lambda: ir.async_get(hass).async_get_issue(DOMAIN, issue_id) is not None, issue_id)
    await load_anew(hass, home)  # the count and the words are kept
    issue = ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
    assert issue is not None
    assert issue.translation_placeholders is not None
    assert (issue.translation_placeholders["count"], issue.translation_placeholders["queue"]) == ("1", "mail")
    assert "priority" in issue.translation_placeholders["error"]
    flow = await async_create_fix_flow(hass, issue_id, issue.data)
    flow.hass, flow.flow_id, flow.handler = hass, "x", DOMAIN
    assert (await flow.async_step_init())["type"] == "form"
    assert (await flow.async_step_confirm({}))["type"] == "create_entry"
    await until(lambda: not ir.async_get(hass).issues, "no issue")
    await until_sent(hass, home)


async def test_what_a_hub_that_is_there_does_not_take_is_said_after_a_while(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    assert await hass.config_entries.async_setup(home.entry_id)
    client = home.runtime_data.client
    await client.call("PUSH", queue="mail", data=0, groupId="g", groupMaxSize=1)
    kept = keeping_of(hass, home).outbox
    sent = await kept.async_put("mail", [{"customId": "once:1", "data": 1, "groupId": "g", "groupMaxSize": 1}])
    assert sent.kept
    assert kept.errors() == {"mail": "queue_full"}
    assert not kept.grown
    (entry,) = kept.entries()
    assert entry.made_s is not None
    entry.made_s -= outbox.REFUSED_S
    issue_id = f"outbox_grown_{home.entry_id}_-"
    await until(lambda: ir.async_get(hass).async_get_issue(DOMAIN, issue_id) is not None, issue_id)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
    assert issue is not None
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["error"] == "queue_full"
    await client.call("Drain", queue="mail")
    await until(lambda: ir.async_get(hass).async_get_issue(DOMAIN, issue_id) is None, "cured")


async def test_a_queue_with_little_room_takes_what_fits(hass: HomeAssistant, tmp_path: Path, ours: None) -> None:
    config = tmp_path / "hubqueue.yaml"
    bound = "queues: {mail: {max_jobs: 3}}"
    config.write_text(f"data_path: {tmp_path}/hub.db\ntcp: {{port: {free_port()}}}\n{bound}\n")
    with hub_process(tmp_path, config=config, http_port=free_port()) as hub:
        entry = MockConfigEntry(domain=DOMAIN, title="Home", unique_id=hub.hub_id, data={"url": url_of(hub)})
        entry.add_to_hass(hass)
        hub.kill()
        assert await async_setup_component(hass, DOMAIN, {})
        await hass.async_block_till_done()
        for number in range(5):
            await enqueue(hass, queue="mail", data=number)
        hub.start()
        await load_anew(hass, entry)
        kept, client = keeping_of(hass, entry).outbox, entry.runtime_data.client
        await until(lambda: kept.waiting == 2, "three are there")
        for _ in range(2):
            job = await client.call("PULL", queue="mail", owner="test")
            await client.call("ACK", id=job["job"]["id"], token=job["token"])
        await until_sent(hass, entry)
        assert [job["data"] for job in await listed(entry, "mail")] == [0, 1, 2, 3, 4]
        await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_block_till_done()


async def test_what_is_too_large_for_one_message_is_refused_at_once(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    """The hub could not say whose it was: it would be sent for ever."""
    assert await hass.config_entries.async_setup(home.entry_id)
    with pytest.raises(ServiceValidationError, match="at a time"):
        await enqueue(hass, "enqueue_many", queue="mail", jobs=[{"data": "x" * 6_000_000}] * 3)
    with pytest.raises(ServiceValidationError, match="at a time"):
        await hass.services.async_call(DOMAIN, "publish", {"channel": "c", "data": "x" * 17_000_000}, blocking=True)
    assert keeping_of(hass, home).outbox.waiting == 0
    assert "kept" not in await enqueue(hass, queue="mail", data=1)


async def test_readings_are_written_together_and_with_an_action_at_once(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_keeper, "MOMENT_S", 60.0)
    own.kill()
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done()
    keeper = keeping_of(hass, home).outbox.keeper
    for state in range(5):
        hass.states.async_set("sensor.t", str(state))
        await asyncio.sleep(2 * outbox_keeper.AT_ONCE_S)
    assert keeper.writes == 0
    await enqueue(hass, queue="mail", data=1)
    assert keeper.writes == 1
    assert len(OutboxFile(file_of(hass, home), own.hub_id).load().puts) == 6


async def test_a_queue_for_which_something_waits_is_known_after_a_restart_too(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    assert await hass.config_entries.async_setup(home.entry_id)
    await until(lambda: home.runtime_data.coordinator.data.complete, "known")
    kept = keeping_of(hass, home).outbox
    kept.detach()  # it takes nothing now
    await kept.async_put("new", [{"customId": "once:1", "data": 1}])
    assert (await enqueue(hass, queue="new", data=2, create=False))["kept"]
    kept.attach(home.runtime_data.client)
    await until_sent(hass, home)
    assert [job["data"] for job in await listed(home, "new")] == [1, 2]


async def test_a_full_outbox_drops_readings_and_tells_actions(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MOST_ENTRIES", 6)
    monkeypatch.setattr(outbox, "GROWN_ENTRIES", 6)
    own.kill()
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done()
    (feed_id,) = home.subentries
    for state in range(8):
        hass.states.async_set("sensor.t", str(state))
    await hass.async_block_till_done()
    assert keeping_of(hass, home).feeds.by_id[feed_id].tally.dropped == 2
    for number in range(6):
        await enqueue(hass, queue="mail", data=number)  # for the price of the readings
    assert keeping_of(hass, home).feeds.by_id[feed_id].tally.dropped == 8
    hass.states.async_set("sensor.t", "last")
    await hass.async_block_till_done()
    with pytest.raises(HomeAssistantError) as refused:
        await enqueue(hass, queue="mail", data=6)
    assert refused.value.translation_key == "outbox_full"
    issues = {f"overflow_{home.entry_id}_{feed_id}", f"outbox_grown_{home.entry_id}_-"}
    await until(lambda: {id for _, id in ir.async_get(hass).issues} >= issues, "told")
    own.start()
    await load_anew(hass, home)
    await until(lambda: keeping_of(hass, home).outbox.waiting == 0, "sent")
    assert [job["data"] for job in await listed(home, "mail")] == list(range(6))
    assert keeping_of(hass, home).feeds.by_id[feed_id].tally.dropped == 9  # a restart does not forget them
    await until(lambda: f"outbox_grown_{home.entry_id}_-" not in {id for _, id in ir.async_get(hass).issues}, "cured")


async def test_a_disk_that_is_full_is_said_and_mends(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    own.kill()
    folder = file_of(hass, home).parent
    with small(folder, 1) as disk:
        assert await async_setup_component(hass, DOMAIN, {})
        await hass.async_block_till_done()
        filler = fill(disk)
        with pytest.raises(HomeAssistantError) as refused:
            await enqueue(hass, queue="mail", data=1)
        assert refused.value.translation_key == "outbox_disk"
        hass.states.async_set("sensor.t", "1")
        await hass.async_block_till_done()
        issue_id = f"outbox_disk_{home.entry_id}_-"
        await until(lambda: ir.async_get(hass).async_get_issue(DOMAIN, issue_id) is not None, issue_id)
        filler.unlink()
        assert (await enqueue(hass, queue="mail", data=2))["kept"]
        await until(lambda: ir.async_get(hass).async_get_issue(DOMAIN, issue_id) is None, "mended")
        assert len(OutboxFile(file_of(hass, home), own.hub_id).load().puts) == 2
        own.start()
        assert await hass.config_entries.async_reload(home.entry_id)
        await until_sent(hass, home)
        assert [job["data"] for job in await listed(home, "mail")] == [2]
        assert len(await listed(home, "readings")) == 1
        await hass.data[KEEPINGS].pop(home.entry_id).async_close()
        await hass.config_entries.async_unload(home.entry_id)


async def test_what_cannot_be_read_is_said_and_what_comes_is_kept(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    own.kill()
    file = file_of(hass, home)
    file.parent.mkdir(exist_ok=True)
    OutboxFile(file, "another").append([Put(1, "mail", None, 1, b"[]")], [], [])
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done()
    assert f"outbox_aside_{home.entry_id}_-" in {id for _, id in ir.async_get(hass).issues}
    assert (await enqueue(hass, queue="mail", data=1))["kept"]
    await keeping_of(hass, home).async_close()
    text = file.read_bytes()
    file.write_bytes(text[:-5] + b"?" + text[-4:] + b"12345678 torn")
    own.start()
    await load_anew(hass, home)
    assert f"outbox_damaged_{home.entry_id}_-" in {id for _, id in ir.async_get(hass).issues}
    assert (await enqueue(hass, queue="mail", data=2)) is not None
    assert [job["data"] for job in await listed(home, "mail")] == [2]


async def test_another_hub_at_the_address_gets_nothing(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    """Also one that comes while the entry is loaded."""
    assert await hass.config_entries.async_setup(home.entry_id)
    own.kill()
    await until(lambda: not home.runtime_data.client.connected, "away")
    await enqueue(hass, queue="mail", data=1)
    shutil.rmtree(own.folder)
    own.folder.mkdir()
    with hub_process(own.folder, http_port=own.http_port) as other:
        await until(lambda: home.state is ConfigEntryState.SETUP_ERROR, "left alone")
        assert home.error_reason_translation_key == "another_hub"
        assert keeping_of(hass, home).outbox.waiting == 1
        assert other.hub_id != own.hub_id
        assert (await enqueue(hass, queue="mail", data=2))["kept"]
        hass.states.async_set("sensor.t", "1")
        await hass.async_block_till_done()
        assert keeping_of(hass, home).outbox.waiting == 3


async def test_two_hubs_get_each_their_own(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry, loaded: MockConfigEntry
) -> None:
    own.kill()
    await hass.config_entries.async_reload(home.entry_id)
    assert home.state is ConfigEntryState.SETUP_RETRY
    assert (await enqueue(hass, queue="mail", data="own", config_entry_id=home.entry_id))["kept"]
    assert "kept" not in await enqueue(hass, queue="mail", data="shared", config_entry_id=loaded.entry_id)
    with pytest.raises(ServiceValidationError):
        await enqueue(hass, queue="mail", data="whose?")
    own.start()
    await hass.config_entries.async_reload(home.entry_id)
    await until_sent(hass, home)
    assert [job["data"] for job in await listed(home, "mail")] == ["own"]
    assert [job["data"] for job in await listed(loaded, "mail")] == ["shared"]


async def test_a_disabled_entry_hears_nothing_and_keeps_what_it_had(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    own.kill()
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done()
    hass.states.async_set("sensor.t", "1")
    await hass.config_entries.async_set_disabled_by(home.entry_id, ConfigEntryDisabler.USER)
    await hass.async_block_till_done()
    hass.states.async_set("sensor.t", "2")
    with pytest.raises(ServiceValidationError):
        await enqueue(hass, queue="mail", data=1)
    own.start()
    await hass.config_entries.async_set_disabled_by(home.entry_id, None)
    await hass.async_block_till_done()
    await until_sent(hass, home)
    assert [job["data"]["state"] for job in await listed(home, "readings")] == ["1"]


async def test_an_entry_that_is_removed_takes_its_file_along(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    own.kill()
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done()
    await enqueue(hass, queue="mail", data=1)
    assert file_of(hass, home).exists()
    await hass.config_entries.async_remove(home.entry_id)
    await hass.async_block_till_done()
    assert not file_of(hass, home).exists()
    assert "jobs are dropped as their hub was removed count=1" in caplog.text
    await async_forget_keeping(hass, home)  # nothing is left of it
    with pytest.raises(HubError, match="removed"):  # an action that began before
        await async_keeping(hass, home)
    assert not file_of(hass, home).exists()


async def test_home_assistant_stops_with_all_of_it_on_the_disk(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    assert await hass.config_entries.async_setup(home.entry_id)
    os.kill(own.pid, signal.SIGSTOP)
    try:
        waits = hass.async_create_task(enqueue(hass, queue="mail", data=1))
        hass.states.async_set("sensor.t", "1")
        await until(lambda: keeping_of(hass, home).outbox.waiting == 2, "both wait")
        hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
        assert (await waits)["kept"]
        await until(lambda: len(OutboxFile(file_of(hass, home), own.hub_id).load().puts) == 2, "both on the disk")
    finally:
        os.kill(own.pid, signal.SIGCONT)
    await hass.config_entries.async_unload(home.entry_id)


async def test_ten_thousand_are_sent_in_few_calls(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.kill()
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done()
    kept = keeping_of(hass, home).outbox
    (feed_id,) = home.subentries
    for number in range(10_000):
        kept.offer("readings", feed_id, json.dumps({"customId": f"once:{number}", "data": number}).encode())
    await until(lambda: file_of(hass, home).exists(), "kept")
    await keeping_of(hass, home).async_close()
    own.start()
    calls: list[str] = []
    sent = outbox_sender.HubClient.call

    async def counted(self: Any, cmd: str, *given: Any, **fields: Any) -> Any:
        calls.append(cmd)
        return await sent(self, cmd, *given, **fields)

    monkeypatch.setattr(outbox_sender.HubClient, "call", counted)
    await load_anew(hass, home)
    await until_sent(hass, home)
    assert calls.count("PUSHB") == 50
    client = home.runtime_data.client
    assert (await client.call("GetJobCounts", queue="readings"))["counts"]["waiting"] == 10_000
    first = await client.call("PULLB", queue="readings", owner="test", count=1000)
    assert [job["data"] for job in first["jobs"]] == list(range(1000))
