"""Routes of webhooks: events sent by HTTP."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hubqueue.errors import NotFound
from hubqueue.model.webhook import KINDS
from hubqueue.servers.http.rest.fields import QueueName
from hubqueue.servers.http.rest.route import Asked, Route

KIND_PATTERN: Final = f"^({'|'.join(re.escape(kind) for kind in KINDS)})$"
Kind = Annotated[str, Meta(pattern=KIND_PATTERN)]


class NewWebhook(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Where which events go. With a secret they are signed."""

    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    events: Annotated[list[Kind], Meta(min_length=1, max_length=100)]
    queue: QueueName | UnsetType = UNSET
    secret: Annotated[str, Meta(min_length=1, max_length=1024)] | UnsetType = UNSET


class Enabled(msgspec.Struct, forbid_unknown_fields=True):
    """Whether events are sent."""

    enabled: bool


async def _remove(asked: Asked) -> None:
    await asked.ask("RemoveWebhook", webhookId=asked.path["id"])


ROUTES: Final = (
    Route(
        method="GET",
        path="/webhooks",
        name="listWebhooks",
        summary="All webhooks",
        tag="webhooks",
        command="ListWebhooks",
    ),
    Route(
        method="POST",
        path="/webhooks",
        name="addWebhook",
        summary="Send events to a URL",
        tag="webhooks",
        command="AddWebhook",
        body=NewWebhook,
        example={"url": "https://hooks.example.com/jobs", "events": ["job.failed"]},
        status=201,
    ),
    Route(
        method="PATCH",
        path="/webhooks/{id}",
        name="switchWebhook",
        summary="Switch a webhook on or off",
        tag="webhooks",
        command="SetWebhookEnabled",
        body=Enabled,
        example={"enabled": False},
        errors=(NotFound,),
    ),
    Route(
        method="DELETE",
        path="/webhooks/{id}",
        name="removeWebhook",
        summary="Send no more events there",
        tag="webhooks",
        command="RemoveWebhook",
        errors=(NotFound,),
        run=_remove,
    ),
)
