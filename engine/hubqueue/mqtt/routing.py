"""From messages to jobs: the rules of one lane, compiled, and what each makes of a message.

Pure and synchronous; the lane calls `route` for every message, the rules tester (`trial`) for one. What a topic
leads to is remembered, because devices send on the same topics again and again. Which rules a copy of a message is
for is explained in `subscriptions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from hubqueue.errors import Invalid, Undecodable
from hubqueue.expression import SHARED, UNITS, Condition, ExpressionFailed, Text
from hubqueue.model.decode import SKIPPED
from hubqueue.model.job import NewJob, Options
from hubqueue.model.limits import check_options, check_size
from hubqueue.model.outcome import Output
from hubqueue.model.topic import TopicFilter, widest
from hubqueue.mqtt.envelope import Unread, encoded, envelope, message_of, unread_job
from hubqueue.mqtt.invoke import INVOKE, invoked, read_invoke
from hubqueue.mqtt.rules import MAIN_LANE, VALUES, Rule, as_template, check_rule, name_of, queue_of
from hubqueue.mqtt.subscriptions import Through, owners
from hubqueue.mqttclient.message import Message

_REMEMBERED: Final = 10_000  # topics; a few hundred bytes each


class Taken(msgspec.Struct, frozen=True, gc=False):
    """The message became a job: of a rule, or of the invoke topic (None). follow: see `hub.verbs.intake`."""

    rule: Rule | None
    queue: str
    job: NewJob
    on_full: Literal["overflow", "drop"] = "overflow"
    follow: Callable[[str], Output] | None = None


class Passed(msgspec.Struct, frozen=True, gc=False):
    """A rule leaves the message out, as its author wants it."""

    rule: Rule


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The message cannot become a job of this rule, or no rule (None) takes it. reason is a short code."""

    rule: Rule | None
    job: NewJob
    reason: str
    error: str


Routed = Taken | Passed | Refused


class _Way(msgspec.Struct, frozen=True, gc=False):
    """Where one rule, or the invoke topic (None), sends one topic; or why it cannot. filter: the rule's, as asked."""

    filter: str
    rule: _Compiled | None
    parts: dict[str, str]
    queue: str
    name: str = ""
    refusal: str | None = None
    others: tuple[str, ...] = ()  # keys of the other rules that take the topic


class _Compiled:
    __slots__ = ("condition", "decode", "dedup_key", "filter", "group", "key", "needs_values", "options", "rule")

    def __init__(self, rule: Rule, key: str) -> None:
        self.rule = rule
        self.key = key
        self.filter = TopicFilter(rule.topic)
        check_rule(rule, self.filter)
        self.decode = rule.payload.decoder()
        names = VALUES.union(self.filter.names)
        self.condition = None if rule.where is None else Condition(rule.where, names)
        dedup, group = rule.options.dedup, rule.options.group
        self.dedup_key = None if dedup is None else Text(as_template(dedup.key, self.filter), names)
        self.group = None if group is None else Text(as_template(group, self.filter), names)
        self.options: Options | None = None if rule.options == Options() else rule.options
        templates = (self.condition, self.dedup_key, self.group)
        self.needs_values = any(template is not None for template in templates)

    def way(self, topic: str, others: tuple[str, ...] = ()) -> _Way | None:
        parts = self.filter.match(topic)
        if parts is None:
            return None
        try:
            queue, name = queue_of(self.rule, parts), name_of(self.rule, parts)
            return _Way(self.filter.subscription, self, parts, queue, name, None, others)
        except Invalid as error:
            return _Way(self.filter.subscription, self, parts, "", "", str(error), others)

    def options_for(self, values: dict[str, object]) -> Options | None:
        """The job's options, with its deduplication key and its group worked out."""
        options = self.options
        if options is None or (self.dedup_key is None and self.group is None):
            return options
        if self.dedup_key is not None and options.dedup is not None:
            dedup = msgspec.structs.replace(options.dedup, key=_rendered("dedup key", self.dedup_key, values))
            options = msgspec.structs.replace(options, dedup=dedup)
        if self.group is not None:
            options = msgspec.structs.replace(options, group=_rendered("group", self.group, values))
        check_options(options)
        return options


def _rendered(what: str, template: Text, values: dict[str, object]) -> str:
    try:
        return template.render(values)
    except ExpressionFailed as error:
        raise ExpressionFailed(f"no {what}: {error}") from error


