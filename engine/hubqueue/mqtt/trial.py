"""What a message would become: the rules tester. By the lanes' own routing, and nothing is enqueued."""

from __future__ import annotations

from collections.abc import Sequence

from hubqueue.ingest.outcome import Outcome
from hubqueue.model.topic import TopicFilter
from hubqueue.mqtt.routing import lanes_of, no_rule
from hubqueue.mqtt.rules import Rule
from hubqueue.mqttclient.message import Message


def try_message(
    rules: Sequence[Rule],
    topic: str,
    payload: bytes,
    *,
    now_ms: int,
    qos: int = 1,
    retain: bool = False,
    invoke: bool = False,
) -> list[Outcome]:
    """What each lane of these rules would make of a message that somebody publishes. Errors: Invalid.

    A message that nobody asked the broker for is refused as `no_rule`; in truth the hub never hears of it.
    """
    found: list[Outcome] = []
    for routing in lanes_of(rules, invoke=invoke).values():
        asked = [most for text, most in routing.subscriptions().items() if TopicFilter(text).match(topic) is not None]
        if asked:  # the broker sends it with no more QoS than was asked for
            found += routing.route(Message(topic, payload, qos=min(qos, *asked), retain=retain), now_ms)
    return found or [no_rule(Message(topic, payload, qos=qos, retain=retain), now_ms)]
