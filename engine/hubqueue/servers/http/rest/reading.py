"""A request read and checked: its path, its query, its body, its idempotency key.

Whatever comes, the outcome is values of the route's types or an error that names what is wrong.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

import msgspec
from aiohttp import ContentTypeError, web
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.web import HTTPException
from msgspec import inspect

from hubqueue.errors import Invalid, Malformed, NotAcceptable, PayloadTooLarge, Undecodable, UnsupportedMedia
from hubqueue.model.encoding import UTF_8_MARK
from hubqueue.model.jsontext import read_json
from hubqueue.model.limits import check_queue
from hubqueue.servers.http.idempotency import Idempotency
from hubqueue.servers.http.requestcontext import session_of
from hubqueue.servers.http.rest.fields import IN_PATH, IdempotencyKey
from hubqueue.servers.http.rest.route import Asked, Route
from hubqueue.wire.fieldhints import field_hint
from hubqueue.wire.texts import field_text, protocol_text
from hubqueue.wire.whole import converted

MAX_BODY_BYTES: Final = 16 * 1024 * 1024  # as a PUSHB has at most; decoding it takes some 60 ms of the loop
JSON: Final = "application/json"
KEY: Final = "Idempotency-Key"
ENCODINGS: Final = ("", "identity", "gzip", "deflate")

_AT: Final = re.compile(r" - at `\$\.(\w+)")  # the parameter that is wrong
_INTEGER: Final = re.compile(r"(-?[0-9]{1,18})(?:\.0*)?\Z")  # 1500.0 is as good as 1500
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?\Z")
_UNREAD: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_ANSWERS: Final = ("*/*", "application/*", JSON, "application/problem+json", "application/problem+*")


async def read(route: Route, request: web.Request) -> Asked:
    """Errors: Invalid, Malformed, UnsupportedMedia, NotAcceptable, PayloadTooLarge."""
    _check_accept(request)
    path = {name: _in_path(name, value) for name, value in request.match_info.items()}
    query = None if route.query is None else _query(request, route.query)
    if route.query is None and route.headers is None and request.query_string:
        raise Invalid("There are no query parameters here")
    asked = Asked(route, request, path, query)
    if route.body is not None:
        content = await body_of(request)
        asked.size = len(content)
        asked.body = None if not content and route.body_optional else _json_body(request, content, route)
        asked.once = once_of(asked, content) if route.enqueues else None
    elif route.enqueues and not route.media:
        asked.once = once_of(asked, b"")
    return asked


def _in_path(name: str, value: str) -> Any:
    return check_queue(value) if name == "queue" else convert(value, IN_PATH[name], name)


def once_of(asked: Asked, content: bytes) -> Idempotency | None:
    """What the idempotency key of a request stands for: for this token and path only. Errors: Invalid."""
    request = asked.request
    shown = request.headers.get(KEY)
    if shown is None:
        return None
    key = convert(shown, IdempotencyKey, KEY)
    grant = session_of(request).grant
    name = "" if grant is None else grant.name
    own = {name: value for name, value in sorted(request.headers.items()) if name.lower().startswith("x-hubqueue-")}
    place = msgspec.msgpack.encode((name, request.method, request.path, key))
    whole = msgspec.msgpack.encode((request.query_string, request.content_type, own, sha256(content).digest()))
    return Idempotency(sha256(place).digest(), sha256(whole).digest())


async def body_of(request: web.Request) -> bytes:
    """The body, unpacked. Errors: PayloadTooLarge, UnsupportedMedia, Malformed."""
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ENCODINGS:
        raise UnsupportedMedia(f"Content-Encoding {encoding[:40]!r} is not known", hint="send it plain, or as gzip")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_large()
    found = bytearray()
    try:
        async for chunk in request.content.iter_any():
            found += chunk
            if len(found) > MAX_BODY_BYTES:
                raise _too_large()
    except (BadHttpMessage, ContentTypeError, web.RequestPayloadError, HTTPException) as error:
        raise Malformed("The body does not come as its headers say", hint="check Content-Encoding") from error
    return bytes(found)


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge("The body is too large (max 16MB)", hint="send it in several requests")


def _json_body(request: web.Request, content: bytes, route: Route) -> Any:
    if not is_json(request.content_type):
        raise UnsupportedMedia(f"{request.content_type} is not taken here", hint="send JSON with Content-Type: " + JSON)
    return json_body(route, content)


def json_body(route: Route, content: bytes) -> Any:
    """The body as one of the route's types. Errors: as `decode_json`."""
    if route.plain is not None:
        try:
            return _decoder(route.plain)(content)
        except _UNREAD:
            pass  # the full form, or wrong
    return decode_json(content, route.body)


