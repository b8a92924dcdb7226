"""What Home Assistant keeps for a hub: of actions and readings, whatever is away, slow, full, killed or another one."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from custom_components.hubqueue import outbox, outbox_file, outbox_sender
from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.keeping import KEEPINGS, Keeping, async_forget_keeping
from custom_components.hubqueue.outbox_file import OutboxFile, Put
from custom_components.hubqueue.repairs import async_create_fix_flow
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState, ConfigSubentryData
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until, until_async

from conftest import hub_process, url_of
from support.disk import fill, small
from support.hub_process import HubProcess
from support.ports import free_port

FEED = {"name": "Readings", "queue": "readings", "target": {"entity_id": ["sensor.t"]}, "filter": {}, "job": {}}


@pytest.fixture
def own(tmp_path: Path, ours: None) -> Iterator[HubProcess]:
    """A hub of the test's own, at a port that stays the same; it runs."""
    folder = tmp_path / "hub"
    folder.mkdir()
    with hub_process(folder, http_port=free_port()) as hub:
        yield hub


@pytest.fixture
async def home(hass: HomeAssistant, own: HubProcess) -> AsyncIterator[MockConfigEntry]:
    """An entry of that hub with a feed of sensor.t; not set up."""
    feed = ConfigSubentryData(data=FEED, subentry_type="feed", title="Readings", unique_id=None)
    entry = MockConfigEntry(
        domain=DOMAIN, title="Home", unique_id=own.hub_id, data={"url": url_of(own)}, subentries_data=[feed]
    )
    entry.add_to_hass(hass)
    yield entry
    if entry.state.recoverable and entry.state is not ConfigEntryState.NOT_LOADED:
        await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()


def keeping_of(hass: HomeAssistant, entry: MockConfigEntry) -> Keeping:
    return hass.data[KEEPINGS][entry.entry_id]


def file_of(hass: HomeAssistant, entry: MockConfigEntry) -> Path:
    return Path(hass.config.path(".storage", f"hubqueue.{entry.entry_id}.outbox"))


async def enqueue(hass: HomeAssistant, name: str = "enqueue", /, **fields: Any) -> dict[str, Any]:
    new = {} if name == "get_job" else {"create": True}
    answer = await hass.services.async_call(DOMAIN, name, {**new, **fields}, blocking=True, return_response=True)
    assert answer is not None
    return dict(answer)


async def listed(entry: MockConfigEntry, queue: str) -> list[dict[str, Any]]:
    found = (await entry.runtime_data.client.call("GetJobs", queue=queue, limit=1000))["jobs"]
    return sorted(found, key=lambda job: job["createdAt"])


