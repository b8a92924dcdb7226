"""User data to MessagePack bytes and back: the one form in which the engine carries data and results.

Plain Python values go in; what cannot be carried is refused by the name of its type. An aware datetime comes
back as it went in, a naive one as ISO text, sets and tuples as lists, dataclasses and msgspec Structs as dicts.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hubqueue.errors import Invalid, ProtocolError

NULL: Final = b"\xc0"

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()


def encode(value: object) -> bytes:
    """The bytes that carry this value.

    Errors: Invalid names the type that cannot be carried.
    """
    try:
        return _encoder.encode(value)
    except TypeError as error:
        raise Invalid(f"cannot carry this data: {error}", hint=_CARRIED) from error
    except OverflowError as error:
        raise Invalid("cannot carry an int beyond 64 bits", hint="send it as text") from error
    except UnicodeEncodeError as error:
        raise Invalid("cannot carry a str that is not valid Unicode", hint="send bytes") from error
    except RecursionError as error:
        raise Invalid("cannot carry data that contains itself or is nested too deeply") from error


def decode(data: bytes | None) -> Any:
    """The value carried by these bytes; None where there is no data."""
    if data is None:
        return None
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"data that is not valid MessagePack: {error}") from error


_CARRIED = "dict, list, str, bytes, int, float, bool, None and datetime can be carried"
