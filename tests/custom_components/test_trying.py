"""How long a job is tried that says little or nothing of it, at a real hub."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest
from custom_components.hubqueue import trying
from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.durations import milliseconds
from flows import add_subentry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry

from conftest import Call

DAY_MS = 86_400_000

pytestmark = pytest.mark.usefixtures("loaded")


async def enqueued(hass: HomeAssistant, call: Call, **fields: Any) -> dict[str, Any]:
    """The job at the hub that the action made."""
    answer = await hass.services.async_call(
        DOMAIN, "enqueue", {"queue": "mail", "create": True, **fields}, blocking=True, return_response=True
    )
    job: dict[str, Any] = (await call("GetJob", id=answer["id"]))["job"]  # type: ignore[index]
    return job


async def test_a_job_is_tried_for_a_day_if_nothing_is_said(hass: HomeAssistant, call: Call) -> None:
    job = await enqueued(hass, call)
    assert (job["keepTrying"], job["ttl"]) == (DAY_MS, None)
    assert job["endsAt"] - job["createdAt"] == DAY_MS
    assert (job["backoffConfig"]["delay"], job["backoffConfig"]["maxDelay"]) == (2500, 300_000)
    shown = await hass.services.async_call(DOMAIN, "get_job", {"id": job["id"]}, blocking=True, return_response=True)
    assert shown is not None
    told: dict[str, Any] = shown["job"]  # type: ignore[assignment]
    assert told["attempts"] is None
    assert datetime.fromisoformat(told["ends_at"]) - datetime.fromisoformat(told["created_at"]) == trying.DAY


async def test_it_survives_the_minute_in_which_devices_are_not_there_yet(hass: HomeAssistant, call: Call) -> None:
    id = (await enqueued(hass, call))["id"]
    for _ in range(12):
        reply = await call("PULL", queue="mail", owner="test")
        await call("FAIL", id=id, token=reply["token"], error="not there")
        job = (await call("GetJob", id=id))["job"]
        assert job["state"] == "delayed"
        await call("Promote", id=id)
    assert job["attempts"] == 12


@pytest.mark.parametrize("many", [False, True])
async def test_whatever_is_said_the_hub_takes_it_and_it_ends_as_told(
    hass: HomeAssistant, call: Call, many: bool
) -> None:
    """All that may be said together, for one job and for many."""
    spans = (None, timedelta(minutes=1), timedelta(days=3), timedelta(days=200))
    for attempts, keep_trying, ttl, delay in product((None, 3), spans, spans, (None, timedelta(minutes=90))):
        given = {"attempts": attempts, "keep_trying": keep_trying, "ttl": ttl, "delay": delay}
        fields = {key: value for key, value in given.items() if value is not None}
        if delay is not None and timedelta(minutes=1) in (keep_trying, ttl):
            continue  # over before it is due: refused
        if many:
            answer = await hass.services.async_call(
                DOMAIN,
                "enqueue_many",
                {"queue": "mail", "create": True, "jobs": [fields]},
                blocking=True,
                return_response=True,
            )
            job = (await call("GetJob", id=answer["ids"][0]))["job"]  # type: ignore[index]
        else:
            job = await enqueued(hass, call, **fields)
        ends = [milliseconds(each) for each in (keep_trying, ttl) if each is not None]
        if attempts is None and not ends:
            ends = [milliseconds(trying.DAY + (delay or timedelta()))]
        assert (job["endsAt"] and job["endsAt"] - job["createdAt"]) == min(ends, default=None), fields
        if attempts is not None:
            assert job["maxAttempts"] == attempts
        if ttl is not None and (keep_trying is None or ttl < keep_trying):
            assert job["ttl"] == ends[-1]


@pytest.mark.parametrize("field", ["keep_trying", "ttl"])
async def test_a_span_that_is_over_before_the_job_is_due_is_refused_in_words(
    hass: HomeAssistant, call: Call, field: str
) -> None:
    with pytest.raises(ServiceValidationError, match=rf"{field} \(1:00:00\) ends before .* \(in 1:00:00\)"):
        await enqueued(hass, call, delay={"hours": 1}, **{field: {"hours": 1}})
    await enqueued(hass, call, delay={"hours": 1}, **{field: {"hours": 2}})


def test_a_day_goes_by_from_when_a_job_is_due() -> None:
    delay = timedelta(days=2)
    assert trying.patient({"delay": delay})["keep_trying"] == 3 * trying.DAY
    due = trying.patient({"run_at": dt_util.utcnow() + delay, "delay": timedelta()})["keep_trying"]
    assert timedelta(seconds=-5) < due - 3 * trying.DAY <= timedelta()
    assert trying.patient({"delay": 365 * trying.DAY})["attempts"] == trying.A_DAY_OF_ATTEMPTS


@pytest.mark.parametrize("by", ["the hub", "an uplink"])
async def test_what_a_forwarder_sends_on_waits_for_as_long_as_an_outage_takes(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, by: str
) -> None:
    if by == "the hub":
        await call("ForwarderPut", name="up", queue="mail", to="tcp://127.0.0.1:9")
        await loaded.runtime_data.coordinator.async_refresh()
    else:
        given = {"queue": "mail", "to": "tcp://127.0.0.1:9", "token": "s", "schedule": {}, "more": {"test": False}}
        await add_subentry(hass, loaded, "uplink", given)
    job = await enqueued(hass, call)
    assert (job["keepTrying"], job["endsAt"], job["maxAttempts"]) == (None, None, trying.A_DAY_OF_ATTEMPTS)
    job = await enqueued(hass, call, keep_trying={"days": 1})
    assert job["keepTrying"] == DAY_MS
    answer = await hass.services.async_call(
        DOMAIN, "enqueue_many", {"queue": "mail", "jobs": [{"data": 1}]}, blocking=True, return_response=True
    )
    job = (await call("GetJob", id=answer["ids"][0]))["job"]  # type: ignore[index]
    assert job["keepTrying"] is None


def test_a_longer_first_wait_is_not_cut() -> None:
    minute = timedelta(minutes=1)
    wait = trying.patient({"backoff": {"delay": 10 * minute}})["backoff"]
    assert (wait["delay"], wait["max"]) == (10 * minute, 20 * minute)
    assert trying.patient({"backoff": {"delay": trying.DAY}})["backoff"]["max"] == trying.DAY
    assert trying.patient({"backoff": {"delay": 10 * minute, "max": minute}})["backoff"]["max"] == minute
