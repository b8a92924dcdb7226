"""What the overview tells in plain words, for each trouble that a hub can be in."""

from __future__ import annotations

from typing import Any

from hubqueue.ui.alerts import Alert, alerts
from hubqueue.ui.render import environment
from hubqueue.ui.text import texts

SINCE = 1_800_000_000_000.0


def queue(name: str, **changed: Any) -> dict[str, Any]:
    numbers = ("waiting", "prioritized", "delayed", "active", "waitingChildren", "completed", "failed")
    rates = ("enqueuedPerMinute", "completedPerMinute", "failedPerMinute")
    return {"name": name, "paused": False, "oldestMs": None, **dict.fromkeys((*numbers, *rates), 0), **changed}


def forwarder(**changed: Any) -> dict[str, Any]:
    plain = {"name": "central", "queue": "readings", "paused": False, "link": "up", "linkSince": SINCE, "alert": False}
    return {**plain, "waiting": 0, "delayed": 0, **changed}


def told(**overview: Any) -> list[str]:
    """The texts of the alerts, in English."""
    return [f"{alert.tone}: {words(alert)}" for alert in found(**overview)]


def found(**overview: Any) -> list[Alert]:
    well = {"queues": [], "forwarders": [], "mqtt": None, "storage": {"diskFull": False, "freeBytes": 10**10}}
    return alerts({**well, "hub": {"uptimeMs": 3_600_000.0}, **overview})


def words(alert: Alert) -> str:
    template = environment().from_string("{{ ('alert.' ~ key)|phrase(values)|striptags }}")
    return template.render(t=texts("en"), key=alert.key, values=alert.values)


def test_a_hub_that_is_well_has_nothing_to_tell() -> None:
    assert told(queues=[queue("mail", waiting=5, active=1, oldestMs=600_000)], forwarders=[forwarder(waiting=9)]) == []


def test_a_hub_that_has_just_started_waits_for_its_workers_before_it_complains() -> None:
    alone = [queue("mail", waiting=5, oldestMs=600_000)]
    assert told(queues=alone, hub={"uptimeMs": 59_000.0}) == []
    assert "No worker takes from mail" in told(queues=alone, hub={"uptimeMs": 60_000.0})[0]


def test_a_lost_uplink_says_since_when_and_that_nothing_is_lost() -> None:
    assert told(forwarders=[forwarder(link="down", waiting=1200, delayed=4)]) == [
        "bad: Uplink central down since 08:00 UTC: 1,204 jobs wait, nothing is lost."
    ]


def test_an_uplink_that_is_refused_needs_somebody() -> None:
    assert "needs you" in told(forwarders=[forwarder(link="down", alert=True)])[0]


def test_a_paused_forwarder_is_told_of_only_while_jobs_wait_for_it() -> None:
    assert told(forwarders=[forwarder(paused=True, link="idle")]) == []
    assert told(forwarders=[forwarder(paused=True, link="idle", waiting=1)]) == [
        "warn: Forwarder central is paused: 1 job waits."
    ]


def test_a_full_disk_is_told_before_everything_else_and_little_space_before_it_is_full() -> None:
    full = told(storage={"diskFull": True, "freeBytes": 0}, queues=[queue("mail", failed=1)])
    assert full[0].startswith("bad: Disk full: new jobs are refused.")
    assert told(storage={"diskFull": False, "freeBytes": 5_000_000})[0].startswith("warn: Only 5.0 MB are free")


def test_a_broker_that_is_away_is_told_with_its_address() -> None:
    link = {"lane": "main", "up": False, "since": SINCE}
    mqtt = {"broker": "mqtt://broker:1883", "links": [{**link, "up": True}], "dropped": 0}
    assert told(mqtt=mqtt) == []
    assert told(mqtt={**mqtt, "links": [link]})[0].startswith(
        "bad: MQTT broker mqtt://broker:1883 away since 08:00 UTC."
    )


def test_messages_that_were_lost_are_never_kept_quiet() -> None:
    assert told(mqtt={"broker": "b", "links": [], "dropped": 3})[0].startswith("bad: 3 MQTT messages were dropped")


def test_dead_letters_are_named_by_queue_and_led_to() -> None:
    (alert,) = found(queues=[queue("mail", failed=37)])
    assert words(alert) == "37 dead letters in mail."
    assert (alert.link, alert.query) == ("/dead", {"queue": "mail"})


def test_messages_that_became_no_jobs_are_told_as_such() -> None:
    assert told(queues=[queue("_unroutable", failed=12)]) == [
        "warn: 12 messages that could not become jobs are kept in _unroutable."
    ]


def test_a_queue_that_nobody_takes_from_is_told_of_after_a_minute() -> None:
    left = {"waiting": 490, "prioritized": 10, "oldestMs": 1_200_000}
    assert told(queues=[queue("camera", **left)]) == [
        "warn: No worker takes from camera: 500 jobs waiting, the oldest for 20 min."
    ]
    assert told(queues=[queue("camera", **{**left, "oldestMs": 59_000})]) == []
    assert told(queues=[queue("camera", **left, active=1)]) == []
    assert told(queues=[queue("camera", **left, completedPerMinute=0.1)]) == []
    assert told(queues=[queue("readings", **left)], forwarders=[forwarder()]) == []


def test_a_paused_queue_is_a_note() -> None:
    assert told(queues=[queue("mail", paused=True, waiting=20, oldestMs=1e9)]) == [
        "calm: Queue mail is paused: 20 jobs wait."
    ]
    assert told(queues=[queue("mail", paused=True)]) == []


def test_many_of_a_kind_become_one() -> None:
    lines = told(queues=[queue(f"q{number}", failed=number) for number in range(1, 11)])
    assert lines == [
        "warn: 10 dead letters in q10.",
        "warn: 9 dead letters in q9.",
        "warn: 8 dead letters in q8.",
        "warn: Dead letters in 7 more queues.",
    ]
    assert len(told(queues=[queue(f"q{number}", failed=number) for number in range(1, 5)])) == 4


def test_a_queue_is_named_as_it_is_whatever_its_name() -> None:
    template = environment().from_string("{{ 'alert.dead'|phrase(values) }}")
    shown = template.render(t=texts("en"), values={"count": 2, "queue": "<b>{count}"})
    assert shown == "2 dead letters in &lt;b&gt;{count}."
