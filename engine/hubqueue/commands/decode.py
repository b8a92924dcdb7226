"""From the body of a frame to a command struct, in at most two quick steps and one patient one.

1. Every command strictly, PUSH and PUSHB in their plain form. Nearly every frame ends here.
2. The same with the full form of PUSH and PUSHB.
3. `lenient.canonical` repairs what JavaScript clients may send (undefined, nulls, 3.0 for 3), then strictly
   again; what is still wrong becomes the protocol's error text.
Called by the servers. Whatever the bytes, the outcome is a command or BadRequest.
"""

from __future__ import annotations

import functools
import operator
from typing import Any, Final

import msgspec
from msgspec import Raw

from hubqueue.commands.enqueue import Push, PushB
from hubqueue.commands.flows import PushF
from hubqueue.commands.flowtexts import flow_error, flow_text
from hubqueue.commands.table import BY_NAME, COMMANDS, Request
from hubqueue.errors import HubqueueError, Invalid, UnknownCommand
from hubqueue.wire.fields import ABSENT, NULL, UNDEFINED
from hubqueue.wire.texts import protocol_text
from hubqueue.wire.tolerant import canonical

_union: Any = functools.partial(functools.reduce, operator.or_)
_plain: Final = msgspec.msgpack.Decoder(_union(each for each in COMMANDS if each not in (Push, PushB))).decode
_full: Final = msgspec.msgpack.Decoder(_union(BY_NAME.values())).decode
_fields: Final = msgspec.msgpack.Decoder(dict[str, Raw]).decode
_text: Final = msgspec.msgpack.Decoder(str).decode

_MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_FALSY: Final = (NULL, UNDEFINED, b"\xa0", b"\xc2", b"\x00")


class BadRequest(Exception):
    """A frame that is no command: the error to answer, and the reqId to answer it with."""

    def __init__(self, error: HubqueueError, req_id: Raw = ABSENT) -> None:
        super().__init__(error.message)
        self.error = error
        self.req_id = req_id


def decode_request(body: bytes) -> Request:
    """The command of a frame.

    Errors: BadRequest.
    """
    try:
        return _plain(body)  # type: ignore[no-any-return]
    except _MALFORMED:
        pass
    try:
        return _full(body)  # type: ignore[no-any-return]
    except _MALFORMED:
        return _decode_patiently(body)


def _decode_patiently(body: bytes) -> Request:
    fields = _read_fields(body)
    req_id = fields.get("reqId", ABSENT)
    name = _command_name(fields, req_id if _is_text(req_id) else ABSENT)
    struct = BY_NAME.get(name)
    if struct is None:
        raise BadRequest(UnknownCommand(f"Unknown command: {name[:100]}"), req_id)
    try:
        return _full(canonical(struct, fields))  # type: ignore[no-any-return]
    except Invalid as error:
        refused = Invalid(flow_text(error.message), hint=error.hint) if struct is PushF else error
        raise BadRequest(refused, req_id) from None
    except msgspec.ValidationError as error:
        raise BadRequest(refusal(struct, error), req_id) from None
    except _MALFORMED:
        raise BadRequest(Invalid("Invalid command format"), req_id) from None


def refusal(struct: type[Request], error: msgspec.ValidationError) -> Invalid:
    """What is wrong with the fields of a command, in the protocol's words."""
    return Invalid((flow_error if struct is PushF else protocol_text)(str(error)))


def _read_fields(body: bytes) -> dict[str, Raw]:
    try:
        return _fields(body)
    except msgspec.ValidationError as error:
        no_map = str(error).startswith("Expected `object`") and body != NULL
        text = "Invalid command" if no_map else "Invalid command format"
        raise BadRequest(Invalid(text)) from None
    except _MALFORMED:
        raise BadRequest(Invalid("Invalid command format")) from None


def _command_name(fields: dict[str, Raw], req_id: Raw) -> str:
    value = bytes(fields.get("cmd", ABSENT))
    if not value or value in _FALSY:
        raise BadRequest(Invalid("Invalid command"), req_id)
    try:
        return _text(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest(UnknownCommand("Unknown command: (not a string)"), req_id) from None


def _is_text(value: Raw) -> bool:
    first = bytes(value)[:1]
    return bool(first) and (0xA0 <= first[0] <= 0xBF or first[0] in (0xD9, 0xDA, 0xDB))