def is_json(content_type: str) -> bool:
    return content_type == JSON or (content_type.startswith("application/") and content_type.endswith("+json"))


def decode_json(content: bytes, kind: Any = Any) -> Any:
    """A JSON text as a value of this type. Of equal keys in an object the last one counts.

    Errors: Malformed, Invalid.
    """
    try:
        return _decoder(kind)(content.removeprefix(UTF_8_MARK))
    except _UNREAD:
        pass  # it may only be a number that is written with a point; else what follows says what is wrong
    try:
        return converted(read_json(content), kind)
    except Undecodable as error:
        raise Malformed(f"This is not valid JSON: {error.message.removeprefix('not JSON: ')}") from error
    except msgspec.ValidationError as error:
        raise Invalid(field_text(str(error)), hint=field_hint(str(error), kind)) from error


@functools.cache
def _decoder(kind: Any) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(kind).decode


def convert(value: Any, kind: Any, where: str) -> Any:
    """The value as one of this type. Errors: Invalid naming where it stood."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Invalid(f"{where}: {str(error).partition(' - at ')[0].replace('`', '')}") from error


def _query(request: web.Request, kind: type[msgspec.Struct]) -> Any:
    return read_texts(kind, {name: request.query.getall(name) for name in request.query})


def read_texts(kind: type[msgspec.Struct], texts: Mapping[str, list[str]]) -> Any:
    """Query parameters or headers as a struct. A list may be given by commas or by saying its name again.

    Errors: Invalid.
    """
    fields = _fields(kind)
    values: dict[str, Any] = {}
    for name, given in texts.items():
        read = fields.get(name)
        if read is None:
            raise Invalid(f"There is no parameter {name[:100]!r}", hint=f"there are: {', '.join(fields) or 'none'}")
        values[name] = read(name, given)
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        wrong = _AT.search(str(error))
        raise Invalid(protocol_text(str(error)), hint=_hints(kind).get(wrong[1], "") if wrong else "") from error


@functools.cache
def _hints(kind: type[msgspec.Struct]) -> Mapping[str, str]:
    """What a parameter may be, where that is said."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return {field.encode_name: _hint(field.type) for field in info.fields}


def _hint(kind: inspect.Type) -> str:
    match kind:
        case inspect.UnionType(types=types):
            return next(filter(None, map(_hint, types)), "")
        case inspect.Metadata(type=type, extra_json_schema=schema):
            return (schema or {}).get("description", "") or _hint(type)
        case inspect.ListType(item_type=item):
            return _hint(item)
        case inspect.LiteralType(values=values):
            return f"one of {', '.join(map(str, values))}"
        case inspect.EnumType(cls=cls):
            return f"one of {', '.join(str(each.value) for each in cls)}"
    return ""


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> Mapping[str, Callable[[str, list[str]], Any]]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return {field.encode_name: _reader(field.type) for field in info.fields}


def _reader(kind: inspect.Type) -> Callable[[str, list[str]], Any]:
    parts = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    for part in parts:
        while isinstance(part, inspect.Metadata):
            part = part.type
        if isinstance(part, inspect.ListType):
            return lambda name, given: [item for text in given for item in text.split(",")]
        if isinstance(part, inspect.IntType):
            return _integer
        if isinstance(part, inspect.FloatType):
            return _number
        if isinstance(part, inspect.BoolType):
            return _truth
    return _single


def _single(name: str, given: list[str]) -> str:
    if len(given) > 1:
        raise Invalid(f"{name} is given more than once")
    return given[0]


def _integer(name: str, given: list[str]) -> int:
    found = _INTEGER.match(_single(name, given))
    if found is None:
        raise Invalid(f"{name} must be an integer")
    return int(found[1])


def _number(name: str, given: list[str]) -> float:
    text = _single(name, given)
    if _NUMBER.match(text) is None:
        raise Invalid(f"{name} must be a number")
    return float(text)


def _truth(name: str, given: list[str]) -> bool:
    text = _single(name, given)
    if text not in ("true", "false"):
        raise Invalid(f"{name} must be true or false")
    return text == "true"


def _check_accept(request: web.Request) -> None:
    accept = request.headers.get("Accept")
    if not accept:
        return
    for part in accept.split(","):
        kind, *parameters = (word.strip().lower() for word in part.split(";"))
        if kind in _ANSWERS and "q=0" not in parameters:
            return
    raise NotAcceptable
