"""The keys of one MQTT rule (mqtt.rules[n]) and the Rule they become. The words are those of mqtt.rules.Rule."""

from __future__ import annotations

from typing import Any

import voluptuous as vol

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.mistakes import Wrong, flatten
from hubqueue.config.path import dotted
from hubqueue.config.timeformat import TIME_KEYS
from hubqueue.errors import HubqueueError, Invalid
from hubqueue.expression import Condition, Text
from hubqueue.model import limits
from hubqueue.model.cells import COLUMN_KINDS
from hubqueue.model.decode import EMPTY, KINDS, NAN, OTHERWISE, Payload
from hubqueue.model.encoding import codec_of
from hubqueue.model.job import ENDLESS, Dedup, Options, attempts_of
from hubqueue.model.lines import DELIMITERS
from hubqueue.model.retry import Backoff
from hubqueue.model.topic import TopicFilter
from hubqueue.mqtt.routing import Routing
from hubqueue.mqtt.rules import Rule

_PAYLOAD = ("columns", "delimiter", "otherwise", "nan", "empty", "encoding", "timezone", "time_unit", "times")
_OPTIONS = (
    "backoff",
    "timeout_ms",
    "ttl_ms",
    "keep_trying_ms",
    "lifo",
    "durable",
    "dedup",
    "remove_on_complete",
    "remove_on_fail",
    "tags",
)


def rule() -> Check:
    return checks.Section(
        {
            "topic": _valid(TopicFilter),
            "queue": checks.text,
            "name": checks.text,
            "payload": PayloadCheck(),
            "shape": checks.choice("message", "payload"),
            "where": _valid(Condition),
            "retained": checks.choice("take", "skip"),
            "qos": checks.integer(0, 2),
            "lane": checks.text,
            "on_full": checks.choice("overflow", "drop"),
            "priority": checks.integer(-limits.MAX_PRIORITY, limits.MAX_PRIORITY),
            "delay": checks.duration_ms(0, limits.MAX_DELAY_MS),
            "attempts": checks.integer(1, limits.MAX_ATTEMPTS),
            "backoff": backoff(),
            "timeout": checks.duration_ms(0, limits.MAX_TIMEOUT_MS),
            "ttl": checks.duration_ms(0, limits.MAX_DELAY_MS),
            "keep_trying": checks.duration_ms(1, limits.MAX_DELAY_MS),
            "lifo": checks.boolean,
            "durable": checks.boolean,
            "dedup": dedup(),
            "remove_on_complete": checks.boolean,
            "remove_on_fail": checks.boolean,
            "tags": checks.Each(checks.text),
        },
        required=("topic", "queue"),
        build=_rule,
    )


def read_rule(given: object) -> Rule:
    """A rule by itself. Errors: Invalid with every mistake, its path from `rule` on, and what to do."""
    try:
        made = rule()(given)
    except vol.Invalid as error:
        mistakes = flatten(error)
        texts = [f"{dotted(('rule', *path))}: {message}" for path, message, _, _ in mistakes]
        hints = [hint for _, _, _, hint in mistakes if hint]
        raise Invalid("; ".join(texts), hint="; ".join(hints)) from error
    assert isinstance(made, Rule)
    return made


def words(rule: Rule) -> dict[str, Any]:
    """A rule as the configuration would write it, every key that has a value: what `rule()` reads back."""
    options = rule.options
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
        "priority": rule.priority,
        "delay": checks.duration_text(rule.delay_ms),
        "attempts": None if rule.max_attempts == ENDLESS else rule.max_attempts,
        "backoff": None if options.backoff is None else _backoff_words(options.backoff),
        "timeout": None if options.timeout_ms is None else checks.duration_text(options.timeout_ms),
        "ttl": None if options.ttl_ms is None else checks.duration_text(options.ttl_ms),
        "keep_trying": None if options.keep_trying_ms is None else checks.duration_text(options.keep_trying_ms),
        "lifo": options.lifo,
        "durable": options.durable,
        "dedup": None if options.dedup is None else _dedup_words(options.dedup),
        "remove_on_complete": options.remove_on_complete,
        "remove_on_fail": options.remove_on_fail,
        "tags": list(options.tags),
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
                "encoding": _valid(codec_of),
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


def backoff() -> Check:
    return checks.Section(
        {
            "kind": checks.choice("exponential", "fixed"),
            "delay": checks.duration_ms(0, limits.MAX_BACKOFF_DELAY_MS),
            "max": checks.duration_ms(0, limits.MAX_BACKOFF_DELAY_MS),
            "jitter": checks.number(0, 1),
        },
        build=lambda clean: Backoff(**_renamed(clean, delay="delay_ms", max="max_ms")),
    )


def dedup() -> Check:
    return checks.Section(
        {
            "key": _valid(Text),
            "ttl": checks.duration_ms(0, limits.MAX_DELAY_MS),
            "extend": checks.boolean,
            "replace": checks.boolean,
        },
        required=("key",),
        build=lambda clean: Dedup(**_renamed(clean, ttl="ttl_ms")),
    )


def _payload_words(payload: Payload) -> str | dict[str, Any]:
    """Its short form where it says all."""
    plain = Payload(payload.kind)
    told = {"kind": payload.kind}
    told |= {name: value for name in _PAYLOAD if (value := getattr(payload, name)) != getattr(plain, name)}
    return payload.kind if len(told) == 1 else told


def _backoff_words(made: Backoff) -> dict[str, Any]:
    times = {"delay": checks.duration_text(round(made.delay_ms)), "max": checks.duration_text(round(made.max_ms))}
    return {"kind": made.kind, **times, "jitter": made.jitter}


def _dedup_words(made: Dedup) -> dict[str, Any]:
    ttl = {} if made.ttl_ms is None else {"ttl": checks.duration_text(made.ttl_ms)}
    return {"key": made.key, **ttl, "extend": made.extend, "replace": made.replace}


def _payload(clean: dict[str, Any]) -> Payload:
    made = Payload(**clean)
    try:
        made.decoder()
    except HubqueueError as error:
        hint = error.hint or f"a column is a name, or name:kind with {', '.join(COLUMN_KINDS)}"
        raise Wrong(error.message, hint=hint) from error
    return made


def _rule(clean: dict[str, Any]) -> Rule:
    named = _renamed(clean, delay="delay_ms", timeout="timeout_ms", ttl="ttl_ms", keep_trying="keep_trying_ms")
    options = Options(**{key: named.pop(key) for key in _OPTIONS if key in named})
    attempts = attempts_of(named.pop("attempts", None), options)
    made = Rule(**named, max_attempts=attempts, options=options)
    Routing([made])  # raises what only the whole rule shows, as a {part} the topic does not have
    return made


def _valid(parse: Any) -> Check:
    """Text that the engine's own parser accepts; the text itself is kept."""

    def check(value: Any) -> str:
        try:
            parse(checks.text(value))
        except HubqueueError as error:
            raise Wrong(error.message, value, hint=error.hint) from error
        return str(value)

    return check


def _renamed(clean: dict[str, Any], **names: str) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in clean.items()}
