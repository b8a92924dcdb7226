"""Field types of requests: their bounds are checked while decoding, and stand in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from hubqueue.model.limits import MAX_CUSTOM_ID_CHARS, MAX_LEASE_BATCH, MAX_LEASE_MS, MAX_NAME_CHARS, MIN_LEASE_MS

QUEUE_PATTERN: Final = r"^[A-Za-z0-9_.:\-]+$"
MAX_CHANNEL_CHARS: Final = 256

QueueName = Annotated[
    str, Meta(min_length=1, max_length=MAX_NAME_CHARS, pattern=QUEUE_PATTERN, description="Name of a queue")
]
Ref = Annotated[str, Meta(min_length=1, max_length=MAX_CUSTOM_ID_CHARS, description="Id of a job")]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARS)]
Token = Annotated[str, Meta(description="The lease token that came with the job")]
Text = Annotated[str, Meta(max_length=65_536)]
LeaseMs = Annotated[int, Meta(ge=MIN_LEASE_MS, le=MAX_LEASE_MS, description="How long the lease lasts, milliseconds")]
WaitMs = Annotated[int, Meta(ge=0, le=60_000, description="Longest wait, milliseconds")]
Limit = Annotated[int, Meta(ge=1, le=200, description="At most so many")]
Many = Annotated[int, Meta(ge=1, le=1_000_000)]
Refs = Annotated[list[Ref], Meta(min_length=1, max_length=MAX_LEASE_BATCH)]
IdempotencyKey = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        description="A request that is sent again with its key gets its first answer again, within 24 hours",
    ),
]

# What may stand in a path, by the name it has there.
IN_PATH: Final = {"queue": QueueName, "id": Ref, "name": Name, "method": Name, "channel": Name}
