"""The keys of hubqueue.yaml: which there are, how each is checked, and the frozen value each section becomes.

Rules: a section's defaults live in its dataclass, never here; what concerns two keys of one section is checked
where the section is built; docs/config.md names every key (tested).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.mistakes import Wrong
from hubqueue.config.mqtt import mqtt
from hubqueue.config.queues import Queues, durability, queue_name, storage
from hubqueue.config.settings import Config, Forward, Handlers, HttpDoor, Ingress, Internal, Log, TcpDoor
from hubqueue.config.tokens import Tokens
from hubqueue.forward.settings import ForwardSettings
from hubqueue.hub.settings import HubSettings
from hubqueue.model.forwarding import check_forwarder_name
from hubqueue.model.hours import Hours, check_window


def config(base: Path) -> Check:
    """The check of a whole file; relative paths in it start from `base`."""
    return checks.Section(
        {
            "data_path": checks.file_path(base),
            "tcp": tcp(base),
            "http": http(base),
            "mqtt": mqtt(base),
            "forwarders": Forwarders(base),
            "handlers": handlers(base),
            "queues": Queues(),
            "durability": durability(),
            "storage": storage(),
            "webhooks": webhooks(),
            "log": log(),
            "timezone": _timezone,
            "drain": checks.duration_s(0, 600),
            "zeroconf": checks.boolean,
        },
        build=_config,
    )


def tcp(base: Path) -> Check:
    return checks.Section(
        {
            "host": checks.text,
            "port": checks.port,
            "tokens": Tokens(base),
            "token_file": checks.secret_file(base),
            "max_connections": checks.integer(1, 100_000),
            "tls": tls(base),
        },
        build=_tcp,
    )


def http(base: Path) -> Check:
    ingress = {"host": checks.text, "port": checks.port, "trusted": _address}
    return checks.Section(
        {
            "enabled": checks.boolean,
            "host": checks.text,
            "port": checks.port,
            "tls": tls(base),
            "names": checks.Each(checks.text),
            "max_connections": checks.integer(1, 100_000),
            "ingress": checks.Section(ingress, build=_as(Ingress)),
            "internal": checks.Section({"host": checks.text, "port": checks.port}, build=_as(Internal)),
        },
        build=lambda clean: HttpDoor(**(clean.pop("tls", None) or {}), **clean),
    )


def tls(base: Path) -> Check:
    files = {"cert_file": checks.existing_file(base), "key_file": checks.existing_file(base)}
    return checks.Section(files, required=files)


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
    return checks.Section(
        {
            "name": checks.from_engine(check_forwarder_name),
            "queue": queue_name,
            "to": checks.url("tls", "tcp"),
            "target": queue_name,
            "token": checks.text,
            "token_file": checks.secret_file(base),
            "ca_file": checks.existing_file(base),
            "cert_file": checks.existing_file(base),
            "key_file": checks.existing_file(base),
            "durable": checks.boolean,
            "concurrency": checks.integer(1, 64),
            "batch": checks.integer(1, 1000),
            "rate_per_s": checks.number(0.001, 1_000_000),
            "backoff": checks.duration_s(0.001, 3600),
            "backoff_cap": checks.duration_s(0.001, 3600),
            "write_timeout": checks.duration_s(0.01, 3600),
            "schedule": schedule(),
        },
        required=("queue", "to"),
        build=_forward,
    )


def schedule() -> Check:
    return checks.Section(
        {"windows": checks.Each(checks.from_engine(check_window)), "timezone": _timezone},
        required=("windows",),
        build=_hours,
    )


def handlers(base: Path) -> Check:
    return checks.Section(
        {
            "folder": checks.file_path(base),
            "max_memory": checks.size_bytes(64 * 1024 * 1024),
            "grace": checks.duration_s(0, 3600),
        },
        required=("folder",),
        build=lambda clean: Handlers(**_renamed(clean, max_memory="max_memory_bytes", grace="grace_s")),
    )


def webhooks() -> Check:
    return checks.Section({"allow": checks.Each(checks.text)}, build=_webhooks)


def log() -> Check:
    levels = checks.choice("debug", "info", "warning", "error")
    return checks.Section({"level": levels, "format": checks.choice("text", "json")}, build=_as(Log))


def _config(clean: dict[str, Any]) -> Config:
    sections = (clean.pop(key, {}) for key in ("durability", "storage", "queues", "webhooks"))
    settings = {key: value for section in sections for key, value in section.items()}
    if "timezone" in clean:
        settings["timezone"] = clean.pop("timezone")
    return Config(**_renamed(clean, drain="drain_s"), hub=HubSettings(**settings))


def _hours(clean: dict[str, Any]) -> Hours:
    made = Hours(**clean)
    made.calendar()
    return made


def _webhooks(clean: dict[str, Any]) -> dict[str, Any]:
    return {"webhook_hosts": tuple(clean.get("allow", ()))}


def _tcp(clean: dict[str, Any]) -> TcpDoor:
    tls = clean.pop("tls", None) or {}
    tokens = _one_secret(clean, "tokens", "token_file")
    return TcpDoor(**clean, **tls, tokens=tuple(tokens.splitlines()) if isinstance(tokens, str) else tokens or ())


def _forward(clean: dict[str, Any]) -> Forward:
    tuning = {
        target: clean.pop(key)
        for key, target in (
            ("concurrency", "concurrency"),
            ("batch", "batch"),
            ("rate_per_s", "rate_per_s"),
            ("backoff", "backoff_s"),
            ("backoff_cap", "backoff_cap_s"),
        )
        if key in clean
    }
    clean["token"] = _one_secret(clean, "token", "token_file")
    clean.setdefault("target", clean["queue"])
    encrypted = clean["to"].startswith("tls://")
    for key in ("ca_file", "cert_file", "key_file"):
        if key in clean and not encrypted:
            raise Wrong("makes no sense without encryption", hint="write tls:// instead of tcp:// in 'to'", path=[key])
    if ("key_file" in clean) and "cert_file" not in clean:
        raise Wrong("needs cert_file beside it", path=["key_file"])
    renamed = _renamed(clean, write_timeout="write_timeout_s", schedule="hours")
    return Forward(**renamed, settings=ForwardSettings(**tuning))


def _one_secret(clean: dict[str, Any], key: str, file_key: str) -> Any:
    """The secret from its key or its file; both at once would leave the reader guessing."""
    if key in clean and file_key in clean:
        raise Wrong(f"cannot be used together with {key}", hint="keep one of the two", path=[file_key])
    return clean.pop(file_key, None) or clean.pop(key, None)


def _timezone(value: Any) -> str:
    try:
        return ZoneInfo(checks.text(value)).key
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Wrong("is not a time zone that is known here", value, hint="as in Europe/Berlin or UTC") from error


def _address(value: Any) -> str:
    try:
        return str(ipaddress.ip_address(checks.text(value)))
    except ValueError as error:
        raise Wrong("must be an address", value, hint="as in 172.30.32.2") from error


def _renamed(clean: Mapping[str, Any], **names: str) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in clean.items()}


def _as(kind: Callable[..., Any]) -> Check:
    return lambda clean: kind(**clean)
