"""What schemathesis must know of our API beyond its document: SCHEMATHESIS_HOOKS names this file."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import schemathesis

LONGEST_WAIT_MS = 50  # of a long-poll: nobody shall wait for jobs that never come
WAIT = re.compile(r"([0-9]+)(ms|s|m)")
WHOLE = re.compile("[0-9]+")  # a number in a body, and its text in a query
UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000}
REFUSED_MS = 600_000  # what is longer is answered at once


@schemathesis.serializer("application/x-ndjson")
def as_lines(context: Any, value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=_bytes)


@schemathesis.serializer("application/msgpack")
def as_bytes(context: Any, value: Any) -> bytes:
    return msgspec.msgpack.encode(value, enc_hook=_bytes)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    for part in (case.body, case.query):
        if isinstance(part, dict) and WHOLE.fullmatch(span := str(part.get("timeout"))) and int(span) > LONGEST_WAIT_MS:
            part["timeout"] = LONGEST_WAIT_MS
    wait = WAIT.fullmatch(str(case.query.get("wait"))) if isinstance(case.query, dict) else None
    if wait is not None and LONGEST_WAIT_MS < int(wait[1]) * UNITS_MS[wait[2]] <= REFUSED_MS:
        case.query["wait"] = f"{LONGEST_WAIT_MS}ms"


def _bytes(binary: Any) -> bytes:
    """What schemathesis makes for the format `binary`."""
    return bytes(binary.data)
