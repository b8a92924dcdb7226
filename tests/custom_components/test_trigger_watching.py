"""Triggers that watch: jobs that end, a queue that fills, links; and conditions on them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from automations import Actions, automate, heard, until_at_hub, until_job
from custom_components.hubqueue import condition as conditions
from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.endings import Endings
from custom_components.hubqueue.errors import LinkDownError
from custom_components.hubqueue.hubs import async_hub, async_queue
from custom_components.hubqueue.trigger import TRIGGERS
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConditionError
from homeassistant.helpers import condition, trigger
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.condition import async_from_config, async_validate_condition_config
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until, until_state

from conftest import Call, hub_process, url_of
from support.ports import free_port
from support.waiting import soon

TELL = """
- id: tell
  mode: queued
  max: 100
  triggers: [{{trigger: hubqueue.{trigger}, options: {options}}}]
  actions: [{{event: told, event_data: {{trigger: '{{{{ trigger }}}}'}}}}]
"""


async def told(hass: HomeAssistant, kind: str, options: str = "{}") -> list[dict[str, Any]]:
    """The `trigger` of each run of an automation, from now on."""
    events = heard(hass, "told")
    await automate(hass, TELL.format(trigger=kind, options=options))
    return events


async def subscribed(loaded: MockConfigEntry) -> None:
    """Once the hub knows that somebody listens."""
    client = loaded.runtime_data.client
    await until(lambda: bool(client._seen.asked) and not client._tasks, "subscribed")


async def end(call: Call, queue: str, **how: Any) -> str:
    """Run a job elsewhere, to its end."""
    reply = await call("PULL", queue=queue, owner="test")
    if "error" in how:
        await call("FAIL", id=reply["job"]["id"], token=reply["token"], unrecoverable=True, **how)
    else:
        await call("ACK", id=reply["job"]["id"], token=reply["token"], **how)
    return str(reply["job"]["id"])


async def test_a_job_that_is_completed_anywhere_is_told(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    events = await told(hass, "job_completed", "{queue: mail}")
    await subscribed(loaded)
    await call("PUSHB", queue="mail", jobs=[{"name": "send", "data": 1}, {"name": "send", "removeOnComplete": True}])
    await call("PUSH", queue="other", name="send")
    ids = [await end(call, "mail", result={"sent": True}), await end(call, "other"), await end(call, "mail", result=2)]
    await until(lambda: len(events) == 2, "told")
    jobs = [each["trigger"]["job"] for each in events]
    assert [(job["id"], job["result"]) for job in jobs] == [(ids[0], {"sent": True}), (ids[2], 2)]
    assert (jobs[0]["name"], jobs[0]["data"]) == ("send", 1)
    assert events[0]["trigger"]["queue"] == "mail"
    assert events[0]["trigger"]["config_entry_id"] == loaded.entry_id


async def test_a_dead_letter_is_told_and_a_failed_attempt_is_not(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    events = await told(hass, "job_dead_lettered")
    await subscribed(loaded)
    await call("PUSH", queue="mail", name="send", data={"to": "ada"}, maxAttempts=2, backoff=1)
    for _ in range(2):
        reply = await call("PULL", queue="mail", owner="test", timeout=30_000)
        await call("FAIL", id=reply["job"]["id"], token=reply["token"], error="no route")
    await until(lambda: bool(events), "told")
    job = events[0]["trigger"]["job"]
    assert (job["data"], job["error"], job["reason"], job["attempts_made"]) == (
        {"to": "ada"},
        "no route",
        "max_attempts_exceeded",
        2,
    )
    await call("PUSH", queue="mail", name="send")
    await end(call, "mail", error="again")
    await until(lambda: len(events) == 2, "told again")
    assert len(events) == 2


async def test_dead_letters_of_a_gap_are_told_once(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    """A hub that was killed may have buried a job nobody was told of."""
    told_jobs: list[dict[str, Any]] = []
    endings = Endings(loaded.runtime_data, None, "failed", told_jobs.append)
    endings.start()
    await subscribed(loaded)
    endings._last_ms -= 60_000
    await call("PUSHB", queue="mail", jobs=[{"name": "send"}] * 3)
    known = await end(call, "mail", error="told")
    await until(lambda: len(told_jobs) == 1, "the first is told")
    endings._unsubscribe()
    missed = [await end(call, "mail", error="missed") for _ in range(2)]
    endings._unsubscribe = lambda: None
    for _ in range(2):
        endings._heard({"eventType": "gap", "queue": "", "missed": None})
    await until(lambda: len(told_jobs) == 3 and endings._waiting.empty(), "the others are told")
    assert [job["id"] for job in told_jobs] == [known, *missed]
    assert [job["error"] for job in told_jobs] == ["told", "missed", "missed"]
    endings.close()


async def test_dead_letters_are_looked_for_again_after_a_break(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one page of them, and the link goes down in between."""
    monkeypatch.setattr("custom_components.hubqueue.endings.PAGE", 2)
    told_jobs: list[dict[str, Any]] = []
    endings = Endings(loaded.runtime_data, "mail", "failed", told_jobs.append)
    endings._last_ms -= 60_000
    await call("PUSHB", queue="mail", jobs=[{"name": "send"}] * 5)
    dead = [await end(call, "mail", error="missed") for _ in range(5)]
    ask = loaded.runtime_data.client.call
    asked: list[str] = []

    async def breaking(_: object, cmd: str, *arguments: Any, **fields: Any) -> Any:
        asked.append(cmd)
        if len(asked) == 2:
            raise LinkDownError("down")
        return await ask(cmd, *arguments, **fields)

    monkeypatch.setattr(loaded.runtime_data.client.__class__, "call", breaking)
    await endings._missed(endings._last_ms)
    assert [job["id"] for job in told_jobs] == dead