class Routing:
    """The rules of one lane, ready to run.

    Errors: Invalid names the first rule that cannot be.
    """

    def __init__(self, rules: Sequence[Rule], *, invoke: bool = False, lane: str = MAIN_LANE) -> None:
        self._invoke = invoke
        self.lane = lane
        self._rules = [_Compiled(rule, key) for rule, key in zip(rules, keys_of(rules), strict=True)]
        self._owners: Mapping[str, str] = {}
        self._left = False
        self._ways: dict[tuple[str, Through], tuple[_Way, ...] | None] = {}
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

    def route(self, message: Message, now_ms: int, through: Through = None) -> list[Routed]:
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
            error = f"no rule takes topic {message.topic!r}"
            return [Refused(None, unread_job(message, now_ms, lane=self.lane), "no_rule", error)]
        return [_follow(way, message, now_ms) for way in ways]

    def again(self, kept: Unread) -> list[tuple[str, Routed]]:
        """What rules make of a message that was kept: all that take it now, but for those that had dealt with it then.

        Each with the key of the rule; by that a rule is known that has moved here from another lane.
        """
        message = message_of(kept)
        own = kept.lane == self.lane
        if own and self._invoke and (queue := invoked(message.topic)) is not None:
            return [(INVOKE.text, _invoke(message, queue, kept.received_at))]
        meant = [rule for rule in self._rules if rule.key == kept.rule or (own and rule.key not in kept.others)]
        ways = [(rule.key, rule.way(message.topic)) for rule in meant]
        return [(key, _follow(way, message, kept.received_at)) for key, way in ways if way is not None]

    def _find(self, topic: str, through: Through) -> tuple[_Way, ...] | None:
        """None where no rule takes the topic at all."""
        if self._invoke and (queue := invoked(topic)) is not None:
            every: tuple[_Way, ...] = (_Way(INVOKE.subscription, None, {}, queue),)
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


def _follow(way: _Way, message: Message, now_ms: int) -> Routed:
    compiled = way.rule
    if compiled is None:
        return _invoke(message, way.queue, now_ms)
    rule = compiled.rule
    if way.refusal is not None:
        return _refused(compiled, way, message, "bad_queue", way.refusal, now_ms)
    if message.retain and rule.retained == "skip":
        return Passed(rule)
    if message.missing:
        return _refused(compiled, way, message, "too_large", "the message is larger than what is read of one", now_ms)
    try:
        value = compiled.decode(message.payload)
        if value is SKIPPED:
            return Passed(rule)
        options = compiled.options
        if compiled.needs_values:
            values = _values(message, value, way.parts)
            if compiled.condition is not None and not compiled.condition.holds(values):
                return Passed(rule)
            options = compiled.options_for(values)
        data = envelope(message, value, way.parts, now_ms) if rule.shape == "message" else encoded(value)
        check_size(data)
    except Undecodable as error:
        return _refused(compiled, way, message, "undecodable", f"{rule.payload.kind}: {error}", now_ms)
    except (ExpressionFailed, Invalid) as error:
        return _refused(compiled, way, message, "bad_message", str(error), now_ms)
    job = NewJob(
        name=way.name,
        data=data,
        priority=rule.priority,
        delay_ms=rule.delay_ms,
        max_attempts=rule.max_attempts,
        options=options,
    )
    return Taken(rule, way.queue, job, rule.on_full)


def _invoke(message: Message, queue: str, now_ms: int) -> Routed:
    try:
        job, follow = read_invoke(message, queue)
    except Invalid as error:
        return Refused(None, unread_job(message, now_ms, rule=INVOKE.text), "bad_invoke", str(error))
    return Taken(None, queue, job, follow=follow)


def _values(message: Message, value: object, parts: dict[str, str]) -> dict[str, object]:
    """The names that expressions and templates of a rule may use."""
    return {
        **parts,
        "topic": message.topic,
        "payload": value,
        "qos": message.qos,
        "retain": message.retain,
        "properties": message.extras.user or {},
        "parts": parts,
        SHARED: [UNITS],
    }


def _refused(compiled: _Compiled, way: _Way, message: Message, reason: str, error: str, now_ms: int) -> Refused:
    rule = compiled.rule
    kept = unread_job(message, now_ms, lane=rule.lane, rule=compiled.key, others=way.others)
    return Refused(rule, kept, reason, error)
