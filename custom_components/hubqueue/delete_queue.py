"""Delete a queue: by an action, or by removing its device. What holds jobs goes only by force."""

from __future__ import annotations

from typing import Final

from homeassistant.exceptions import ServiceValidationError

from .client import HubClient
from .const import DOMAIN
from .errors import HubError

# Completed jobs hold nothing; those of a paused queue that wait are counted by themselves.
HOLDING: Final = ("waiting", "prioritized", "paused", "delayed", "active", "waiting-children", "failed")


async def async_delete_queue(client: HubClient, queue: str, *, force: bool = False) -> None:
    """Gone when it returns. Errors: HubError; ServiceValidationError: there is none, or jobs are in it."""
    try:
        await client.call("Obliterate", queue=queue, force=False)
    except HubError as error:
        if error.code == "not_found":
            key, told = "no_queue", {"queue": queue}
        elif error.code == "wrong_state" and force:
            await client.call("Obliterate", queue=queue, force=True)
            return
        elif error.code == "wrong_state":
            counts = (await client.call("GetJobCounts", queue=queue))["counts"]
            key = "queue_not_empty"
            told = {"queue": queue, "count": str(sum(int(counts[state]) for state in HOLDING))}
        else:
            raise
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key=key, translation_placeholders=told
        ) from error
