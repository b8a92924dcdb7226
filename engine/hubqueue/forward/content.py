"""What is in a parcel, for sinks that write something else than its bytes."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.errors import ProtocolError
from hubqueue.forward.parcel import Parcel
from hubqueue.forward.verdict import Rejected
from hubqueue.model.payload import decode

NAMES: Final = ("data", "name", "queue", "id", "at_ms")  # what the templates and expressions of a sink may name


class Unfit(Exception):
    """This job cannot be written there, whatever is done about the other side."""

    def __init__(self, reason: str, code: str = "invalid") -> None:
        super().__init__(reason)
        self.rejected = Rejected(code, reason)


def data_of(parcel: Parcel) -> Any:
    """The decoded data, None where there is none. Errors: Unfit."""
    try:
        return decode(parcel.data)
    except ProtocolError as error:
        raise Unfit(error.message) from error


def names_of(parcel: Parcel, queue: str, data: Any) -> dict[str, Any]:
    """The values of NAMES."""
    return {"data": data, "name": parcel.name, "queue": queue, "id": parcel.id, "at_ms": parcel.at_ms}
