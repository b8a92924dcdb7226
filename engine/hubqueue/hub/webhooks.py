"""The webhooks of a hub: events that somebody wants by HTTP become jobs in the transaction that causes them.

So a delivery is exactly as durable as what it tells of. Without webhooks no event is built for them. `hooks.sender`
works the queue off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from hubqueue.errors import Busy, NotFound
from hubqueue.hub.events import Events
from hubqueue.hub.verbs import rows, settle
from hubqueue.hub.verbs.enqueue import admit
from hubqueue.model.job import Leased, NewJob, Options
from hubqueue.model.outcome import Fail, Reject
from hubqueue.model.retry import Backoff
from hubqueue.model.state import State
from hubqueue.model.verbs import Event
from hubqueue.model.webhook import NAMES, QUEUE, Delivery, Guard, Webhook, check_webhook
from hubqueue.store import webhooks
from hubqueue.store.store import Store
from hubqueue.store.tx import Tx
from hubqueue.system import System

log = logging.getLogger(__name__)

MAX_WEBHOOKS: Final = 1000
MAX_PENDING: Final = 10_000  # deliveries that wait; beyond it new ones are dropped and counted
MAX_DATA_BYTES: Final = 1024 * 1024  # of the user's data; more is left out of a delivery
ATTEMPTS: Final = 8  # with the back-off: after 1, 2, 4 ... 64 s
OPTIONS: Final = Options(backoff=Backoff(delay_ms=500, jitter=0.2), remove_on_complete=True)

_encode = msgspec.msgpack.Encoder().encode


class Webhooks:
    """All of them, by id; those that are enabled take part in every commit with events."""

    def __init__(self, store: Store, events: Events, allowed: Sequence[str], system: System) -> None:
        self.guard = Guard(allowed)
        self.dropped = 0
        self._store = store
        self._events = events
        self._system = system
        self._known: dict[str, Webhook] = {}
        self._wanted: dict[str, Callable[[], None]] = {}  # what ends the demand for events of an enabled one
        for webhook in webhooks.load(store.tx.db):
            self._keep(webhook.id, webhook)

    def find(self, id: str) -> Webhook | None:
        return self._known.get(id)

    def add(self, tx: Tx, url: str, events: Sequence[str], queue: str | None, secret: str | None) -> Webhook:
        """Errors: Invalid, Busy."""
        check_webhook(url, events, self.guard)
        if len(self._known) >= MAX_WEBHOOKS:
            raise Busy("Too many webhooks", hint="remove those that are not used")
        webhook = Webhook(self._system.uuid(), url, tuple(events), queue, secret or None)
        webhooks.put(tx, webhook)
        self._change(tx, webhook.id, webhook)
        return webhook

    def remove(self, tx: Tx, id: str) -> None:
        """Errors: NotFound."""
        self._must_know(id)
        webhooks.delete(tx, id)
        self._change(tx, id, None)

    def enable(self, tx: Tx, id: str, *, enabled: bool) -> None:
        """Errors: NotFound."""
        webhook = msgspec.structs.replace(self._must_know(id), enabled=enabled)
        webhooks.put(tx, webhook)
        self._change(tx, id, webhook)

    def every(self, tx: Tx) -> list[webhooks.Sent]:
        """All of them, oldest first, with how their deliveries went."""
        return webhooks.every(tx)

    def delivered(self, tx: Tx, leased: Leased, failure: Fail | Reject | None) -> None:
        """An attempt to deliver has ended. Errors: NotFound, LockLost."""
        if failure is None:
            settle.complete(tx, [(leased.job.id, leased.token, None, True)])
        else:
            settle.fail(tx, leased.job.id, leased.token, failure)
        webhooks.sent(tx, leased.job.name, well=failure is None)

    def prepare(self, tx: Tx) -> None:
        """Before the commit: a delivery for each event and webhook that wants it. A defect here costs no job."""
        if not self._wanted:
            return
        with tx.apart("Telling webhooks"):
            self._deliver(tx)

    def _deliver(self, tx: Tx) -> None:
        for event in tuple(tx.events):
            name = NAMES.get(event.kind)
            if name is None or event.queue == QUEUE:
                continue
            for id in self._wanted:
                webhook = self._known[id]
                if name in webhook.events and webhook.queue in (None, event.queue):
                    self._send(tx, webhook, name, event)

    def _send(self, tx: Tx, webhook: Webhook, name: str, event: Event) -> None:
        row = rows.queue_row(tx, QUEUE)
        if row.n[State.WAITING] + row.n[State.DELAYED] >= MAX_PENDING or self._store.disk_full:
            self.dropped += 1
            if self.dropped % MAX_PENDING == 1:
                log.warning("Webhooks are not delivered for want of room. dropped=%d", self.dropped)
            return
        data = event.data if len(event.data or b"") <= MAX_DATA_BYTES else None
        told = Delivery(name, event.at_ms, event.job_id, event.queue, data, event.error, event.progress)
        admit(tx, row, NewJob(name=webhook.id, data=_encode(told), max_attempts=ATTEMPTS, options=OPTIONS))

    def _must_know(self, id: str) -> Webhook:
        webhook = self._known.get(id)
        if webhook is None:
            raise NotFound("Webhook not found")
        return webhook

    def _change(self, tx: Tx, id: str, webhook: Webhook | None) -> None:
        before = self._known.get(id)
        tx.undo.append(lambda: self._keep(id, before))
        self._keep(id, webhook)

    def _keep(self, id: str, webhook: Webhook | None) -> None:
        unwanted = self._wanted.pop(id, None)
        if unwanted is not None:
            unwanted()
        if webhook is None:
            self._known.pop(id, None)
        else:
            self._known[id] = webhook
            if webhook.enabled and webhook.events:
                self._wanted[id] = self._events.subscribe(webhook.queue, _nobody)


def _nobody(event: Event) -> None:
    """Events must be built for `prepare`; after the commit nobody is left to tell."""
