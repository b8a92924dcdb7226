"""The keys of a forwarder. The scheme of `to` chooses the kind of destination, which has keys of its own.

A new kind is a module of config/destinations/ and an entry of KINDS. `onward` is a forwarder without name and queue,
for those who give it a queue themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hubqueue.client.address import Tls
from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.destinations.http import HTTP
from hubqueue.config.destinations.hub import HUB
from hubqueue.config.destinations.influx import INFLUX
from hubqueue.config.destinations.kafka import KAFKA
from hubqueue.config.destinations.kind import Given, Kind
from hubqueue.config.destinations.mqtt import MQTT
from hubqueue.config.destinations.postgres import POSTGRES
from hubqueue.config.mistakes import Wrong
from hubqueue.config.queues import queue_name
from hubqueue.config.settings import Forward, Onward
from hubqueue.config.timeformat import time_zone
from hubqueue.forward.settings import ForwardSettings
from hubqueue.model.forwarding import check_forwarder_name
from hubqueue.model.hours import Hours, check_window
from hubqueue.model.limits import WRITE_TIMEOUT_S

KINDS: Final[tuple[Kind, ...]] = (HUB, MQTT, HTTP, INFLUX, POSTGRES, KAFKA)

_OF_SCHEME: Final = {scheme: kind for kind in KINDS for scheme in kind.schemes}
_TUNING: Final = {
    "concurrency": "concurrency",
    "batch": "batch",
    "rate_per_s": "rate_per_s",
    "backoff": "backoff_s",
    "backoff_cap": "backoff_cap_s",
}
_TLS: Final = ("ca_file", "cert_file", "key_file")


class Forwarders(checks.Each):
    """The list of forwarders: each name is one's only, and each queue."""

    def __init__(self, base: Path) -> None:
        super().__init__(forwarder(base))

    def __call__(self, value: Any) -> tuple[Forward, ...]:
        made: tuple[Forward, ...] = super().__call__(value)
        names, queues = [each.name or each.queue for each in made], [each.queue for each in made]
        for index, (name, queue) in enumerate(zip(names, queues, strict=True)):
            if queue in queues[:index]:
                hint = "a queue has one forwarder: a batch whose answer was lost must go to the same place again"
                raise Wrong("is another forwarder's queue already", queue, hint=hint, path=[index, "queue"])
            if name in names[:index]:
                raise Wrong("is another forwarder's name already", name, path=[index, "name"])
        return made


def forwarder(base: Path) -> Check:
    """The check of one forwarder, which becomes a Forward."""

    def build(clean: dict[str, Any]) -> Forward:
        queue, name = clean.pop("queue"), clean.pop("name", None)
        return _onward(clean).of(queue, name)

    keys = {"name": checks.from_engine(check_forwarder_name), "queue": queue_name, **_keys(base)}
    return checks.Section(keys, required=("queue", "to"), build=build)


def onward(base: Path) -> Check:
    """The check of a forwarder's way without its name and queue, which becomes an Onward."""
    return checks.Section(_keys(base), required=("to",), build=_onward)


def schedule() -> Check:
    return checks.Section(
        {"windows": checks.Each(checks.from_engine(check_window)), "timezone": time_zone},
        required=("windows",),
        build=_hours,
    )


def _keys(base: Path) -> Mapping[str, Check]:
    common = {
        "to": _to,
        "ca_file": checks.existing_file(base),
        "cert_file": checks.existing_file(base),
        "key_file": checks.existing_file(base),
        "concurrency": checks.integer(1, 64),
        "batch": checks.integer(1, 1000),
        "rate_per_s": checks.number(0.001, 1_000_000),
        "backoff": checks.duration_s(0.001, 3600),
        "backoff_cap": checks.duration_s(0.001, 3600),
        "write_timeout": checks.duration_s(0.01, 3600),
        "schedule": schedule(),
    }
    return common | {key: check for kind in KINDS for key, check in kind.keys(base).items()}


def _onward(clean: dict[str, Any]) -> Onward:
    to = clean["to"]
    scheme = _scheme(to)
    kind = _OF_SCHEME[scheme]
    own = kind.keys(Path())
    for other in KINDS:
        for key in other.keys(Path()):
            if key in clean and key not in own:
                hint = f"it is for {' and '.join(f'{scheme}://' for scheme in other.schemes)}"
                raise Wrong(f"makes no sense with {scheme}:// in 'to'", hint=hint, path=[key])
    given = Given(to, _tls(clean, kind, scheme), clean.get("write_timeout", WRITE_TIMEOUT_S))
    destination = kind.build(given, {key: clean[key] for key in own if key in clean})
    tuning = {target: clean[key] for key, target in _TUNING.items() if key in clean}
    return Onward(destination, ForwardSettings(**tuning), clean.get("schedule"), destination.url)


def _tls(clean: Mapping[str, Any], kind: Kind, scheme: str) -> Tls | None:
    files = {key: clean[key] for key in _TLS if key in clean}
    if not kind.schemes[scheme]:
        for name in files:
            encrypted = next((other for other, tls in kind.schemes.items() if tls), None)
            hint = f"write {encrypted}:// instead of {scheme}:// in 'to'" if encrypted else ""
            raise Wrong("makes no sense without encryption", hint=hint, path=[name])
        return None
    if "key_file" in files and "cert_file" not in files:
        raise Wrong("needs cert_file beside it", path=["key_file"])
    ca, cert, key = (str(files[name]) if name in files else None for name in _TLS)
    return Tls(ca, cert, key)


def _to(value: Any) -> str:
    kind = _OF_SCHEME.get(_scheme(checks.text(value)))
    if kind is None:
        return str(checks.url(*_OF_SCHEME)(value))
    return str(kind.url(value))


def _scheme(to: str) -> str:
    return to.partition("://")[0].lower()


def _hours(clean: dict[str, Any]) -> Hours:
    made = Hours(**clean)
    made.calendar()
    return made
