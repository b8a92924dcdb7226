"""Whether the hub takes jobs and its links are up: what `/ready`, the command line and a container's check ask."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from hubqueue.commands.call import Call, CallContext
from hubqueue.commands.command import READ, WHOLE_HUB, Command, command
from hubqueue.commands.operator import Forwarders, Rules
from hubqueue.errors import HubqueueError

STORE_S: Final = 2.0  # a store that answers later is not ready


@command(READ, WHOLE_HUB)
class Health(Command):
    """Whether the hub takes jobs and its links are up; `links` false leaves the links out."""

    links: bool = True

    async def handle(self, call: Call) -> dict[str, Any]:
        return await health(call.session.context, links=self.links)


async def health(context: CallContext, *, links: bool) -> dict[str, Any]:
    """`ready`, and each check that it is made of."""
    checks = [await _store(context), _check("intake", None if not context.hub.draining else "the hub is shutting down")]
    if links:
        checks += [*await _mqtt(context), *await _forwarders(context)]
    return {"ready": all(check["ok"] for check in checks), "checks": checks}


async def _store(context: CallContext) -> dict[str, Any]:
    """A transaction is opened, which takes the file's write lock."""
    try:
        async with asyncio.timeout(STORE_S):
            await context.hub.run(lambda tx: None)
    except TimeoutError:
        return _check("store", f"no answer within {STORE_S:g} s")
    except HubqueueError as error:
        return _check("store", str(error))
    return _check("store", "the disk is full: new jobs are refused" if context.hub.disk_full else None)


async def _mqtt(context: CallContext) -> list[dict[str, Any]]:
    broker = (await context.lent(Rules())).get("broker")
    if broker is None:
        return []
    links = broker["links"] or [{"lane": None, "up": False, "error": "not started yet"}]
    return [
        _check(f"mqtt:{link['lane']}" if link["lane"] else "mqtt", None if link["up"] else link["error"] or "down")
        for link in links
    ]


async def _forwarders(context: CallContext) -> list[dict[str, Any]]:
    """One that rests on purpose, paused or outside its hours, is as configured."""
    shown = (await context.lent(Forwarders())).get("forwarders", ())
    return [
        _check(f"forwarder:{each['name']}", None if each["link"] in ("up", "idle") else each["error"] or "down")
        for each in shown
    ]


def _check(name: str, trouble: str | None) -> dict[str, Any]:
    return {"name": name, "ok": trouble is None, "detail": trouble}
