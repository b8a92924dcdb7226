"""The keys of one MQTT rule (mqtt.rules[n]) and the Rule they become. The words are those of mqtt.rules.Rule."""

from __future__ import annotations

from typing import Any

import voluptuous as vol

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.joboptions import made, option_keys, option_words
from hubqueue.config.mistakes import Wrong, flatten
from hubqueue.config.path import dotted
from hubqueue.config.timeformat import TIME_KEYS
from hubqueue.errors import HubqueueError, Invalid
from hubqueue.expression import Condition, Text
from hubqueue.model.cells import COLUMN_KINDS
from hubqueue.model.decode import EMPTY, KINDS, NAN, OTHERWISE, Payload
from hubqueue.model.encoding import codec_of
from hubqueue.model.lines import DELIMITERS
from hubqueue.model.option import Door
from hubqueue.model.topic import TopicFilter
from hubqueue.mqtt.routing import Routing
from hubqueue.mqtt.rules import Rule

_PAYLOAD = ("columns", "delimiter", "otherwise", "nan", "empty", "encoding", "timezone", "time_unit", "times")


def rule() -> Check:
    return checks.Section(
        {
            "topic": checks.valid(TopicFilter),
            "queue": checks.text,
            "name": checks.text,
            "payload": PayloadCheck(),
            "shape": checks.choice("message", "payload"),
            "where": checks.valid(Condition),
            "retained": checks.choice("take", "skip"),
            "qos": checks.integer(0, 2),
            "lane": checks.text,
            "on_full": checks.choice("overflow", "drop"),
            **option_keys(Door.RULE, Text),
        },
        required=("topic", "queue"),
        build=_rule,
    )


def read_rule(given: object) -> Rule:
    """A rule by itself. Errors: Invalid with every mistake, its path from `rule` on, and what to do."""
    try:
        read = rule()(given)
    except vol.Invalid as error:
        mistakes = flatten(error)
        texts = [f"{dotted(('rule', *path))}: {message}" for path, message, _, _ in mistakes]
        hints = [hint for _, _, _, hint in mistakes if hint]
        raise Invalid("; ".join(texts), hint="; ".join(hints)) from error
    assert isinstance(read, Rule)
    return read


def words(rule: Rule) -> dict[str, Any]:
    """A rule as the configuration would write it, every key that has a value: what `rule()` reads back."""
    given: dict[str, Any] = {
        "topic": rule.topic,
        "queue": rule.queue,
        "name": rule.name,
        "payload": _payload_words(rule.payload),
        "shape": rule.shape,
        "where": rule.where,
        "retained": rule.retained,
        "qos": rule.qos,
        "lane": rule.lane or None,
        "on_full": rule.on_full,
        **option_words(rule.options, rule.priority, rule.delay_ms, rule.max_attempts, Door.RULE),
    }
    return {key: value for key, value in given.items() if value is not None}


class PayloadCheck:
    """The name of a decoder, or `{kind: csv, columns: [...], delimiter: ";", otherwise: text, nan: null, ...}`."""

    def __init__(self) -> None:
        self.check = checks.Section(
            {
                "kind": checks.choice(*KINDS),
                "columns": checks.Each(checks.text),
                "delimiter": checks.choice(*DELIMITERS),
                "otherwise": checks.choice(*OTHERWISE),
                "nan": _or_null(checks.choice(*NAN)),
                "empty": _or_null(checks.choice(*EMPTY)),
                "encoding": checks.valid(codec_of),
                **TIME_KEYS,
                "times": checks.Each(checks.text),
            },
            required=("kind",),
            build=_payload,
        )

    def __call__(self, value: Any) -> Payload:
        if isinstance(value, str):
            kind = checks.choice(*KINDS)(value)
            if kind == "csv":
                raise Wrong("csv needs its columns", hint="write payload: {kind: csv, columns: [time, temperature]}")
            return Payload(kind)
        made = self.check(value)
        assert isinstance(made, Payload)
        return made


def _or_null(check: Check) -> Check:
    """For the word null, which YAML and JSON read as nothing."""
    return lambda value: check("null" if value is None else value)


def _payload_words(payload: Payload) -> str | dict[str, Any]:
    """Its short form where it says all."""
    plain = Payload(payload.kind)
    told = {"kind": payload.kind}
    told |= {name: value for name in _PAYLOAD if (value := getattr(payload, name)) != getattr(plain, name)}
    return payload.kind if len(told) == 1 else told


def _payload(clean: dict[str, Any]) -> Payload:
    made = Payload(**clean)
    try:
        made.decoder()
    except HubqueueError as error:
        hint = error.hint or f"a column is a name, or name:kind with {', '.join(COLUMN_KINDS)}"
        raise Wrong(error.message, hint=hint) from error
    return made


def _rule(clean: dict[str, Any]) -> Rule:
    rule = Rule(**made(clean, Door.RULE))
    Routing([rule])  # raises what only the whole rule shows, as a {part} the topic does not have
    return rule
