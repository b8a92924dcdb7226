"""Verbs of the forwarders that the job file keeps. `forward.fleet` runs them; it decides what may be asked."""

from __future__ import annotations

import msgspec

from hubqueue.errors import Busy
from hubqueue.hub.verbs import query
from hubqueue.model.forwarding import MAX_FORWARDERS, ForwardSpec, KeptForwarder
from hubqueue.store import forwarders
from hubqueue.store.tx import Tx


def every(tx: Tx) -> list[KeptForwarder]:
    """All that is kept, oldest first."""
    return forwarders.every(tx)


def put(tx: Tx, spec: ForwardSpec) -> None:
    """Errors: Busy when there are too many."""
    others = [kept for kept in forwarders.every(tx) if kept.spec is not None and kept.name != spec.name]
    if len(others) >= MAX_FORWARDERS:
        raise Busy(f"There are {MAX_FORWARDERS} forwarders already", hint="remove those that are not used")
    forwarders.put(tx, spec)


def delete(tx: Tx, name: str) -> None:
    forwarders.delete(tx, name)


def retire(tx: Tx, spec: ForwardSpec) -> bool:
    """Forget it if its queue holds nothing to forward; else keep that it is to be, then. Whether it is forgotten."""
    now = query.counts(tx, spec.queue)
    left = now.waiting + now.prioritized + now.paused + now.delayed + now.active + now.waiting_children
    if not left:
        forwarders.delete(tx, spec.name)
    elif not spec.retiring:
        forwarders.put(tx, msgspec.structs.replace(spec, retiring=True))
    return not left


def pause(tx: Tx, name: str, *, paused: bool) -> None:
    """Hold or let go; kept over a restart."""
    (forwarders.pause if paused else forwarders.resume)(tx, name)


def forget(tx: Tx, names: list[str]) -> None:
    """The configuration names these no more."""
    for name in names:
        forwarders.forget(tx, name)