async def test_more_endings_than_can_wait_are_said(
    hass: HomeAssistant, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("custom_components.hubqueue.endings.MOST_BEHIND", 1)
    endings = Endings(loaded.runtime_data, "mail", "completed", lambda _: None)
    for n in range(2):
        endings._heard({"eventType": "completed", "queue": "mail", "jobId": str(n), "timestamp": 1.0})
    assert "more jobs end than automations can be told of" in caplog.text


async def test_more_dead_letters_than_can_wait_are_told_all_the_same(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.hubqueue.endings.MOST_BEHIND", 2)
    told_jobs: list[dict[str, Any]] = []
    endings = Endings(loaded.runtime_data, None, "failed", told_jobs.append)
    endings.start()
    await subscribed(loaded)
    await call("PUSHB", queue="mail", jobs=[{"name": "send", "maxAttempts": 1}] * 20)
    jobs = await call("PULLB", queue="mail", count=20, owner="test")
    fails = zip(jobs["jobs"], jobs["tokens"], strict=True)
    await asyncio.gather(*(call("FAIL", id=job["id"], token=token, error="no") for job, token in fails))
    await until(lambda: len(told_jobs) == 20, "all are told")
    assert len({job["id"] for job in told_jobs}) == 20
    endings.close()


@pytest.mark.usefixtures("all_entities")
async def test_a_job_that_expires_is_told_with_what_was_in_it(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    events = await told(hass, "job_expired", "{queue: mail}")
    await subscribed(loaded)
    await call("Pause", queue="mail")
    await hass.services.async_call(
        DOMAIN, "enqueue", {"queue": "mail", "name": "say", "data": {"message": "Dinner"}, "ttl": 1}, blocking=True
    )
    await until(lambda: bool(events), "told")
    job = events[0]["trigger"]["job"]
    assert (job["name"], job["data"], job["state"]) == ("say", {"message": "Dinner"}, "expired")
    assert (events[0]["trigger"]["queue"], events[0]["trigger"]["config_entry_id"]) == ("mail", loaded.entry_id)
    await until_state(hass, "sensor.mail_expired", "1")
    await until(lambda: hass.states.get("event.mail_outcome").attributes.get("event_type") == "expired", "an event")


async def test_what_expires_while_the_link_is_down_is_told_when_it_is_back(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    events = await told(hass, "job_expired")
    await subscribed(loaded)
    await call("Pause", queue="mail")
    client = loaded.runtime_data.client
    await client._drop()
    await call("PUSH", queue="mail", name="say", ttl=1)
    await until_at_hub(lambda: _expired(call), "it has expired")
    await until(lambda: bool(events), "told")
    assert [each["trigger"]["job"]["name"] for each in events] == ["say"]


async def _expired(call: Call) -> bool:
    return any(queue["expired"] for queue in (await call("Overview"))["queues"])


async def test_what_is_kept_trying_ends_as_a_dead_letter_that_says_why(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    """As somebody writes it: an automation that fails, and one that tells of dead letters."""
    Actions(hass)
    events = heard(hass, "told")
    await automate(
        hass,
        """
- triggers: [{trigger: hubqueue.job_received, options: {queue: mail}}]
  actions: [{action: test.bad}]
- mode: queued
  triggers: [{trigger: hubqueue.job_dead_lettered, options: {queue: mail}}]
  actions: [{event: told, event_data: {trigger: '{{ trigger }}'}}]
""",
    )
    await subscribed(loaded)
    fields = {"queue": "mail", "data": 1, "keep_trying": 1.5, "backoff": {"milliseconds": 100}}
    await hass.services.async_call(DOMAIN, "enqueue", fields, blocking=True)
    await until(lambda: bool(events), "told")
    job = events[0]["trigger"]["job"]
    assert (job["state"], job["reason"], job["data"]) == ("failed", "ttl_expired", 1)
    assert job["attempts_made"] > 1
    (entry,) = (await call("Dlq", queue="mail"))["entries"]
    assert entry["attempts"][-1]["error"]
    assert entry["attempts"][-1]["error"] in job["error"]
    await until(lambda: any(key[1].startswith("dead_letters") for key in ir.async_get(hass).issues), "a repair")


async def test_a_backlog_is_told_once_until_it_was_gone(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    events = await told(hass, "queue_backlog", "{queue: mail, above: 1}")
    await call("PUSHB", queue="mail", jobs=[{"name": "send"}] * 2)
    await until(lambda: len(events) == 1, "told")
    assert (events[0]["trigger"]["queue"], events[0]["trigger"]["waiting"]) == ("mail", 2)
    await call("PUSH", queue="mail", name="send")
    await until_state(hass, "sensor.mail_waiting", "3")
    await call("Drain", queue="mail")
    await until_state(hass, "sensor.mail_waiting", "0")
    assert len(events) == 1
    await call("PUSHB", queue="mail", jobs=[{"name": "send"}] * 5)
    await until(lambda: len(events) == 2, "told again")


async def test_a_backlog_that_does_not_last_is_not_told(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    events = await told(hass, "queue_backlog", "{queue: mail, above: 0, for: {hours: 1}}")
    await call("PUSH", queue="mail", name="send")
    await until_state(hass, "sensor.mail_waiting", "1")
    await call("Drain", queue="mail")
    await until_state(hass, "sensor.mail_waiting", "0")
    assert events == []


async def test_the_link_with_the_hub_goes_down_and_comes_back(hass: HomeAssistant, tmp_path: Path) -> None:
    """The hub is killed and started again; the entry stays."""
    downs, ups = heard(hass, "down"), heard(hass, "up")
    await automate(
        hass,
        """
- triggers: [{trigger: hubqueue.link_down}]
  actions: [{event: down}]
- triggers: [{trigger: hubqueue.link_up}]
  actions: [{event: up}]
- triggers: [{trigger: hubqueue.link_up, options: {config_entry_id: another}}]
  actions: [{event: up}]
""",
    )
    with hub_process(tmp_path, http_port=free_port()) as hub:
        entry = MockConfigEntry(domain=DOMAIN, title="Home", unique_id=hub.hub_id, data={"url": url_of(hub)})
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
        assert (len(downs), len(ups)) == (0, 0)
        await asyncio.to_thread(hub.kill)
        await until(lambda: len(downs) == 1, "down")
        await asyncio.to_thread(hub.start)
        await until(lambda: len(ups) == 1, "up")
        assert await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()
        assert (len(downs), len(ups)) == (1, 1)  # a reload is no break
        await hass.config_entries.async_unload(entry.entry_id)


async def test_the_link_of_a_forwarder_goes_up_and_down(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    downs, ups = heard(hass, "down"), heard(hass, "up")
    await automate(
        hass,
        """
- triggers: [{trigger: hubqueue.link_down, options: {forwarder: central}}]
  actions: [{event: down, event_data: {forwarder: '{{ trigger.forwarder }}'}}]
- triggers: [{trigger: hubqueue.link_up, options: {forwarder: central}}]
  actions: [{event: up}]
""",
    )
    port = free_port()
    tcp = ("--tcp-port", str(port))
    await call("ForwarderPut", name="central", queue="readings", to=f"tcp://127.0.0.1:{port}")
    links = loaded.runtime_data.coordinator

    def link() -> str:
        return links.data.links["central"].link if "central" in links.data.links else ""

    await links.async_refresh()
    await until(lambda: link() in ("down", "probing"), "tried")
    with hub_process(tmp_path, *tcp) as central:
        await until(lambda: link() == "up", "up")
        await until(lambda: len(ups) == 1, "told")
        check = await compiled(hass, "link_is_up", {"forwarder": "central"})
        assert check.async_check()
        await asyncio.to_thread(central.kill)
        await until(lambda: len(downs) == 1, "down")
        assert downs == [{"forwarder": "central"}]
        assert not check.async_check()


async def compiled(hass: HomeAssistant, name: str, options: dict[str, Any]) -> Any:
    assert await async_setup_component(hass, "automation", {})
    config = cv.CONDITION_SCHEMA({"condition": f"hubqueue.{name}", "options": options})
    return await async_from_config(hass, await async_validate_condition_config(hass, config))


async def test_a_queue_is_paused_or_empty(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    paused = await compiled(hass, "queue_is_paused", {"queue": "mail"})
    empty = await compiled(hass, "queue_is_empty", {"queue": "mail"})
    assert (paused.async_check(), empty.async_check()) == (False, True)
    await call("PUSH", queue="mail", name="send")
    await call("Pause", queue="mail")
    await until_state(hass, "switch.mail_paused", "on")
    assert (paused.async_check(), empty.async_check()) == (True, False)


async def test_what_cannot_be_known_is_not_so(
    hass: HomeAssistant, call: Call, entry: MockConfigEntry, hub: object
) -> None:
    checks = [
        await compiled(hass, name, {"queue": "mail"} if name != "link_is_up" else {}) for name in conditions.CONDITIONS
    ]
    assert [check.async_check() for check in checks] == [False, False, False]
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert [check.async_check() for check in checks] == [False, True, True]
    client = entry.runtime_data.client
    await client._connection._socket.close()
    await until(lambda: not client.connected, "down")
    assert [check.async_check() for check in checks] == [False, False, False]
    await soon(client.up())
    await hass.config_entries.async_unload(entry.entry_id)
    assert [check.async_check() for check in checks] == [False, False, False]


async def test_a_condition_says_when_it_cannot_tell(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    hass.config_entries.async_update_entry(loaded, options={"queues": ["mail"]})
    await hass.async_block_till_done()
    with pytest.raises(ConditionError, match="not among the queues to show"):
        async_queue(loaded, "other")
    MockConfigEntry(domain=DOMAIN, title="Other", unique_id="other", data={}).add_to_hass(hass)
    with pytest.raises(ConditionError, match="several hubs"):
        async_hub(hass, None)
    assert async_hub(hass, loaded.entry_id) is loaded


async def test_a_condition_of_an_automation_is_seen_when_a_job_comes(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    await automate(
        hass,
        """
- triggers: [{trigger: hubqueue.job_received, options: {queue: mail}}]
  conditions: [{condition: hubqueue.queue_is_paused, options: {queue: other}}]
  actions: [{event: never}]
""",
    )
    id = (await call("PUSH", queue="mail", name="send"))["id"]
    await until_job(call, id, state="delayed", attempts=0)


async def test_home_assistant_describes_them(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    assert await async_setup_component(hass, "automation", {})
    await hass.async_block_till_done()
    triggers = await trigger.async_get_all_descriptions(hass)
    described = {key for key, value in triggers.items() if key.startswith("hubqueue.") and value}
    assert described == {f"hubqueue.{key}" for key in TRIGGERS}
    found = await condition.async_get_all_descriptions(hass)
    assert {key for key, value in found.items() if key.startswith("hubqueue.") and value} == {
        f"hubqueue.{key}" for key in conditions.CONDITIONS
    }
