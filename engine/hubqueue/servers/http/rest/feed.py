"""Routes for devices that can only POST: `feed` makes jobs of whatever they send, `invoke` asks a named handler."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from hubqueue.errors import Forbidden, Invalid, NotFound, UnsupportedMedia
from hubqueue.ingest.body import Layout, values_of
from hubqueue.model.access import Scope
from hubqueue.model.decode import TEXTS, Payload
from hubqueue.model.encoding import UTF_8
from hubqueue.model.flatoptions import flat, gathered
from hubqueue.model.limits import MAX_BATCH
from hubqueue.model.option import Door
from hubqueue.model.options import check_needs, new_job
from hubqueue.servers.http.requestcontext import session_of
from hubqueue.servers.http.rest.fields import Name
from hubqueue.servers.http.rest.formats import BYTES, LINES, MEDIA, charset_of, kind_of
from hubqueue.servers.http.rest.jobs import ENQUEUE_ERRORS, Ending, JobIds, ending
from hubqueue.servers.http.rest.reading import body_of, once_of, read_texts
from hubqueue.servers.http.rest.route import Answered, Asked, Route
from hubqueue.wire.joboptions import job_fields
from hubqueue.wire.optiontypes import given_of, leaf_type, table_fields

NAME: Final = "feed"
HEADER: Final = "x-hubqueue-"
UNITS_MS: Final = {"ms": 1, "s": 1000, "m": 60_000}
WAIT_PATTERN: Final = r"^[0-9]{1,5}(ms|s|m)$"
MAX_WAIT_MS: Final = 600_000

Wait = Annotated[str, Meta(pattern=WAIT_PATTERN, description="Longest wait, as in 500ms, 5s or 2m; at most 10m")]


Cell = Annotated[str, Meta(min_length=1, max_length=64)]


def _flat_name(name: str) -> str:
    return name.replace("_", "")


_FLAT: Final = {_flat_name(field.name): field for field in flat(Door.FEED)}

if TYPE_CHECKING:  # their fields come from the table
    from msgspec import Struct as _FeedOptions
    from msgspec import Struct as _InvokeOptions
else:
    _FeedOptions = msgspec.defstruct(
        "Options",
        [(name, leaf_type(field.leaf) | UnsetType, UNSET) for name, field in _FLAT.items()],
        kw_only=True,
        module=__name__,
    )
    _InvokeOptions = msgspec.defstruct(
        "Options", table_fields(Door.INVOKE), rename="camel", kw_only=True, module=__name__
    )


class FeedOptions(_FeedOptions, kw_only=True):
    """Options of the jobs, in the query or as X-Hubqueue-* headers; the query goes first. Times in milliseconds.

    dedup: the key, beside dedupttl, dedupextend and dedupreplace; backoff: the first delay, beside what begins so.
    explode: a JSON list, or the lines of a text, are a job each.
    kind: what the body is, before its content type. columns: of CSV without a header row, as in `temperature,id:text`.
    otherwise, nan, empty, encoding: how tolerant the reading is, as in a rule of MQTT; timezone, timeunit, times: how
    times are written, as there.
    """

    name: Name = NAME
    explode: bool = False
    columns: Annotated[list[Cell], Meta(max_length=100)] | UnsetType = UNSET
    delimiter: Annotated[str, Meta(pattern=r"^[,;|\t ]$")] = ","
    kind: Literal["json", "text", "number", "csv", "msgpack", "bytes"] | UnsetType = UNSET
    otherwise: Literal["number", "text", "bytes"] | UnsetType = UNSET
    nan: Literal["refuse", "null"] = "refuse"
    empty: Literal["refuse", "skip", "null"] | UnsetType = UNSET
    encoding: Annotated[str, Meta(min_length=1, max_length=40)] | UnsetType = UNSET
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    timeunit: Literal["s", "ms", "us", "ns"] | UnsetType = UNSET
    times: Annotated[list[Cell], Meta(max_length=100)] | UnsetType = UNSET


class Invocation(_InvokeOptions, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a handler gets, and how. Times in milliseconds. id: under which the same invocation runs once at a time."""

    data: Any = UNSET


class Patience(msgspec.Struct, kw_only=True):
    """How long to wait for the result; without it the answer is the job's id."""

    wait: Wait | UnsetType = UNSET


def _options(request: web.Request) -> FeedOptions:
    texts: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        if name.lower().startswith(HEADER):
            texts.setdefault(name.lower().removeprefix(HEADER).replace("-", ""), []).append(value)
    texts |= {name: request.query.getall(name) for name in request.query}
    found: FeedOptions = read_texts(FeedOptions, texts)
    return found


