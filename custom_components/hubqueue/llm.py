"""Tools for language models: how the queues are, and dead letters: which there are, and run them again.

They are offered to assistants that manage Home Assistant itself, which there are since 2026.11 and which only
administrators may use; an assistant that controls devices gets none. Payloads of jobs are never told: nobody knows what
is in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, override

import probatio as vol
from homeassistant.components.llm import LLMTools
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_ID
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import llm
from homeassistant.util.json import JsonObjectType

from .actions import failure, shown
from .const import ATTR_QUEUE, DOMAIN
from .coordinator import HubqueueConfigEntry
from .errors import HubError
from .queues import async_check_queue
from .rights import async_admins_only

MANAGING: Final = "homeassistant"  # llm.LLM_API_HOME_ASSISTANT
HUB: Final = "hub"
MOST_QUEUES: Final = 100
MOST_DEAD: Final = 20
TOLD: Final = ("id", "name", "attempts_made", "error", "reason", "created_at", "finished_at")


@callback
def async_get_tools(hass: HomeAssistant, llm_context: llm.LLMContext, api_id: str) -> LLMTools | None:
    """Those of all hubs; none while there is none."""
    if api_id != MANAGING or not (hubs := _hubs(hass)):
        return None
    return LLMTools(tools=[QueueStatus(hubs), ListDeadLetters(hubs), RetryDeadLetters(hubs)])


class HubTool(llm.Tool):
    """A tool that asks a hub. fields: what it wants to be told, besides which hub where there are several."""

    integration = DOMAIN
    for_admins = False  # Home Assistant asks for one too, since 2026.11
    title: str
    fields: ClassVar[Mapping[Any, Any]]

    def __init__(self, hubs: dict[str, HubqueueConfigEntry]) -> None:
        which = {vol.Required(HUB, description="Name of the hub"): vol.In(sorted(hubs))} if len(hubs) > 1 else {}
        self.parameters = vol.Schema({**which, **self.fields})

    @override
    async def async_call(
        self, hass: HomeAssistant, tool_input: llm.ToolInput, llm_context: llm.LLMContext
    ) -> llm.ToolResult | JsonObjectType:
        if self.for_admins:
            await async_admins_only(hass, llm_context.context, self.title)
        given = self.parameters(tool_input.tool_args)
        hubs = _hubs(hass)
        entry = hubs[given[HUB]] if HUB in given else next(iter(hubs.values()))
        if ATTR_QUEUE in given:
            await async_check_queue(hass, entry, given[ATTR_QUEUE])
        try:
            answer = await self.ask(entry, given)
        except HubError as error:
            raise failure(error) from error
        return llm.ToolResult(answer) if hasattr(llm, "ToolResult") else answer  # since 2026.10

    async def ask(self, entry: HubqueueConfigEntry, given: dict[str, Any]) -> JsonObjectType:
        """Do it. Errors: HubError."""
        raise NotImplementedError


class QueueStatus(HubTool):
    """Counts, as the entities show them."""

    name = f"{DOMAIN}__queue_status"
    title = "Queue status"
    description = (
        "How the job queues of hubqueue are: jobs that wait, are delayed, are active now, have failed for good (dead "
        "letters), or were removed as their time was over (expired); whether a queue is paused, how old its oldest "
        "waiting job is, and whether uplinks to other hubs are up."
    )
    fields: ClassVar[Mapping[Any, Any]] = {vol.Optional(ATTR_QUEUE, description="Only this queue"): cv.string}

    @override
    async def ask(self, entry: HubqueueConfigEntry, given: dict[str, Any]) -> JsonObjectType:
        coordinator = entry.runtime_data.coordinator
        queues = [each for each in coordinator.data.queues.values() if given.get(ATTR_QUEUE, each.name) == each.name]
        queues.sort(key=lambda queue: (-queue.dead, -queue.waiting, queue.name))
        return {
            "connected": coordinator.client.connected,
            "queues": [
                {
                    "queue": each.name,
                    "paused": each.paused,
                    "waiting": each.waiting,
                    "delayed": each.delayed,
                    "active": each.active,
                    "failed": each.dead,
                    "expired": each.expired,
                    "oldest_waiting_seconds": each.oldest_s,
                }
                for each in queues[:MOST_QUEUES]
            ],
            "more_queues": max(0, len(queues) - MOST_QUEUES),
            "uplinks": [
                {"name": each.name, "queue": each.queue, "link": each.link, "waiting": each.waiting}
                for each in coordinator.data.links.values()
            ],
        }


class ListDeadLetters(HubTool):
    """The newest, without what is in them."""

    name = f"{DOMAIN}__list_dead_letters"
    title = "List dead letters"
    for_admins = True
    description = (
        "The newest dead letters of a queue: jobs that have failed for good, with their error, number of attempts and "
        "times. What is in a job is not told."
    )
    fields: ClassVar[Mapping[Any, Any]] = {
        vol.Required(ATTR_QUEUE, description="Name of the queue"): cv.string,
        vol.Optional("limit", default=10): vol.All(vol.Coerce(int), vol.Range(1, MOST_DEAD)),
    }

    @override
    async def ask(self, entry: HubqueueConfigEntry, given: dict[str, Any]) -> JsonObjectType:
        queue = given[ATTR_QUEUE]
        reply = await entry.runtime_data.client.call(
            "GetJobs", queue=queue, limit=given["limit"], asc=False, state=["failed"]
        )
        jobs = [shown(job) for job in reply["jobs"]]
        known = entry.runtime_data.coordinator.data.queues.get(queue)
        return {
            "dead_letters": [{key: job[key] for key in TOLD} for job in jobs],
            "total": len(jobs) if known is None else max(known.dead, len(jobs)),
        }


class RetryDeadLetters(HubTool):
    """All of a queue, or one."""

    name = f"{DOMAIN}__retry_dead_letters"
    title = "Retry dead letters"
    description = (
        "Run the dead letters of a queue again: one, by the id of its job, or all of them. Whatever the jobs do is "
        "done again, so do this only when asked to, and when the reason of the failures is gone."
    )
    fields: ClassVar[Mapping[Any, Any]] = {
        vol.Required(ATTR_QUEUE, description="Name of the queue"): cv.string,
        vol.Optional(ATTR_ID, description="Only this job; all dead letters of the queue without it"): cv.string,
    }

    @override
    async def ask(self, entry: HubqueueConfigEntry, given: dict[str, Any]) -> JsonObjectType:
        one = {"jobId": given[ATTR_ID]} if ATTR_ID in given else {}
        reply = await entry.runtime_data.client.call("RetryDlq", queue=given[ATTR_QUEUE], **one)
        return {"retried": int(reply["count"])}


def _hubs(hass: HomeAssistant) -> dict[str, HubqueueConfigEntry]:
    """The hubs there are, by name."""
    entries = hass.config_entries.async_entries(DOMAIN)
    return {entry.title: entry for entry in entries if entry.state is ConfigEntryState.LOADED}


if hasattr(llm, "ToolAnnotations"):  # since 2026.10
    for _reader in (QueueStatus, ListDeadLetters):
        _reader.annotations = llm.ToolAnnotations(read_only=True, destructive=False, idempotent=True, open_world=False)
    RetryDeadLetters.annotations = llm.ToolAnnotations(destructive=False)
