"""The forwarders of a running hub: listed, made, removed, paused, resumed and drained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from hubqueue.commands import operator as commands
from hubqueue.commands.call import Operation
from hubqueue.forward.destination import HubDestination
from hubqueue.forward.forwarders import Forwarders
from hubqueue.forward.managed import ForwarderStatus
from hubqueue.forward.verdict import Down, Reason, Rejected, hint
from hubqueue.model.forwarding import SECRETS, ForwardSpec
from hubqueue.model.hours import Hours


def operations(fleet: Forwarders) -> Mapping[str, Operation]:
    async def forwarders(command: commands.Forwarders) -> dict[str, Any]:
        return {"forwarders": [shown(status) for status in await fleet.statuses()]}

    async def put(command: commands.ForwarderPut) -> dict[str, Any]:
        keep = {name for name in SECRETS if getattr(command, name) is UNSET}
        if command.test:
            return {"test": tried(await fleet.test(spec_of(command), keep=keep))}
        await fleet.put(spec_of(command), keep=keep)
        return {}

    async def delete(command: commands.ForwarderDelete) -> dict[str, Any]:
        await fleet.delete(command.name, when_empty=command.when_empty)
        return {}

    async def pause(command: commands.ForwarderPause) -> dict[str, Any]:
        await fleet.pause(command.name, paused=True)
        return {}

    async def resume(command: commands.ForwarderResume) -> dict[str, Any]:
        await fleet.pause(command.name, paused=False)
        return {}

    async def drain(command: commands.ForwarderDrain) -> dict[str, Any]:
        return {"waiting": await fleet.drain(command.name)}

    return {
        "Forwarders": forwarders,
        "ForwarderPut": put,
        "ForwarderDelete": delete,
        "ForwarderPause": pause,
        "ForwarderResume": resume,
        "ForwarderDrain": drain,
    }


def spec_of(command: commands.ForwarderPut) -> ForwardSpec:
    """What is to be kept; secrets that were not given are the fleet's to find."""
    schedule = command.schedule
    secrets: dict[str, Any] = {
        name: given or None for name in SECRETS if (given := getattr(command, name)) is not UNSET
    }
    return ForwardSpec(
        name=command.name or command.queue,
        queue=command.queue,
        to=command.to,
        target=command.target or None,
        durable=command.durable,
        hours=None if schedule is None else Hours(tuple(schedule.windows), schedule.timezone),
        rate_per_s=command.rate,
        batch=command.batch,
        concurrency=command.concurrency,
        backoff_ms=command.backoff,
        backoff_cap_ms=command.backoff_cap,
        write_timeout_ms=command.write_timeout,
        server_name=command.server_name or None,
        verify=command.verify,
        **secrets,
    )


def tried(found: Down | Rejected | None) -> dict[str, Any] | None:
    """What a test found, as ForwarderPut answers it; None: all is well."""
    match found:
        case Down(reason=reason, error=error):
            return {"reason": reason.value, "error": error, "hint": hint(reason, hub=True)}
        case Rejected(reason=error):
            return {"reason": Reason.PROTOCOL.value, "error": error, "hint": hint(Reason.PROTOCOL, hub=True)}
    return None


def shown(status: ForwarderStatus) -> dict[str, Any]:
    """A forwarder as `Forwarders` answers it: never its token. Units: milliseconds."""
    plan, now, span, trouble = status.plan, status.now, status.hours, status.trouble
    destination, tls = plan.destination, plan.destination.tls
    unsynced = isinstance(destination, HubDestination) and not destination.durable
    return {
        "name": plan.name,
        "declared": plan.declared,
        "queue": plan.queue,
        "to": destination.url,
        "target": destination.target or plan.queue,
        "paused": status.paused,
        "draining": status.draining,
        "retiring": status.retiring,
        "link": now.link.value,
        "linkSince": float(now.since_ms),
        "reason": now.reason,
        "error": now.error,
        "hint": None if trouble is None else hint(trouble.reason, hub=isinstance(destination, HubDestination)),
        "alert": now.alert,
        "retryIn": None if now.retry_in_s is None else int(now.retry_in_s * 1000),
        "open": span is None or span.open,
        "opensAt": None if span is None or span.open or span.until_ms is None else float(span.until_ms),
        "closesAt": None if span is None or not span.open or span.until_ms is None else float(span.until_ms),
        "waiting": now.waiting,
        "delayed": now.delayed,
        "inFlight": now.in_flight,
        "oldestMs": None if now.oldest_ms is None else float(now.oldest_ms),
        "forwarded": now.forwarded,
        "rejected": now.rejected,
        "released": now.released,
        "batches": now.batches,
        "losses": now.losses,
        "ratePerS": now.rate_per_s,
        "hasToken": destination.has_secret,
        "hasCaCert": tls is not None and tls.has_ca,
        "hasClientCert": tls is not None and tls.has_client_cert,
        "serverName": None if tls is None else tls.server_name,
        "verify": tls is None or tls.verify,
        "durable": not unsynced,
        "schedule": None
        if plan.hours is None
        else {"windows": list(plan.hours.windows), "timezone": plan.hours.timezone},
        "rate": plan.settings.rate_per_s,
        "batch": plan.settings.batch,
        "concurrency": plan.settings.concurrency,
        "backoff": int(plan.settings.backoff_s * 1000),
        "backoffCap": int(plan.settings.backoff_cap_s * 1000),
        "writeTimeout": int(destination.write_timeout_s * 1000),
    }
