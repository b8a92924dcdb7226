"""What is in a parcel, for sinks that write something else than its bytes.

What goes wrong while that is made is the job's own fault, whatever it is: the other side has not been asked yet.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from hubqueue.errors import HubqueueError, ProtocolError
from hubqueue.expression import SHARED, UNITS, ExpressionFailed
from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.verdict import Rejected
from hubqueue.model.payload import decode

log = logging.getLogger(__name__)

NAMES: Final = ("data", "name", "queue", "id", "at_ms")  # what the templates and expressions of a sink may name


class Unfit(Exception):
    """This job cannot be written there, whatever is done about the other side."""

    def __init__(self, reason: str, code: str = "invalid") -> None:
        super().__init__(reason)
        self.rejected = Rejected(code, reason)


def data_of(parcel: OutboundJob) -> Any:
    """The decoded data, None where there is none. Errors: Unfit."""
    try:
        return decode(parcel.data)
    except ProtocolError as error:
        raise Unfit(error.message) from error


def names_of(parcel: OutboundJob, queue: str, data: Any) -> dict[str, Any]:
    """The values of NAMES."""
    return {"data": data, "name": parcel.name, "queue": queue, "id": parcel.id, "at_ms": parcel.at_ms, SHARED: [UNITS]}


def own_fault(error: Exception) -> Rejected:
    """Why a job cannot be written there, from what was raised while its record was made."""
    if isinstance(error, Unfit):
        return error.rejected
    if isinstance(error, HubqueueError):
        return Rejected("invalid", error.message)
    if isinstance(error, ExpressionFailed | ValueError):
        return Rejected("invalid", str(error))
    log.error("a job could not be given the form of its destination", exc_info=error)
    return Rejected("invalid", "it cannot be given the form that goes there; the log of the hub has the details")
