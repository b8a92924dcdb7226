"""The way of one topic through one rule, or through none: what is worked out once, because devices send on the same
topics again and again. Carries for `ingest` what MQTT knows of a message.
"""

from __future__ import annotations

from typing import Final

from hubqueue.errors import Invalid
from hubqueue.expression import SHARED, UNITS
from hubqueue.ingest.mapper import Mapper
from hubqueue.ingest.outcome import Outcome, Passed, Refused, Taken
from hubqueue.ingest.unread import unread_job
from hubqueue.model.topic import TopicFilter
from hubqueue.mqtt.envelope import Envelope, UnreadMessage, kept
from hubqueue.mqtt.invoke import INVOKE, read_invoke
from hubqueue.mqtt.rules import OF_TOPIC, VALUES, Rule, as_template, check_rule
from hubqueue.mqttclient.message import Message


class CompiledRule:
    """A rule, ready to run. key: see `routing.keys_of`. Errors: Invalid."""

    def __init__(self, rule: Rule, key: str) -> None:
        self.rule: Final = rule
        self.key: Final = key
        self.filter: Final = TopicFilter(rule.topic)
        check_rule(rule, self.filter)
        parts = self.filter.names
        self._mapper: Final = Mapper(
            rule,
            VALUES.union(parts),
            early=OF_TOPIC.union(parts),
            template=lambda text: as_template(text, self.filter),
        )

    def way(self, topic: str, others: tuple[str, ...] = ()) -> RuleWay | None:
        """Of a topic; None where the rule does not take it. others: keys of the other rules that do."""
        parts = self.filter.match(topic)
        if parts is None:
            return None
        mapper = self._mapper.at({**parts, "topic": topic, "parts": parts})
        return RuleWay(self, mapper, parts, others)


class RuleWay:
    """Of the messages of one topic through one rule. filter: the rule's, as asked of the broker."""

    __slots__ = ("_mapper", "_others", "_parts", "_rule", "filter")

    def __init__(self, rule: CompiledRule, mapper: Mapper, parts: dict[str, str], others: tuple[str, ...]) -> None:
        self.filter = rule.filter.subscription
        self._rule = rule
        self._mapper = mapper
        self._parts = parts
        self._others = others

    def follow(self, message: Message, now_ms: int) -> Outcome:
        if message.retain and self._rule.rule.retained == "skip":
            return Passed(self._rule.rule)
        return self._mapper.map(message, self, now_ms)

    def values(self, message: Message, value: object) -> dict[str, object]:
        return {
            **self._parts,
            "topic": message.topic,
            "payload": value,
            "qos": message.qos,
            "retain": message.retain,
            "properties": message.extras.user or {},
            "parts": self._parts,
            SHARED: [UNITS],
        }

    def envelope(self, message: Message, value: object, now_ms: int) -> Envelope:
        extras, parts = message.extras, self._parts or None
        return Envelope(
            message.topic, value, now_ms, message.qos, message.retain, parts, extras.content_type, extras.user
        )

    def unread(self, message: Message, now_ms: int) -> UnreadMessage:
        rule = self._rule
        return kept(message, now_ms, lane=rule.rule.lane, rule=rule.key, others=self._others)


class InvokeWay:
    """Of the messages of an invoke topic, which say themselves what they want."""

    __slots__ = ("_queue", "filter")

    def __init__(self, queue: str) -> None:
        self.filter = INVOKE.subscription
        self._queue = queue

    def follow(self, message: Message, now_ms: int) -> Outcome:
        try:
            job, follow = read_invoke(message, self._queue)
        except Invalid as error:
            return Refused(unread_job(kept(message, now_ms, rule=INVOKE.text)), "bad_invoke", str(error))
        return Taken(self._queue, job, follow=follow)


Way = RuleWay | InvokeWay
