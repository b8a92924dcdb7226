"""Rules: which topics become jobs of which queue, and how. Values; `routing` compiles and runs them.

Every rule whose topic filter and condition take a message makes a job of it. A message that no filter takes, or
that cannot be decoded, is kept in the dead-letter queue of `_unroutable`; one that conditions leave out is done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from hubqueue.errors import Invalid
from hubqueue.ingest.into import Into, Shape
from hubqueue.model.limits import check_int
from hubqueue.model.topic import TopicFilter

MAIN_LANE: Final = ""

_LONE_PART = re.compile(r"(?<!\{)\{([A-Za-z_][A-Za-z0-9_]*)\}(?!\})")
_LANE = re.compile(r"[A-Za-z0-9_-]{0,32}\Z")
OF_TOPIC: Final = frozenset({"topic", "parts"})  # what expressions may name beside the parts of a topic: known with it,
VALUES: Final = OF_TOPIC | {"payload", "qos", "retain", "properties"}  # and with the message


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Into):
    """What becomes of messages on a topic.

    Templates may use the named parts of the topic as in "{kind}", too. Expressions and templates are over VALUES and
    the parts. A rule with a lane of its own has its own connection. qos is what the broker is asked for: 0, or 1 for
    at-least-once, which is also the way QoS 2 messages come.
    """

    topic: str
    shape: Shape = "message"
    retained: Literal["take", "skip"] = "take"
    qos: int = 1
    lane: str = MAIN_LANE
    on_full: Literal["overflow", "drop"] = "overflow"


def check_rule(rule: Rule, taken: TopicFilter) -> None:
    """What a rule says beside what every door says. Errors: Invalid, the first mistake found."""
    for name in taken.names:
        if name in VALUES:
            raise Invalid(f"{{{name}}} cannot name a part of a topic", hint=f"reserved: {', '.join(sorted(VALUES))}")
    check_int("qos", rule.qos, 0, 2)
    if _LANE.match(rule.lane) is None:
        raise Invalid(f"lane {rule.lane!r} is not valid", hint="at most 32 letters, digits, _ and -")


def as_template(text: str, taken: TopicFilter) -> str:
    """A text in which named parts stand as in a topic: "{room}" is "{{ room }}". Errors: Invalid."""

    def part(found: re.Match[str]) -> str:
        if found.group(1) not in taken.names:
            hint = f"it has {', '.join(taken.names)}" if taken.names else "name a level, as in sensors/{kind}/{room}"
            raise Invalid(f"{found.group()} is not a named part of {taken.text!r}", hint=hint)
        return f"{{{{ {found.group(1)} }}}}"

    return _LONE_PART.sub(part, text)