async def until_sent(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Nothing waits, and the file is gone."""
    kept = keeping_of(hass, entry).outbox
    await until(lambda: kept.waiting == 0 and not file_of(hass, entry).exists(), "all sent, and noted")


async def load_anew(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """As Home Assistant does when it starts, with what is on the disk now."""
    await hass.data[KEEPINGS].pop(entry.entry_id).async_close()
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()


async def test_before_the_hub_was_ever_reached_nothing_is_lost(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    own.kill()
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done()
    assert home.state is ConfigEntryState.SETUP_RETRY
    for state in range(5):
        hass.states.async_set("sensor.t", str(state))
    one = await enqueue(hass, queue="mail", data=1)
    many = await enqueue(hass, "enqueue_many", queue="mail", jobs=[{"data": 2}, {"data": 3, "job_id": "mine"}])
    run = await enqueue(hass, "run_action", action="test.nothing", queue="calls")
    assert one == {"id": one["id"], "kept": True}
    assert many == {"ids": [many["ids"][0], "mine"], "kept": True}
    assert run["kept"]
    with pytest.raises(HomeAssistantError) as refused:
        await enqueue(hass, "get_job", job_id=one["id"])
    assert refused.value.translation_key == "cannot_connect"
    assert not isinstance(refused.value, ServiceValidationError)
    left = OutboxFile(file_of(hass, home), own.hub_id).load()  # synced when the actions ended
    assert [put.queue for put in left.puts].count("mail") == 2
    own.start()
    assert await hass.config_entries.async_reload(home.entry_id)
    await until_sent(hass, home)
    assert [job["id"] for job in await listed(home, "mail")] == [one["id"], *many["ids"]]
    assert [job["data"]["state"] for job in await listed(home, "readings")] == ["0", "1", "2", "3", "4"]
    assert [job["id"] for job in await listed(home, "calls")] == [run["id"]]


async def test_a_hub_that_is_there_costs_no_write(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_sender, "MOMENT_S", 60.0)  # this machine may be slow
    monkeypatch.setattr("custom_components.hubqueue.outbox_keeper.MOMENT_S", 60.0)
    assert await hass.config_entries.async_setup(home.entry_id)
    for number in range(20):
        assert "kept" not in await enqueue(hass, queue="mail", data=number)
        hass.states.async_set("sensor.t", str(number))
    tally = keeping_of(hass, home).feeds.by_id[next(iter(home.subentries))].tally
    await until(lambda: tally.sent == 20, "sent")
    keeper = keeping_of(hass, home).outbox.keeper
    assert (keeper.writes, file_of(hass, home).exists()) == (0, False)
    await hass.config_entries.async_unload(home.entry_id)
    assert (keeper.writes, file_of(hass, home).exists()) == (0, False)


async def test_a_hub_that_hangs_keeps_nobody_waiting_and_gets_each_job_once(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    assert await hass.config_entries.async_setup(home.entry_id)
    os.kill(own.pid, signal.SIGSTOP)
    try:
        answers = [await enqueue(hass, queue="mail", data=number) for number in range(3)]
        mine = await enqueue(hass, queue="mail", data=3, job_id="mine")
        hass.states.async_set("sensor.t", "1")
        await hass.async_block_till_done()
        assert all(answer["kept"] for answer in (*answers, mine))
    finally:
        os.kill(own.pid, signal.SIGCONT)
    await until_sent(hass, home)
    assert [job["data"] for job in await listed(home, "mail")] == [0, 1, 2, 3]
    assert len(await listed(home, "readings")) == 1


async def test_a_hub_that_is_killed_before_it_answers_gets_each_job_once(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the commit: the answer is thrown away here, as a link that breaks would."""
    assert await hass.config_entries.async_setup(home.entry_id)
    client = home.runtime_data.client
    sent = client.call

    async def lose_the_answer(self: Any, cmd: str, *given: Any, **fields: Any) -> Any:
        answer = await sent(cmd, *given, **fields)
        if cmd == "PUSHB":
            monkeypatch.undo()
            own.kill()
            raise outbox_sender.LinkDownError("The link went down")
        return answer

    monkeypatch.setattr(type(client), "call", lose_the_answer)
    both = await asyncio.gather(
        enqueue(hass, queue="mail", data=1, unique_key="k", replace=True), enqueue(hass, queue="mail", job_id="mine")
    )
    assert all(answer["kept"] for answer in both)
    own.start()
    await until_sent(hass, home)
    assert sorted(job["id"] for job in await listed(home, "mail")) == sorted(answer["id"] for answer in both)


async def test_killed_before_it_was_noted_it_is_sent_again_and_is_there_once(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry, tmp_path: Path
) -> None:
    """Of a hub that has done it meanwhile, or has forgotten its id; and with an id of one's own, too."""
    own.kill()
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done()
    await enqueue(hass, queue="mail", data=1)
    await enqueue(hass, queue="mail", data=2, job_id="mine")
    hass.states.async_set("sensor.t", "1")
    await keeping_of(hass, home).async_close()
    before = tmp_path / "before"
    shutil.copy(file_of(hass, home), before)
    own.start()
    await load_anew(hass, home)
    await until_sent(hass, home)
    client = home.runtime_data.client
    for queue in ("mail", "mail", "readings"):
        job = await client.call("PULL", queue=queue, owner="test")
        await client.call("ACK", id=job["job"]["id"], token=job["token"])
    shutil.copy(before, file_of(hass, home))
    await load_anew(hass, home)
    await until_sent(hass, home)
    assert [job["state"] for job in await listed(home, "mail")] == ["completed", "completed"]
    assert [job["state"] for job in await listed(home, "readings")] == ["completed"]
    # a backup that is older than what the hub remembers of ids
    left = OutboxFile(before, own.hub_id).load()
    old = [Put(each.number, each.queue, each.of, each.made_ms - 2 * 3_600_000, each.jobs) for each in left.puts]
    OutboxFile(file_of(hass, home), own.hub_id).append([each for each in old if b"mine" not in each.jobs], [], [])
    await load_anew(hass, home)
    await until_sent(hass, home)
    assert [job["state"] for job in await listed(home, "mail")] == ["completed", "completed"]
    assert [job["state"] for job in await listed(home, "readings")] == ["completed"]


async def test_an_id_of_ones_own_that_was_used_before_is_a_new_job(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    assert await hass.config_entries.async_setup(home.entry_id)
    await enqueue(hass, queue="mail", data=1, job_id="mine")
    client = home.runtime_data.client
    job = await client.call("PULL", queue="mail", owner="test")
    await client.call("ACK", id="mine", token=job["token"])
    own.kill()
    await until(lambda: not client.connected, "away")
    assert (await enqueue(hass, queue="mail", data=2, job_id="mine"))["kept"]
    own.start()
    await load_anew(hass, home)
    await until_sent(hass, home)
    assert (await listed(home, "mail"))[-1]["data"] == 2


async def test_what_a_newer_one_replaces_never_comes_after_it(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    """The hub has had both, has done the newer one and has forgotten the older one; neither was noted here."""
    jobs = [
        {"customId": f"once:{data}", "data": data, "uniqueKey": "k", "dedup": {"replace": True}}
        for data in ("on", "off")
    ]
    file_of(hass, home).parent.mkdir(exist_ok=True)
    puts = [Put(at, "lights", None, 1_900_000_000_000, outbox_file.text_of([job])) for at, job in enumerate(jobs, 1)]
    OutboxFile(file_of(hass, home), own.hub_id).append(puts, [], [])
    assert await hass.config_entries.async_setup(home.entry_id)
    await until_sent(hass, home)
    assert [job["data"] for job in await listed(home, "lights")] == ["off"]


async def test_a_delay_counts_from_when_the_action_was_called(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    assert await hass.config_entries.async_setup(home.entry_id)
    client = home.runtime_data.client
    own.kill()
    await until(lambda: not client.connected, "away")
    id = (await enqueue(hass, queue="mail", delay=600))["id"]
    (entry,) = keeping_of(hass, home).outbox.entries()
    assert entry.made_s is not None
    entry.made_s -= 300  # it has waited for five minutes, whatever the clock says
    own.start()
    await until_sent(hass, home)
    job = (await client.call("GetJob", id=id))["job"]
    assert job["runAt"] - job["createdAt"] == 600_000
    stored = (await client.call("GetJobs", queue="mail"))["jobs"][0]
    assert stored["createdAt"] < entry.made_ms - 290_000


async def test_a_command_of_an_old_backup_is_a_dead_letter_and_never_done(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    file_of(hass, home).parent.mkdir(exist_ok=True)
    made_ms = time.time_ns() // 1_000_000 - 7_200_000
    job = {"customId": "once:old", "data": "open", "keepTrying": 3_600_000}
    puts = [Put(1, "gate", None, made_ms, outbox_file.text_of([job]))]
    OutboxFile(file_of(hass, home), own.hub_id).append(puts, [], [])
    assert await hass.config_entries.async_setup(home.entry_id)
    await until_sent(hass, home)
    client = home.runtime_data.client

    async def dead() -> bool:
        found = (await client.call("GetJob", id="once:old"))["job"]
        return (found["state"], found.get("reason"), found["attempts"]) == ("failed", "ttl_expired", 0)

    await until_async(dead, "a dead letter")
    assert (await client.call("PULL", queue="gate", owner="test"))["job"] is None


async def test_what_waits_has_the_time_of_the_hub_whatever_our_clock_says(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour ahead of the hub's: nothing is delayed by an hour, and what was made first is first."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 3_600 * 10**9)
    assert await hass.config_entries.async_setup(home.entry_id)
    client = home.runtime_data.client
    kept = keeping_of(hass, home).outbox
    own.kill()
    await until(lambda: not client.connected, "away")
    await enqueue(hass, queue="mail", data=1)
    own.start()
    await until_sent(hass, home)
    await enqueue(hass, queue="mail", data=2)
    (feed_id,) = home.subentries
    ahead = {"customId": "once:3", "data": 3, "timestamp": now() // 1_000_000 + 3_600_000}
    kept.offer("mail", feed_id, json.dumps(ahead).encode())
    await until_sent(hass, home)
    got = [(await client.call("PULL", queue="mail", owner="test"))["job"]["data"] for _ in range(3)]
    assert got == [1, 2, 3]


async def test_what_the_caller_can_change_is_said_at_once_without_the_hub(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    own.kill()
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done()
    for fields in ({"data": {"bad": float("nan")}}, {"data": {"bad": {1}}}, {"name": "x" * 257}, {"name": ""},
                   {"job_id": "x" * 1025}, {"unique_key": "x" * 1025}, {"group": "x" * 257}):  # fmt: skip
        with pytest.raises(ServiceValidationError) as refused:
            await enqueue(hass, queue="mail", **fields)
        assert refused.value.translation_key == "refused"
    assert keeping_of(hass, home).outbox.waiting == 0


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
