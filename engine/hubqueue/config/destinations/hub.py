"""Another hub, or a bunqueue server: tcp:// and tls://."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hubqueue.client.address import LinkSettings
from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.destinations.kind import Given, Kind, one_secret
from hubqueue.config.mistakes import Wrong
from hubqueue.config.queues import queue_name
from hubqueue.forward.destination import HubDestination
from hubqueue.model.forwarding import check_server_name

_TRUST: Final = ("server_name", "verify")  # as in Tls


def _keys(base: Path) -> Mapping[str, Check]:
    return {
        "target": queue_name,
        "token": checks.text,
        "token_file": checks.secret_file(base),
        "durable": checks.boolean,
        "server_name": checks.from_engine(check_server_name),
        "verify": checks.boolean,
    }


def _build(given: Given, clean: Mapping[str, Any]) -> HubDestination:
    trust = {key: clean[key] for key in _TRUST if key in clean}
    for key in trust if given.tls is None else ():
        raise Wrong("makes no sense without encryption", hint="write tls:// instead of tcp:// in 'to'", path=[key])
    tls = None if given.tls is None else replace(given.tls, **trust)
    link = replace(LinkSettings.from_url(given.to, token=one_secret(clean, "token")), tls=tls)
    return HubDestination(link, clean.get("target"), clean.get("durable", True), given.write_timeout_s)


HUB: Final = Kind({"tls": True, "tcp": False}, _keys, checks.url("tls", "tcp"), _build)
