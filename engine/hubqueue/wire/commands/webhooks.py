"""Commands of webhooks: events by HTTP."""

from __future__ import annotations

from hubqueue.wire.commands.base import Command


class AddWebhook(Command, tag="AddWebhook", gc=False, kw_only=True):
    """Send events of a queue, or of all, to a URL."""

    url: str = ""
    events: list[str]
    queue: str | None = None
    secret: str | None = None


class RemoveWebhook(Command, tag="RemoveWebhook", gc=False, kw_only=True):
    """Send no more events there."""

    webhook_id: str


class SetWebhookEnabled(Command, tag="SetWebhookEnabled", gc=False, kw_only=True):
    """Send events there, or do not for now."""

    id: str
    enabled: bool


class ListWebhooks(Command, tag="ListWebhooks", gc=False, kw_only=True):
    """All webhooks and how their deliveries went, without their secrets."""
