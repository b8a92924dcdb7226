"""Whether the hub takes jobs and its links are up: what `/ready`, the command line and a container's check ask."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from hubqueue.errors import HubqueueError
from hubqueue.servers.door import Call, Door, Handlers
from hubqueue.wire.commands import operate
from hubqueue.wire.commands import session as wire

STORE_S: Final = 2.0  # a store that answers later is not ready


async def check_health(call: Call, command: wire.Health) -> dict[str, Any]:
    return await health(call.session.door, links=command.links)


async def health(door: Door, *, links: bool) -> dict[str, Any]:
    """`ready`, and each check that it is made of."""
    checks = [await _store(door), _check("intake", None if not door.hub.draining else "the hub is shutting down")]
    if links:
        checks += [*await _mqtt(door), *await _forwarders(door)]
    return {"ready": all(check["ok"] for check in checks), "checks": checks}


async def _store(door: Door) -> dict[str, Any]:
    """A transaction is opened, which takes the file's write lock."""
    try:
        async with asyncio.timeout(STORE_S):
            await door.hub.run(lambda tx: None)
    except TimeoutError:
        return _check("store", f"no answer within {STORE_S:g} s")
    except HubqueueError as error:
        return _check("store", str(error))
    return _check("store", "the disk is full: new jobs are refused" if door.hub.disk_full else None)


async def _mqtt(door: Door) -> list[dict[str, Any]]:
    broker = (await door.lent(operate.Rules())).get("broker")
    if broker is None:
        return []
    links = broker["links"] or [{"lane": None, "up": False, "error": "not started yet"}]
    return [
        _check(f"mqtt:{link['lane']}" if link["lane"] else "mqtt", None if link["up"] else link["error"] or "down")
        for link in links
    ]


async def _forwarders(door: Door) -> list[dict[str, Any]]:
    """One that rests on purpose, paused or outside its hours, is as configured."""
    shown = (await door.lent(operate.Forwarders())).get("forwarders", ())
    return [
        _check(f"forwarder:{each['name']}", None if each["link"] in ("up", "idle") else each["error"] or "down")
        for each in shown
    ]


def _check(name: str, trouble: str | None) -> dict[str, Any]:
    return {"name": name, "ok": trouble is None, "detail": trouble}


HANDLERS: Final[Handlers] = {wire.Health: check_health}
