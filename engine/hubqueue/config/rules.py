"""The keys of one MQTT rule (mqtt.rules[n]) and the Rule they become. The words are those of mqtt.rules.Rule."""

from __future__ import annotations

from typing import Any

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.mistakes import Wrong
from hubqueue.errors import HubqueueError
from hubqueue.model import limits
from hubqueue.model.job import Dedup, Options
from hubqueue.model.retry import Backoff
from hubqueue.model.topic import TopicFilter
from hubqueue.mqtt.decode import COLUMN_KINDS, DELIMITERS, KINDS, Payload
from hubqueue.mqtt.expression import Condition, Text
from hubqueue.mqtt.routing import Routing
from hubqueue.mqtt.rules import Rule

_OPTIONS = (
    "backoff",
    "timeout_ms",
    "ttl_ms",
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


class PayloadCheck:
    """The name of a decoder, or `{kind: csv, columns: [...], delimiter: ";"}`."""

    def __init__(self) -> None:
        self.check = checks.Section(
            {
                "kind": checks.choice(*KINDS),
                "columns": checks.Each(checks.text),
                "delimiter": checks.choice(*DELIMITERS),
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


def _payload(clean: dict[str, Any]) -> Payload:
    made = Payload(**clean)
    try:
        made.decoder()
    except HubqueueError as error:
        hint = error.hint or f"a column is a name, or name:kind with {', '.join(COLUMN_KINDS)}"
        raise Wrong(error.message, hint=hint) from error
    return made


def _rule(clean: dict[str, Any]) -> Rule:
    named = _renamed(clean, delay="delay_ms", attempts="max_attempts", timeout="timeout_ms", ttl="ttl_ms")
    options = Options(**{key: named.pop(key) for key in _OPTIONS if key in named})
    made = Rule(**named, options=options)
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
