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
from hubqueue.config.queues import queue_name
from hubqueue.forward.destination import HubDestination


def _keys(base: Path) -> Mapping[str, Check]:
    return {
        "target": queue_name,
        "token": checks.text,
        "token_file": checks.secret_file(base),
        "durable": checks.boolean,
    }


def _build(given: Given, clean: Mapping[str, Any]) -> HubDestination:
    link = replace(LinkSettings.from_url(given.to, token=one_secret(clean, "token")), tls=given.tls)
    return HubDestination(link, clean.get("target"), clean.get("durable", True), given.write_timeout_s)


HUB: Final = Kind({"tls": True, "tcp": False}, _keys, checks.url("tls", "tcp"), _build)
