"""Jobs that run in Home Assistant, against a real hub: leased, kept, ended, given back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from custom_components.hubqueue.client import HubClient
from custom_components.hubqueue.consumer import Consumer
from custom_components.hubqueue.errors import HubError
from custom_components.hubqueue.outcome import Complete, Fail, Keep, Outcome, Release
from custom_components.hubqueue.run_options import RunOptions
from custom_components.hubqueue.runs import Leased, Runs, async_run_sequence
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse
from homeassistant.helpers.config_validation import SCRIPT_SCHEMA
from homeassistant.helpers.script import Script, async_validate_actions_config
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until

from conftest import Call, url_of
from support.hub_process import HubProcess


class Seen:
    """A run that waits until the test lets it end."""

    def __init__(self, outcome: Outcome | Exception | None = None) -> None:
        self.jobs: list[Leased] = []
        self.outcome: Outcome | Exception = outcome or Complete()
        self.go = asyncio.Event()
        self.stopped = 0

    async def __call__(self, leased: Leased) -> Outcome:
        self.jobs.append(leased)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def runs(loaded: MockConfigEntry) -> Runs:
    found: Runs = loaded.runtime_data.runs
    return found


async def state_of(call: Call, id: str) -> str:
    state: str = (await call("GetState", id=id))["state"]
    return state


async def until_hub(look: Callable[[], Any], what: str) -> None:
    """Wait until the hub says so."""
    found = False
    deadline = asyncio.get_running_loop().time() + 60
    while asyncio.get_running_loop().time() < deadline:
        found = await look()
        if found:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{what}; the last look gave {found!r}")


def in_state(call: Call, id: str, wanted: str) -> Callable[[], Any]:
    async def look() -> bool:
        return await state_of(call, id) == wanted

    return look


async def test_a_job_is_run_and_completed_with_its_result(call: Call, runs: Runs) -> None:
    seen = Seen(Complete({"sent": True}))
    seen.go.set()
    Consumer(runs, "mail", seen).start()
    id = (await call("PUSH", queue="mail", name="send", data={"to": "ada"}))["id"]
    await until_hub(in_state(call, id, "completed"), "completed")
    job = (await call("GetJob", id=id))["job"]
    assert job["returnvalue"] == {"sent": True}
    (leased,) = seen.jobs
    assert leased.variable["data"] == {"to": "ada"}
    assert (leased.variable["attempts"], leased.variable["attempts_made"]) == (3, 0)


@pytest.mark.parametrize(
    ("outcome", "state", "attempts"),
    [
        (Fail("no route"), "delayed", 1),
        (Fail("never", final=True), "failed", 1),
        (Release(60), "delayed", 0),
        (RuntimeError("a defect"), "delayed", 1),
        (Complete({"bad": {1, 2}}), "failed", 1),
        (Complete("half \ud83d"), "failed", 1),
        (Fail("half \ud83d"), "delayed", 1),
    ],
)
async def test_each_outcome_is_told_the_hub(
    call: Call, runs: Runs, outcome: Outcome | Exception, state: str, attempts: int
) -> None:
    seen = Seen(outcome)
    seen.go.set()
    Consumer(runs, "mail", seen).start()
    id = (await call("PUSH", queue="mail", name="send", backoff=300_000))["id"]
    await until_hub(in_state(call, id, state), state)
    assert (await call("GetJob", id=id))["job"]["attempts"] == attempts


async def test_a_job_that_is_kept_is_ended_by_its_token(call: Call, runs: Runs) -> None:
    seen = Seen(Keep(300))
    seen.go.set()
    Consumer(runs, "mail", seen).start()
    id = (await call("PUSH", queue="mail", name="send"))["id"]
    await until(lambda: bool(seen.jobs) and not runs._running, "the run is over")
    assert await state_of(call, id) == "active"
    await call("ACK", id=id, token=seen.jobs[0].token)
    assert await state_of(call, id) == "completed"


async def test_no_more_run_at_a_time_than_wanted(call: Call, runs: Runs) -> None:
    seen = Seen()
    Consumer(runs, "mail", seen, concurrency=2).start()
    await call("PUSHB", queue="mail", jobs=[{"name": "send"}] * 5)
    await until(lambda: len(seen.jobs) == 2, "two run")
    assert (await call("GetJobCounts", queue="mail"))["counts"]["active"] == 2
    seen.go.set()
    await until(lambda: len(seen.jobs) == 5, "all ran")


async def test_names_go_to_the_one_they_are_for(call: Call, runs: Runs) -> None:
    mails, alarms = Seen(), Seen()
    mails.go.set()
    alarms.go.set()
    Consumer(runs, "all", mails, names=["mail.*"]).start()
    Consumer(runs, "all", alarms, names=["alarm"]).start()
    await call("PUSHB", queue="all", jobs=[{"name": name} for name in ("mail.a", "alarm", "mail.b", "alarm")])
    await until(lambda: len(mails.jobs) == len(alarms.jobs) == 2, "each got its own")
    assert {each.name for each in mails.jobs} == {"mail.a", "mail.b"}


async def test_a_job_for_somebody_else_is_passed_on_at_once(call: Call, runs: Runs) -> None:
    """Who has taken it is busy with others; whom it is for waits for a job of its own."""
    mails, alarms = Seen(), Seen()
    first = Consumer(runs, "all", mails, names=["mail"])
    first.start()
    second = Consumer(runs, "all", alarms, names=["alarm"])
    second.start()
    for name in ("alarm", "mail"):
        await call("PUSH", queue="all", name=name)
    await until(lambda: len(mails.jobs) == len(alarms.jobs) == 1, "both run")
    assert not second.adopt(Leased({"id": "none", "name": "alarm", "queue": "all"}, "1.x"))
    alarms.go.set()
    mails.go.set()
    await until(lambda: not runs._running, "both are over")
    second.close()
    assert not second.adopt(Leased({"id": "none", "name": "alarm", "queue": "all"}, "1.x"))


async def test_a_token_that_may_not_work_is_said_once(
    hub: HubProcess, call: Call, runs: Runs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("custom_components.hubqueue.consumer.REFUSED_S", 0.01)
    asked = 0

    async def refused(*_: Any, **__: Any) -> Any:
        nonlocal asked
        asked += 1
        raise HubError("forbidden", "The token does not allow this")

    monkeypatch.setattr(runs.client.__class__, "call", refused)
    consumer = Consumer(runs, "mail", Seen())
    consumer.start()
    await until(lambda: asked > 3, "asked again and again")
    consumer.close()
    assert caplog.text.count("no jobs can be taken") == 1
    monkeypatch.undo()


async def test_a_name_that_nobody_wants_goes_back_uncounted(call: Call, runs: Runs) -> None:
    seen = Seen()
    Consumer(runs, "all", seen, names=["mail"]).start()
    id = (await call("PUSH", queue="all", name="other"))["id"]
    await until_hub(in_state(call, id, "delayed"), "given back")
    assert (await call("GetJob", id=id))["job"]["attempts"] == 0
    assert not seen.jobs


async def test_a_lease_is_kept_and_a_cancelled_run_is_stopped(
    call: Call, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.hubqueue.runs.RENEW_S", 0.05)
    seen = Seen()
    Consumer(runs, "mail", seen).start()
    id = (await call("PUSH", queue="mail", name="send"))["id"]
    await until(lambda: bool(seen.jobs), "it runs")
    first = (await call("GetJob", id=id))["job"]["lastHeartbeat"]

    async def renewed() -> bool:
        return bool((await call("GetJob", id=id))["job"]["lastHeartbeat"] > first)

    await until_hub(renewed, "renewed")
    await call("Cancel", id=id, active=True)
    await until_hub(in_state(call, id, "failed"), "stopped")
    assert seen.stopped == 1
    assert (await call("GetJob", id=id))["job"]["failedReason"] == "cancelled"


async def test_a_job_that_was_taken_away_is_not_run_on(call: Call, runs: Runs) -> None:
    seen = Seen()
    Consumer(runs, "mail", seen).start()
    id = (await call("PUSH", queue="mail", name="send"))["id"]
    await until(lambda: bool(seen.jobs), "it runs")
    await call("ACK", id=id, token=seen.jobs[0].token)
    await runs._renew()
    await until(lambda: seen.stopped == 1, "stopped")
    assert await state_of(call, id) == "completed"


async def test_a_run_goes_on_over_a_broken_link(call: Call, runs: Runs, loaded: MockConfigEntry) -> None:
    seen = Seen(Complete("done"))
    Consumer(runs, "mail", seen).start()
    id = (await call("PUSH", queue="mail", name="send"))["id"]
    await until(lambda: bool(seen.jobs), "it runs")
    client: HubClient = loaded.runtime_data.client
    assert client._connection is not None
    client._connection._socket._response.connection.transport.abort()  # type: ignore[union-attr]
    await until(lambda: not client.connected, "down")
    seen.go.set()  # the run ends while nobody can be told
    await until_hub(in_state(call, id, "completed"), "told once the link is back")
    job = (await call("GetJob", id=id))["job"]
    assert (job["returnvalue"], job["lostCount"], job["attempts"]) == ("done", 0, 0)
    assert len(seen.jobs) == 1


async def test_unloading_gives_jobs_back(
    hass: HomeAssistant, call: Call, runs: Runs, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.hubqueue.DRAIN_S", 0.0)
    seen = Seen()
    Consumer(runs, "mail", seen).start()
    id = (await call("PUSH", queue="mail", name="send"))["id"]
    await until(lambda: bool(seen.jobs), "it runs")
    await hass.config_entries.async_unload(loaded.entry_id)
    await until_hub(in_state(call, id, "waiting"), "given back")
    job = (await call("GetJob", id=id))["job"]
    assert (job["attempts"], job["lostCount"], job["stallCount"]) == (0, 0, 0)
    assert not runs.consumers


async def test_unloading_lets_a_run_end(hass: HomeAssistant, call: Call, runs: Runs, loaded: MockConfigEntry) -> None:
    seen = Seen()
    Consumer(runs, "mail", seen).start()
    id = (await call("PUSH", queue="mail", name="send"))["id"]
    await until(lambda: bool(seen.jobs), "it runs")
    unloading = hass.async_create_task(hass.config_entries.async_unload(loaded.entry_id))
    await until(lambda: not runs.consumers, "nobody takes jobs any more")
    seen.go.set()
    assert await unloading
    assert await state_of(call, id) == "completed"


async def test_stopping_gives_jobs_back(hass: HomeAssistant, call: Call, runs: Runs) -> None:
    seen = Seen()
    Consumer(runs, "mail", seen).start()
    id = (await call("PUSH", queue="mail", name="send"))["id"]
    await until(lambda: bool(seen.jobs), "it runs")
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await until_hub(in_state(call, id, "waiting"), "given back")
    assert seen.stopped == 1


async def test_who_is_closed_takes_no_more(call: Call, runs: Runs) -> None:
    seen = Seen()
    consumer = Consumer(runs, "mail", seen)
    consumer.start()
    first = (await call("PUSH", queue="mail", name="send"))["id"]
    await until(lambda: bool(seen.jobs), "it runs")
    consumer.close()
    second = (await call("PUSH", queue="mail", name="send"))["id"]
    seen.go.set()
    await until_hub(in_state(call, first, "completed"), "the run ended")
    assert await state_of(call, second) == "waiting"


async def test_a_job_that_comes_while_a_poll_is_taken_back_is_not_lost(
    call: Call, hub: HubProcess, loaded: MockConfigEntry, runs: Runs
) -> None:
    """The answer and the taking back cross on the way, again and again."""
    for turn in range(20):
        consumer = Consumer(runs, "mail", Seen())
        consumer.start()
        for _ in range(turn % 5):
            await asyncio.sleep(0)
        id = (await call("PUSH", queue="mail", name="send"))["id"]
        consumer.close()
        await runs.async_stop()
        await until_hub(in_state(call, id, "waiting"), f"nobody has it, turn {turn}")
        token = (await call("PULL", queue="mail", owner="test", lockTtl=60_000))["token"]
        await call("ACK", id=id, token=token)
        assert (await call("GetJobCounts", queue="mail"))["counts"]["active"] == 0
    assert url_of(hub)


def test_a_job_that_is_refused_again_and_again_waits_longer(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    runs: Runs = loaded.runtime_data.runs
    leased = Leased({"id": "a"}, "1.x")
    waits = [runs._waiting_longer(leased, Release(1, growing=True)) for _ in range(12)]
    assert waits[:4] == [Release(1), Release(2), Release(4), Release(8)]
    assert waits[-1] == Release(300)
    assert runs._waiting_longer(leased, Complete()) == Complete()
    assert runs._waiting_longer(leased, Release(1, growing=True)) == Release(1)


async def sequence(hass: HomeAssistant, *actions: dict[str, Any]) -> Script:
    checked = await async_validate_actions_config(hass, SCRIPT_SCHEMA(list(actions)))
    return Script(hass, checked, "test", "hubqueue", running_description="job")


JOB = Leased(
    {"id": "1", "queue": "mail", "name": "send", "data": {"to": "ada"}, "attempts": 0, "maxAttempts": 3, "priority": 0},
    "1.x",
)


@pytest.mark.parametrize(
    ("actions", "outcome"),
    [
        ([{"action": "test.good", "data": {"to": "{{ job.data.to }}"}}], Complete()),
        (
            [{"variables": {"it": {"to": "{{ job.data.to }}"}}}, {"stop": "done", "response_variable": "it"}],
            Complete({"to": "ada"}),
        ),
        ([{"action": "test.bad"}], Fail("it went wrong")),
        ([{"action": "test.bad", "continue_on_error": True}], Complete()),
        ([{"action": "test.none"}], Fail("Action test.none not found")),
        ([{"stop": "no", "error": True}], Fail("no")),
        (
            [{"condition": "template", "value_template": "{{ false }}"}],
            Fail("a condition among the actions is not met (0)"),
        ),
    ],
)
async def test_a_sequence_decides_by_how_it_ends(
    hass: HomeAssistant, actions: list[dict[str, Any]], outcome: Outcome
) -> None:
    said: list[Any] = []

    async def bad(_: ServiceCall) -> None:
        raise RuntimeError("it went wrong")

    hass.services.async_register("test", "good", lambda call: said.append(call.data["to"]))
    hass.services.async_register("test", "bad", bad, supports_response=SupportsResponse.NONE)
    script = await sequence(hass, *actions)
    assert await async_run_sequence(hass, script, JOB, RunOptions()) == outcome
    assert said in ([], ["ada"])


async def test_a_sequence_that_is_stopped_gives_its_job_back(hass: HomeAssistant) -> None:
    script = await sequence(hass, {"delay": 3600}, {"delay": 1})
    run = hass.async_create_task(async_run_sequence(hass, script, JOB, RunOptions()))
    await until(lambda: script.is_running, "it runs")
    await script.async_stop()
    assert await run == Release()
