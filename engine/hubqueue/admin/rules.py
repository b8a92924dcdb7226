"""The MQTT rules of a running hub: what each has done, and what they would make of a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from hubqueue.admin.running import Running
from hubqueue.commands import operator as commands
from hubqueue.commands.call import Operation
from hubqueue.config.rules import read_rule, words
from hubqueue.config.ruletext import rule_text
from hubqueue.config.settings import Mqtt
from hubqueue.errors import Invalid
from hubqueue.ingest.outcome import Outcome, Passed, Taken
from hubqueue.model.job import PLAIN, NewJob
from hubqueue.model.topic import check_topic
from hubqueue.mqtt.counters import RuleCounters
from hubqueue.mqtt.rules import Rule
from hubqueue.mqtt.trial import try_message
from hubqueue.mqttclient.broker import Broker
from hubqueue.wire.fields import value_bytes
from hubqueue.wire.joboptions import attempts_out, option_fields

if TYPE_CHECKING:
    from hubqueue.mqtt.bridge import Bridge


def operations(mqtt: Mqtt | None, running: Running, now_ms: Callable[[], int]) -> Mapping[str, Operation]:
    declared: Sequence[Rule] = () if mqtt is None else mqtt.rules

    async def rules(command: commands.Rules) -> dict[str, Any]:
        bridge = running.bridge
        found = [
            {"index": index, "settings": words(rule), **_counted(bridge, rule)} for index, rule in enumerate(declared)
        ]
        return {"rules": found, "broker": None if mqtt is None else _broker(mqtt.broker, bridge)}

    async def rule_test(command: commands.RuleTest) -> dict[str, Any]:
        check_topic(command.topic)
        own = command.rule is None
        given = rule_text(command.rule) if isinstance(command.rule, str) else command.rule
        rules = declared if own else [read_rule(given)]
        routed = try_message(
            rules,
            command.topic,
            _payload(command.payload),
            now_ms=now_ms(),
            qos=command.qos,
            retain=command.retain,
            invoke=own and mqtt is not None,
        )
        unroutable = any(not isinstance(each, Taken | Passed) and each.reason == "no_rule" for each in routed)
        matches = [] if unroutable else [_match(each, rules, own=own) for each in routed]
        return {"matches": matches, "unroutable": unroutable}

    return {"Rules": rules, "RuleTest": rule_test}


def _payload(raw: msgspec.Raw) -> bytes:
    """Errors: Invalid."""
    sent = value_bytes(raw)
    value = b"" if sent is None else msgspec.msgpack.decode(sent)
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, bytes):
        raise Invalid("payload must be binary or text", hint="send JSON as the text that a device would publish")
    return value


def _counted(bridge: Bridge | None, rule: Rule) -> dict[str, Any]:
    tally = RuleCounters() if bridge is None else bridge.tallies.of(rule)
    return {
        "matched": tally.matched,
        "passed": tally.passed,
        "failed": tally.failed,
        "lastAt": _time(tally.last_at_ms),
        "failedAt": _time(tally.failed_at_ms),
        "error": tally.error,
    }


def _broker(broker: Broker, bridge: Bridge | None) -> dict[str, Any]:
    if bridge is None:  # the doors open before the bridge
        return {"url": broker.url, "links": [], "unacknowledged": 0, "counts": {}}
    links = [
        {
            "lane": lane,
            "up": state.up,
            "since": float(state.since_ms),
            "version": state.version,
            "error": None if state.error is None else state.error.message,
            "hint": None if state.error is None else state.error.hint or None,
        }
        for lane, state in bridge.links.items()
    ]
    counts = asdict(bridge.stats)
    return {"url": broker.url, "links": links, "unacknowledged": bridge.unacknowledged, "counts": counts}


def _match(outcome: Outcome, rules: Sequence[Rule], *, own: bool) -> dict[str, Any]:
    """One answer of one rule. rule: its place in the configuration; None for the invoke topics and for a given rule."""
    place = next((index for index, rule in enumerate(rules) if rule is outcome.into), None)
    found: dict[str, Any] = {"rule": place if own else None, "topic": None if place is None else rules[place].topic}
    if isinstance(outcome, Passed):
        return {**found, "outcome": "passed"}
    if isinstance(outcome, Taken):
        return {**found, "outcome": "enqueued", "queue": outcome.queue, "job": _job(outcome.job)}
    return {**found, "outcome": "unroutable", "reason": outcome.reason, "error": outcome.error}


def _job(job: NewJob) -> dict[str, Any]:
    """The job as an entry of PUSHB."""
    options = job.options or PLAIN
    found: dict[str, Any] = {
        "name": job.name,
        "data": None if job.data is None else msgspec.Raw(job.data),
        "priority": job.priority,
        "delay": job.delay_ms,
        **attempts_out(job.max_attempts),
        **option_fields(options),
    }
    if job.custom_id is not None:
        found["customId"] = job.custom_id
    return found


def _time(at_ms: int | None) -> float | None:
    return None if at_ms is None else float(at_ms)
