"""Rules: which topics become jobs of which queue, and how. Values; `routing` compiles and runs them.

Every rule whose topic filter and condition take a message makes a job of it. A message that no filter takes, or
that cannot be decoded, is kept in the dead-letter queue of `_unroutable`; one that conditions leave out is done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from hubqueue.errors import Invalid
from hubqueue.model.dataname import escaped, queue_from_data
from hubqueue.model.decode import Payload
from hubqueue.model.job import DEFAULT_ATTEMPTS, PLAIN, NewJob, Options
from hubqueue.model.limits import check_int, check_name, check_new_job, check_queue
from hubqueue.model.topic import TopicFilter

MAIN_LANE: Final = ""

_PART = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LONE_PART = re.compile(r"(?<!\{)\{([A-Za-z_][A-Za-z0-9_]*)\}(?!\})")
_LANE = re.compile(r"[A-Za-z0-9_-]{0,32}\Z")
VALUES: Final = frozenset({"topic", "payload", "qos", "retain", "parts", "properties"})  # what expressions may name


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What becomes of messages on a topic.

    queue and name may use named parts of the topic, as in "{kind}". `where` is a Jinja2 expression, options.dedup.key
    and options.group are Jinja2 templates that may use parts so as well, over topic, payload, qos, retain, properties
    and the parts. A rule with a lane of its own has its own connection. on_full says what happens when the queue is
    full; qos is what the broker is asked for: 0, or 1 for at-least-once, which is also the way QoS 2 messages come.
    Units: delay_ms milliseconds.
    """

    topic: str
    queue: str
    name: str = "default"
    payload: Payload = field(default_factory=Payload)
    shape: Literal["message", "payload"] = "message"
    where: str | None = None
    retained: Literal["take", "skip"] = "take"
    qos: int = 1
    lane: str = MAIN_LANE
    on_full: Literal["overflow", "drop"] = "overflow"
    priority: int = 0
    delay_ms: int = 0
    max_attempts: int = DEFAULT_ATTEMPTS
    options: Options = PLAIN


def check_rule(rule: Rule, taken: TopicFilter) -> None:
    """Everything about a rule that can be known before a message comes, expressions apart.

    Errors: Invalid, the first mistake found.
    """
    for used in (*_PART.findall(rule.queue), *_PART.findall(rule.name)):
        if used not in taken.names:
            raise Invalid(f"{{{used}}} is not a named part of {rule.topic!r}", hint=_known(taken))
    for name in taken.names:
        if name in VALUES:
            raise Invalid(f"{{{name}}} cannot name a part of a topic", hint=f"reserved: {', '.join(sorted(VALUES))}")
    check_queue(_PART.sub("x", rule.queue))
    check_name(_PART.sub("x", rule.name))
    check_int("qos", rule.qos, 0, 2)
    if _LANE.match(rule.lane) is None:
        raise Invalid(f"lane {rule.lane!r} is not valid", hint="at most 32 letters, digits, _ and -")
    sample = NewJob(
        priority=rule.priority, delay_ms=rule.delay_ms, max_attempts=rule.max_attempts, options=rule.options
    )
    check_new_job(sample)


def as_template(text: str, taken: TopicFilter) -> str:
    """A template in which named parts stand as in a queue: "{room}" is "{{ room }}". Errors: Invalid."""

    def part(found: re.Match[str]) -> str:
        if found.group(1) not in taken.names:
            raise Invalid(f"{found.group()} is not a named part of {taken.text!r}", hint=_known(taken))
        return f"{{{{ {found.group(1)} }}}}"

    return _LONE_PART.sub(part, text)


def queue_of(rule: Rule, parts: dict[str, str]) -> str:
    """The queue for these parts; what queue names cannot have is escaped (model.dataname).

    Errors: Invalid for a name that is empty, too long, or that a sender made an internal one.
    """
    if not parts:
        return rule.queue
    queue = _PART.sub(lambda found: escaped(parts[found.group(1)]), rule.queue)
    return queue_from_data(queue, internal=rule.queue.startswith("_"))


def name_of(rule: Rule, parts: dict[str, str]) -> str:
    """The job name for these parts. Errors: Invalid for one that is empty or too long."""
    name = _PART.sub(lambda found: parts[found.group(1)], rule.name) if parts else rule.name
    check_name(name)
    return name


def _known(taken: TopicFilter) -> str:
    return f"it has {', '.join(taken.names)}" if taken.names else "name a level, as in sensors/{kind}/{room}"
