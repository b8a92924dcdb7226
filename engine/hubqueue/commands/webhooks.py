"""Commands of webhooks: events by HTTP."""

from __future__ import annotations

from typing import Any

import msgspec

from hubqueue.commands.call import Call
from hubqueue.commands.command import ADMIN, FILTERED, Command, Touched, command, queue_or_all
from hubqueue.model.limits import check_queue


class Webhook(msgspec.Struct, rename="camel", kw_only=True):
    """A webhook and how its deliveries went, without its secret."""

    id: str
    url: str
    events: list[str]
    queue: str | None
    created_at: int
    last_triggered: int | None
    success_count: int
    failure_count: int
    enabled: bool


class WebhookSums(msgspec.Struct):
    """How many there are, and how many are switched on."""

    total: int
    enabled: int


class Webhooks(msgspec.Struct):
    """All webhooks that the token may see."""

    webhooks: list[Webhook]
    stats: WebhookSums


class Added(msgspec.Struct, rename="camel", kw_only=True):
    """The new webhook."""

    webhook_id: str
    url: str
    events: list[str]
    queue: str | None
    created_at: int


@command(ADMIN, queue_or_all, answers=Added)
class AddWebhook(Command, kw_only=True):
    """Send events of a queue, or of all, to a URL."""

    url: str = ""
    events: list[str]
    queue: str | None = None
    secret: str | None = None

    def handle(self, call: Call) -> None:
        hooks = call.session.context.hub.webhooks
        queue = None if self.queue is None else check_queue(self.queue)

        def verb(tx: Any) -> Any:
            return hooks.add(tx, self.url, self.events, queue, self.secret), tx.now_ms

        def shape(added: Any) -> dict[str, Any]:
            webhook, now_ms = added
            return {
                "data": {
                    "webhookId": webhook.id,
                    "url": webhook.url,
                    "events": webhook.events,
                    "queue": webhook.queue,
                    "createdAt": float(now_ms),
                }
            }

        call.run(verb, shape)


@command(ADMIN, lambda command: Touched(webhooks=(command.webhook_id,)))
class RemoveWebhook(Command):
    """Send no more events there."""

    webhook_id: str

    def handle(self, call: Call) -> None:
        hooks = call.session.context.hub.webhooks
        call.run(lambda tx: hooks.remove(tx, self.webhook_id), lambda _: {"data": {"removed": True}})


@command(ADMIN, lambda command: Touched(webhooks=(command.id,)))
class SetWebhookEnabled(Command):
    """Send events there, or do not for now."""

    id: str
    enabled: bool

    def handle(self, call: Call) -> None:
        hooks = call.session.context.hub.webhooks
        call.run(lambda tx: hooks.enable(tx, self.id, enabled=self.enabled))


@command(ADMIN, FILTERED, answers=Webhooks)
class ListWebhooks(Command):
    """All webhooks and how their deliveries went, without their secrets."""

    def handle(self, call: Call) -> None:
        def shape(found: Any) -> dict[str, Any]:
            shown = [
                {
                    "id": each.webhook.id,
                    "url": each.webhook.url,
                    "events": each.webhook.events,
                    "queue": each.webhook.queue,
                    "createdAt": float(each.created_at_ms),
                    "lastTriggered": None if each.triggered_at_ms is None else float(each.triggered_at_ms),
                    "successCount": each.succeeded,
                    "failureCount": each.failed,
                    "enabled": each.webhook.enabled,
                }
                for each in found
                if call.sees(each.webhook.queue)
            ]
            enabled = sum(each["enabled"] for each in shown)
            return {"data": {"webhooks": shown, "stats": {"total": len(shown), "enabled": enabled}}}

        call.run(call.session.context.hub.webhooks.every, shape)