async def _feed(asked: Asked) -> Any:
    request = asked.request
    options = _options(request)
    content = await body_of(request)
    asked.once, asked.size = once_of(asked, content), len(content)
    values = values_of(content, _layout(request, options))
    if len(values) > MAX_BATCH:
        raise Invalid(f"This makes more than {MAX_BATCH} jobs", hint="send it in several requests")
    given = _given(options)
    if len(values) != 1 and given.keys() & {"id", "dedup"}:
        raise Invalid("id and dedup are for a single job", hint="leave them out, or do not explode")
    shared = job_fields(new_job(options.name, None, given))
    return await asked.ask_once("PUSHB", queue=asked.path["queue"], jobs=[shared | {"data": each} for each in values])


def _layout(request: web.Request, options: FeedOptions) -> Layout:
    """How the body is to be read. Errors: Invalid, UnsupportedMedia."""
    media = request.content_type if "Content-Type" in request.headers else BYTES
    kind = kind_of(media) if options.kind is UNSET else options.kind
    payload = Payload(
        kind,
        columns=() if options.columns is UNSET else tuple(options.columns),
        delimiter=options.delimiter,
        otherwise=None if options.otherwise is UNSET else options.otherwise,
        nan=options.nan,
        empty=None if options.empty is UNSET else options.empty,
        encoding=_encoding(request, options, kind),
        timezone=None if options.timezone is UNSET else options.timezone,
        time_unit=None if options.timeunit is UNSET else options.timeunit,
        times=() if options.times is UNSET else tuple(options.times),
    )
    payload.check()
    return Layout(payload, lines=kind == "json" and media in LINES, explode=options.explode)


def _encoding(request: web.Request, options: FeedOptions, kind: str) -> str:
    """As the options say, or else the content type of what is text."""
    if options.encoding is not UNSET:
        return options.encoding
    textual = kind in TEXTS or options.otherwise in TEXTS
    return charset_of(request.charset) if textual else UTF_8


def _given(options: FeedOptions) -> dict[str, Any]:
    """What was said of the jobs, by the names of the table. Errors: Invalid."""
    found = {field.name: value for name, field in _FLAT.items() if (value := getattr(options, name)) is not UNSET}
    given = gathered(Door.FEED, found, _flat_name)
    check_needs(given, lambda option: _flat_name(option.name))
    return given


async def _invoke(asked: Asked) -> Any:
    queue = asked.path["queue"]
    if queue.startswith("_"):
        raise Invalid(f"queue {queue!r} is internal")
    wait_ms = _wait_ms(asked.query.wait)
    if wait_ms is not None:
        _check_may_wait(asked)
    body = Invocation() if asked.body is None else asked.body
    given = given_of(body, Door.INVOKE)
    check_needs(given, lambda option: option.json)
    job = job_fields(new_job(asked.path["method"], None, given), "jobId")
    data = None if body.data is UNSET else body.data
    reply = await asked.ask_once("PUSH", queue=queue, **job, data=data)
    if wait_ms is None:
        return Answered({"id": reply["id"]}, 202)
    found = await ending(asked, reply["id"], wait_ms)
    return found if found["state"] in ("completed", "failed") else Answered(found, 202)


def _check_may_wait(asked: Asked) -> None:
    """Before the job is made: who then hears of an error would make it again. Errors: Forbidden."""
    grant = session_of(asked.request).grant
    if grant is None or not grant.allows(Scope.READ):
        raise Forbidden("To wait for a result needs the scope 'read'", hint="leave out wait, or add the scope")


def _wait_ms(text: str | UnsetType) -> int | None:
    if text is UNSET:
        return None
    found = re.match(r"(\d+)(\w+)", str(text))
    assert found is not None
    wait_ms = int(found[1]) * UNITS_MS[found[2]]
    if wait_ms > MAX_WAIT_MS:
        raise Invalid("wait is at most 10m", hint="ask for the result of the job again")
    return wait_ms


ROUTES: Final = (
    Route(
        method="POST",
        path="/queues/{queue}/feed",
        name="feed",
        summary="Make jobs of whatever a device sends",
        tag="devices",
        command="PUSHB",
        query=None,
        headers=FeedOptions,
        media=MEDIA,
        example={"temperature": 21.5},
        reply=JobIds,
        status=202,
        errors=(*ENQUEUE_ERRORS, UnsupportedMedia),
        enqueues=True,
        run=_feed,
    ),
    Route(
        method="POST",
        path="/queues/{queue}/invoke/{method}",
        name="invoke",
        summary="Queue a task for a named handler; with `wait` the answer is its result",
        tag="devices",
        command="PUSH",
        query=Patience,
        body=Invocation,
        body_optional=True,
        example={"data": {"room": "kitchen", "on": True}},
        reply=Ending,
        also={202: "It has not ended yet"},
        errors=(*ENQUEUE_ERRORS, NotFound),
        enqueues=True,
        run=_invoke,
    ),
)
