"""From messages to jobs: the rules of one lane, compiled, and what each makes of a message.

Pure and synchronous; the lane calls `route` for every message, the rules tester (`trial`) for one. What a topic
leads to is remembered (`way`). Which rules a copy of a message is for is explained in `subscriptions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hubqueue.ingest.outcome import Outcome, Refused
from hubqueue.ingest.unread import unread_job
from hubqueue.model.topic import TopicFilter, widest
from hubqueue.mqtt.envelope import UnreadMessage, kept, message_of
from hubqueue.mqtt.invoke import INVOKE, invoked
from hubqueue.mqtt.rules import MAIN_LANE, Rule
from hubqueue.mqtt.subscriptions import Through, owners
from hubqueue.mqtt.way import CompiledRule, InvokeWay, Way
from hubqueue.mqttclient.message import Message

_REMEMBERED: Final = 10_000  # topics; a few hundred bytes each


class Routing:
    """The rules of one lane, ready to run.

    Errors: Invalid names the first rule that cannot be.
    """

    def __init__(self, rules: Sequence[Rule], *, invoke: bool = False, lane: str = MAIN_LANE) -> None:
        self._invoke = invoke
        self.lane = lane
        self._rules = [CompiledRule(rule, key) for rule, key in zip(rules, keys_of(rules), strict=True)]
        self._owners: Mapping[str, str] = {}
        self._left = False
        self._ways: dict[tuple[str, Through], tuple[Way, ...] | None] = {}
        self.assign({})

    def filters(self) -> list[TopicFilter]:
        """What to ask the broker for: without filters that another one covers."""
        return widest(narrow for narrow, _ in self._asked())

    def subscriptions(self) -> dict[str, int]:
        """`filters` with the QoS to ask for."""
        asked = self._asked()
        return {wide.subscription: max(qos for narrow, qos in asked if wide.covers(narrow)) for wide in self.filters()}

    def assign(self, numbers: Mapping[str, int]) -> None:
        """Give each rule to its subscription; numbers: of the subscriptions, the oldest first."""
        self._owners = owners([narrow for narrow, _ in self._asked()], numbers)
        self._ways.clear()

    def assign_left(self, left: Sequence[TopicFilter]) -> None:
        """For what still comes through subscriptions that are given up: for the rules that they cover, else for all."""
        every = [narrow for narrow, _ in self._asked()]
        self._owners = {
            rule.subscription: wide.subscription for rule in every for wide in reversed(left) if wide.covers(rule)
        }
        self._left = True
        self._ways.clear()

    def route(self, message: Message, now_ms: int, through: Through = None) -> list[Outcome]:
        """What each rule makes of a copy that came through these subscriptions; none where it is for other rules.

        Invoke topics are no rule's.
        """
        key = (message.topic, through)
        ways = self._ways.get(key)
        if ways is None:
            if len(self._ways) >= _REMEMBERED:
                self._ways.clear()
            ways = self._ways[key] = self._find(*key)
        if ways is None:
            return [no_rule(message, now_ms, self.lane)]
        return [way.follow(message, now_ms) for way in ways]

    def again(self, unread: UnreadMessage) -> list[tuple[str, Outcome]]:
        """What rules make of a message that was kept: all that take it now, but for those that had dealt with it then.

        Each with the key of the rule; by that a rule is known that has moved here from another lane.
        """
        message = message_of(unread)
        own = unread.lane == self.lane
        if own and self._invoke and (queue := invoked(message.topic)) is not None:
            return [(INVOKE.text, InvokeWay(queue).follow(message, unread.received_at))]
        meant = [rule for rule in self._rules if rule.key == unread.rule or (own and rule.key not in unread.others)]
        ways = [(rule.key, rule.way(message.topic)) for rule in meant]
        return [(key, way.follow(message, unread.received_at)) for key, way in ways if way is not None]

    def _find(self, topic: str, through: Through) -> tuple[Way, ...] | None:
        """None where no rule takes the topic at all."""
        if self._invoke and (queue := invoked(topic)) is not None:
            every: tuple[Way, ...] = (InvokeWay(queue),)
        else:
            taking = [rule for rule in self._rules if rule.filter.match(topic) is not None]
            every = tuple(
                way
                for rule in taking
                if (way := rule.way(topic, tuple(other.key for other in taking if other is not rule))) is not None
            )
        if through is None or not every:
            return every or None
        meant = tuple(way for way in every if self._owners.get(way.filter) in through)
        return meant if meant or not self._left else every

    def _asked(self) -> list[tuple[TopicFilter, int]]:
        asked = [(rule.filter, min(rule.rule.qos, 1)) for rule in self._rules]
        return [*asked, (INVOKE, 1)] if self._invoke else asked


def no_rule(message: Message, now_ms: int, lane: str = MAIN_LANE) -> Refused:
    """What becomes of a message that no rule takes."""
    unread = unread_job(kept(message, now_ms, lane=lane))
    return Refused(unread, "no_rule", f"no rule takes topic {message.topic!r}")


def lanes_of(rules: Sequence[Rule], *, invoke: bool) -> dict[str, Routing]:
    """The rules by lane, the main one first; that takes the invoke topics. Errors: Invalid."""
    names = dict.fromkeys((MAIN_LANE, *(rule.lane for rule in rules)))
    return {
        name: Routing([rule for rule in rules if rule.lane == name], invoke=invoke and name == MAIN_LANE, lane=name)
        for name in names
    }


def keys_of(rules: Sequence[Rule]) -> list[str]:
    """By which each rule of a lane is known when its messages are routed again: what it takes, and where to.

    So it stays the same rule when its payload, condition or options are mended.
    """
    keys: list[str] = []
    for rule in rules:
        key = f"{rule.topic} -> {rule.queue}"
        alike = sum(other == key or other.startswith(f"{key} #") for other in keys)
        keys.append(f"{key} #{alike + 1}" if alike else key)
    return keys
