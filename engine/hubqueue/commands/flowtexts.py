"""The words of PUSHF for what is wrong with a field: other than those of PUSH, and without the number of the entry.

Source: docs/protocol.md, PUSHF.
"""

from __future__ import annotations

import re
from typing import Final

from hubqueue.model.limits import (
    MAX_ATTEMPTS,
    MAX_BACKOFF_DELAY_MS,
    MAX_DELAY_MS,
    MAX_PRIORITY,
    MAX_TIME_MS,
    MAX_TIMEOUT_MS,
)
from hubqueue.wire.texts import protocol_text

_ENTRY = re.compile(r"\Ajobs\[[^\]]*\](?:: |\.)(?:input\.)?")
_PLACE = re.compile(r"at `\$\.jobs\[[^\]]*\]\.(?:input\.)?")
_BOUND = re.compile(r"\A(?P<field>[\w.]+) must be at (?:least|most) ")
_NUMBER = re.compile(r"\A(?P<field>[\w.]+) must be a number\Z")
_IDS = re.compile(r"\A(?P<field>dependsOn|childrenIds)\b")
_BOUNDS: Final = {
    "priority": (-MAX_PRIORITY, MAX_PRIORITY),
    "attempts": (1, MAX_ATTEMPTS),
    "delay": (0, MAX_DELAY_MS),
    "ttl": (0, MAX_DELAY_MS),
    "keepTrying": (0, MAX_DELAY_MS),
    "timeout": (0, MAX_TIMEOUT_MS),
    "stallTimeout": (0, MAX_TIMEOUT_MS),
    "backoff": (0, MAX_BACKOFF_DELAY_MS),
    "backoff.delay": (0, MAX_BACKOFF_DELAY_MS),
    "backoff.maxDelay": (0, MAX_BACKOFF_DELAY_MS),
    "stackTraceLimit": (0, 10_000),
    "timestamp": (0, MAX_TIME_MS),
    "runAt": (0, MAX_TIME_MS),
}
_WHOLE: Final = {
    "jobs is required": "flow jobs must be an array",
    "jobs must be an array": "flow jobs must be an array",
    "id is required": "flow job id must be a string",
    "id must be a string": "flow job id must be a string",
    "Queue name is required": "invalid flow queue",
}


def flow_error(message: str) -> str:
    """The text for a msgspec ValidationError."""
    return flow_text(protocol_text(_PLACE.sub("at `$.", message)))


def flow_text(text: str) -> str:
    """PUSHF's text for one that PUSH or PUSHB would give."""
    text = _ENTRY.sub("", text).replace("maxAttempts", "attempts", 1)
    known = _WHOLE.get(text)
    if known is not None:
        return known
    if ids := _IDS.match(text):
        return f"{ids['field']} must be an array of valid string job ids"
    if number := _NUMBER.match(text):
        return f"{number['field']} must be a finite number"
    bound = _BOUND.match(text)
    if bound and bound["field"] in _BOUNDS:
        low, high = _BOUNDS[bound["field"]]
        return f"{bound['field']} must be between {low} and {high}"
    return text
