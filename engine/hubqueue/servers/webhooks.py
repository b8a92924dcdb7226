"""Handlers of webhooks."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.model.limits import check_queue
from hubqueue.servers.door import Call, Handlers
from hubqueue.wire.commands import webhooks as wire


def add_webhook(call: Call, command: wire.AddWebhook) -> None:
    hooks = call.session.door.hub.webhooks
    queue = None if command.queue is None else check_queue(command.queue)

    def verb(tx: Any) -> Any:
        return hooks.add(tx, command.url, command.events, queue, command.secret), tx.now_ms

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


def remove_webhook(call: Call, command: wire.RemoveWebhook) -> None:
    hooks = call.session.door.hub.webhooks
    call.run(lambda tx: hooks.remove(tx, command.webhook_id), lambda _: {"data": {"removed": True}})


def set_webhook_enabled(call: Call, command: wire.SetWebhookEnabled) -> None:
    hooks = call.session.door.hub.webhooks
    call.run(lambda tx: hooks.enable(tx, command.id, enabled=command.enabled))


def list_webhooks(call: Call, command: wire.ListWebhooks) -> None:
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

    call.run(call.session.door.hub.webhooks.every, shape)


HANDLERS: Final[Handlers] = {
    wire.AddWebhook: add_webhook,
    wire.RemoveWebhook: remove_webhook,
    wire.SetWebhookEnabled: set_webhook_enabled,
    wire.ListWebhooks: list_webhooks,
}
