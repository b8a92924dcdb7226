"""Routes of the forwarders of a hub: listed, made, removed, paused, resumed, drained."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hubqueue.errors import Duplicate, NotFound, WrongState
from hubqueue.servers.http.rest.fields import QueueName
from hubqueue.servers.http.rest.operate import EMBEDDED
from hubqueue.servers.http.rest.route import Route


class Hours(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """When a forwarder may run, as in `22:00-06:00`."""

    windows: Annotated[
        list[Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$")]],
        Meta(min_length=1, max_length=50),
    ]
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET


class NewForwarder(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """From which queue, to where, how. token, ca_cert, client_cert: null takes back what is kept."""

    queue: QueueName
    to: Annotated[str, Meta(min_length=1, max_length=2048)]
    target: QueueName | UnsetType = UNSET
    token: Annotated[str, Meta(min_length=1, max_length=4096)] | UnsetType | None = UNSET
    ca_cert: Annotated[str, Meta(min_length=1, max_length=100_000)] | UnsetType | None = UNSET
    client_cert: Annotated[str, Meta(min_length=1, max_length=100_000)] | UnsetType | None = UNSET
    server_name: Annotated[str, Meta(min_length=1, max_length=253)] | UnsetType | None = UNSET
    verify: bool | UnsetType = UNSET
    durable: bool | UnsetType = UNSET
    schedule: Hours | UnsetType = UNSET
    rate: Annotated[float, Meta(ge=0.001, le=1_000_000)] | UnsetType = UNSET
    batch: Annotated[int, Meta(ge=1, le=1000)] | UnsetType = UNSET
    concurrency: Annotated[int, Meta(ge=1, le=64)] | UnsetType = UNSET


class Retiring(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """when_empty: it goes as soon as its queue holds nothing to forward."""

    when_empty: bool | UnsetType = UNSET


def _forwarder(deed: str, summary: str) -> Route:
    return Route(
        method="POST",
        path=f"/forwarders/{{name}}/{deed}",
        name=f"{deed}Forwarder",
        summary=summary,
        tag="forwarders",
        command=f"Forwarder{deed.capitalize()}",
        errors=(NotFound, WrongState, *EMBEDDED),
    )


ROUTES: Final = (
    Route(
        method="GET",
        path="/forwarders",
        name="listForwarders",
        summary="How the forwarders are doing",
        tag="forwarders",
        command="Forwarders",
        errors=EMBEDDED,
    ),
    Route(
        method="PUT",
        path="/forwarders/{name}",
        name="putForwarder",
        summary="Make a forwarder, or let the one of this name be another",
        tag="forwarders",
        command="ForwarderPut",
        body=NewForwarder,
        example={"queue": "readings", "to": "tls://central.example.com:6789", "token": "hq_example"},
        errors=(WrongState, Duplicate, *EMBEDDED),
    ),
    Route(
        method="DELETE",
        path="/forwarders/{name}",
        name="deleteForwarder",
        summary="End and forget a forwarder; its queue keeps the jobs",
        tag="forwarders",
        command="ForwarderDelete",
        query=Retiring,
        errors=(NotFound, WrongState, *EMBEDDED),
    ),
    _forwarder("pause", "Forward nothing until it is resumed"),
    _forwarder("resume", "Forward again"),
    _forwarder("drain", "Try at once what waits now or is delayed"),
)
