"""The JSON that a webhook gets. What JSON cannot say is marked, never an error: data is whatever users stored."""

from __future__ import annotations

from typing import Any

import msgspec

from hubqueue.model.webhook import Delivery
from hubqueue.wire.jsondata import readable

_encode = msgspec.json.Encoder().encode


def body(delivery: Delivery) -> bytes:
    """The body of one request."""
    fields: dict[str, Any] = {
        "event": delivery.event,
        "timestamp": delivery.timestamp,
        "jobId": delivery.job_id,
        "queue": delivery.queue,
    }
    if delivery.data is not None:
        fields["data"] = readable(delivery.data)
    if delivery.error is not None:
        fields["error"] = delivery.error
    if delivery.progress is not None:
        fields["progress"] = delivery.progress
    return _encode(fields)
