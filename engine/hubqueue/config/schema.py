"""The keys of hubqueue.yaml: which there are, how each is checked, and the frozen value each section becomes.

Rules: a section's defaults live in its dataclass, never here; what concerns two keys of one section is checked
where the section is built; docs/config.md names every key (tested).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.forwarders import Forwarders
from hubqueue.config.mistakes import Wrong
from hubqueue.config.mqtt import mqtt
from hubqueue.config.patterns import FilePatterns
from hubqueue.config.queues import Queues, durability, storage
from hubqueue.config.settings import Config, Handlers, HttpDoor, Ingress, Internal, Log, TcpDoor
from hubqueue.config.sources import Sources
from hubqueue.config.timeformat import time_zone
from hubqueue.config.tokens import Tokens
from hubqueue.hub.settings import HubSettings


def config(base: Path) -> Check:
    """The check of a whole file; relative paths in it start from `base`."""
    return checks.Section(
        {
            "data_path": checks.file_path(base),
            "tcp": tcp(base),
            "http": http(base),
            "mqtt": mqtt(base),
            "forwarders": Forwarders(base),
            "sources": Sources(base),
            "handlers": handlers(base),
            "pipelines": FilePatterns(base),
            "queues": Queues(),
            "durability": durability(),
            "storage": storage(),
            "webhooks": webhooks(),
            "log": log(),
            "timezone": time_zone,
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
    return Config(**_renamed(clean, drain="drain_s", pipelines="pipeline_files"), hub=HubSettings(**settings))


def _webhooks(clean: dict[str, Any]) -> dict[str, Any]:
    return {"webhook_hosts": tuple(clean.get("allow", ()))}


def _tcp(clean: dict[str, Any]) -> TcpDoor:
    tls = clean.pop("tls", None) or {}
    tokens = _one_secret(clean, "tokens", "token_file")
    return TcpDoor(**clean, **tls, tokens=tuple(tokens.splitlines()) if isinstance(tokens, str) else tokens or ())


def _one_secret(clean: dict[str, Any], key: str, file_key: str) -> Any:
    """The secret from its key or its file; both at once would leave the reader guessing."""
    if key in clean and file_key in clean:
        raise Wrong(f"cannot be used together with {key}", hint="keep one of the two", path=[file_key])
    return clean.pop(file_key, None) or clean.pop(key, None)


def _address(value: Any) -> str:
    try:
        return str(ipaddress.ip_address(checks.text(value)))
    except ValueError as error:
        raise Wrong("must be an address", value, hint="as in 172.30.32.2") from error


def _renamed(clean: Mapping[str, Any], **names: str) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in clean.items()}


def _as(kind: Callable[..., Any]) -> Check:
    return lambda clean: kind(**clean)
