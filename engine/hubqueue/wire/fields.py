"""Field types of the command structs: bounds are checked while decoding, in C.

Every number has bounds on both sides, so that nothing beyond SQLite's 64 bits gets in. `whole` marks numbers
that refuse fractions; all others are cut down to whole milliseconds (`wire.lenient`).
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from hubqueue.model.limits import (
    MAX_ATTEMPTS,
    MAX_BACKOFF_DELAY_MS,
    MAX_BLOBS,
    MAX_COUNT,
    MAX_CUSTOM_ID_CHARS,
    MAX_DELAY_MS,
    MAX_LEASE_BATCH,
    MAX_NAME_CHARS,
    MAX_PRIORITY,
    MAX_TAGS,
    MAX_TIME_MS,
    MAX_TIMEOUT_MS,
)

WHOLE: Final = {"whole": True}
MAX_WAIT_JOB_MS: Final = 600_000

Priority = Annotated[int, Meta(ge=-MAX_PRIORITY, le=MAX_PRIORITY, extra=WHOLE)]
Attempts = Annotated[int, Meta(ge=1, le=MAX_ATTEMPTS, extra=WHOLE)]
DelayMs = Annotated[int, Meta(ge=0, le=MAX_DELAY_MS)]
AnyDelayMs = Annotated[int, Meta(ge=-MAX_DELAY_MS, le=MAX_DELAY_MS)]  # negative means now
TimeoutMs = Annotated[int, Meta(ge=0, le=MAX_TIMEOUT_MS)]
LongPollMs = Annotated[int, Meta(ge=0, le=60_000)]
WaitJobMs = Annotated[int, Meta(ge=0, le=MAX_WAIT_JOB_MS)]
LeaseMs = float  # not checked: the hub keeps it between its own bounds
TimeMs = Annotated[int, Meta(ge=0, le=MAX_TIME_MS)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
BackoffMs = Annotated[float, Meta(ge=0, le=MAX_BACKOFF_DELAY_MS)]
BlobCount = Annotated[int, Meta(ge=1, le=MAX_BLOBS)]
LeaseCount = Annotated[int, Meta(ge=1, le=MAX_LEASE_BATCH)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
RepeatMs = Annotated[int, Meta(ge=1, le=MAX_DELAY_MS)]
Whole = Annotated[int, Meta(ge=-MAX_COUNT, le=MAX_COUNT)]
JobName = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARS)]
Tags = Annotated[
    list[Annotated[str, Meta(max_length=MAX_NAME_CHARS)]],
    Meta(max_length=MAX_TAGS, description="Jobs that carry all of these tags"),
]
JobId = Annotated[str, Meta(max_length=MAX_CUSTOM_ID_CHARS)]

ABSENT: Final = msgspec.Raw()  # the value of a Raw field that was not sent
UNDEFINED: Final = b"\xd4\x00\x00"  # MessagePack ext 0, which JavaScript clients send for "not there"
NULL: Final = b"\xc0"


def number(value: int) -> int | float:
    """An integer as JavaScript can read it: beyond 32 bits as a float, where it would become a BigInt."""
    return value if -0x8000_0000 <= value <= 0xFFFF_FFFF else float(value)


def value_bytes(raw: msgspec.Raw) -> bytes | None:
    """The user's value as bytes; None when it is absent. An explicit null stays b"\\xc0"."""
    if raw is ABSENT:
        return None
    value = bytes(raw)
    return None if value in (b"", UNDEFINED) else value
