"""What Home Assistant keeps for a hub reaches it once, in order: whatever is away, slow or killed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from pathlib import Path

import probatio as vol
import pytest
from custom_components.hubqueue import outbox_file, outbox_sender
from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.outbox_file import OutboxFile, Put
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.setup import async_setup_component
from outboxes import enqueue, file_of, keeping_of, listed, load_anew, lose_the_answer, until_sent
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until, until_async

from support.hub_process import HubProcess


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
    many = await enqueue(hass, "enqueue_many", queue="mail", jobs=[{"data": 2}, {"data": 3, "id": "mine"}])
    run = await enqueue(hass, "run_action", action="test.nothing", queue="calls")
    assert one == {"id": one["id"], "kept": True}
    assert many == {"ids": [many["ids"][0], "mine"], "kept": True}
    assert run["kept"]
    with pytest.raises(HomeAssistantError) as refused:
        await enqueue(hass, "get_job", id=one["id"])
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
        mine = await enqueue(hass, queue="mail", data=3, id="mine")
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

    async def kill() -> None:
        own.kill()

    lose_the_answer(home.runtime_data.client, monkeypatch, kill)
    both = await asyncio.gather(
        enqueue(hass, queue="mail", data=1, dedup={"key": "k", "replace": True}), enqueue(hass, queue="mail", id="mine")
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
    await enqueue(hass, queue="mail", data=2, id="mine")
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
    await enqueue(hass, queue="mail", data=1, id="mine")
    client = home.runtime_data.client
    job = await client.call("PULL", queue="mail", owner="test")
    await client.call("ACK", id="mine", token=job["token"])
    own.kill()
    await until(lambda: not client.connected, "away")
    assert (await enqueue(hass, queue="mail", data=2, id="mine"))["kept"]
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


async def test_of_several_that_were_kept_together_only_those_go_that_a_newer_one_replaces(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry
) -> None:
    own.kill()
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done()
    on, off = ({"data": data, "dedup": {"key": "k", "replace": True}} for data in ("on", "off"))
    await enqueue(hass, "enqueue_many", queue="lights", jobs=[on, {"data": 1}, {"data": 2}])
    await enqueue(hass, queue="lights", **off)
    await enqueue(hass, "enqueue_many", queue="twice", jobs=[on, off])
    own.start()
    await load_anew(hass, home)
    await until_sent(hass, home)
    assert [job["data"] for job in await listed(home, "lights")] == [1, 2, "off"]
    assert [job["data"] for job in await listed(home, "twice")] == ["off"]


async def test_what_a_newer_one_has_replaced_does_not_come_again_when_the_answer_was_lost(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub has taken both, and the newer one is being done when both are sent again."""
    assert await hass.config_entries.async_setup(home.entry_id)
    client = home.runtime_data.client
    taken: list[str] = []

    async def take() -> None:
        taken.append((await client.call("PULL", queue="lights", owner="test"))["job"]["data"])

    lose_the_answer(client, monkeypatch, take)
    on, off = ({"data": data, "dedup": {"key": "k", "replace": True}} for data in ("on", "off"))
    await asyncio.gather(enqueue(hass, queue="lights", **on), enqueue(hass, queue="lights", **off))
    await until(lambda: keeping_of(hass, home).outbox.waiting == 0, "sent")
    assert taken == ["off"]
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
    for fields in ({"data": {"bad": float("nan")}}, {"data": {"bad": {1}}}, {"group": "g", "priority": -1},
                   {"group": "\0"}, {"on_failure": "fail"}, {"data": 1, "parent": {"queue": "q", "id": "p"}},
                   {"data": {"__x": 1}, "parent": {"queue": "q", "id": "p"}}):  # fmt: skip
        with pytest.raises(ServiceValidationError) as refused:
            await enqueue(hass, queue="mail", **fields)
        assert refused.value.translation_key == "refused"
    with pytest.raises(ServiceValidationError):
        await enqueue(hass, "run_action", action="test.nothing", group="\0")
    for called in ({"supersede": "x" * 1025}, {"supersede": ""}, {"group": "x" * 257}, {"action": "a." + "x" * 255}):
        with pytest.raises(vol.Invalid):
            await enqueue(hass, "run_action", **{"action": "test.nothing", **called})
    for wrong in ({"delay": {"days": 366}}, {"name": "x" * 257}, {"name": ""}, {"id": "\ud800"}):
        with pytest.raises(vol.Invalid):
            await enqueue(hass, queue="mail", **wrong)
    assert keeping_of(hass, home).outbox.waiting == 0
