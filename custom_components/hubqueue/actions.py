"""The actions: what each takes, and what the hub is asked to do. `services.py` registers them.

Rules: durations are Home Assistant's, the hub's are milliseconds; times of jobs come back as text in UTC; errors are
translated: ServiceValidationError for what the caller can change, HomeAssistantError for what the hub or the link did.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import probatio as vol
from homeassistant.core import SupportsResponse
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
from homeassistant.util.ulid import ulid_now

from . import job_options, trying
from .client import HubClient
from .const import ATTR_CONFIG_ENTRY_ID, ATTR_CREATE, ATTR_FORWARDER, ATTR_QUEUE, DOMAIN
from .delete_queue import async_delete_queue
from .durations import duration, milliseconds
from .errors import HubError
from .fields import only
from .outbox import Outbox
from .outbox_entry import ONCE, Sent
from .try_now import async_try_now

# Of these the hub, the link or the disk is the reason, not the caller.
OURS: Final = frozenset(
    [
        "link_down",
        "store_error",
        "internal",
        "disk_full",
        "queue_full",
        "draining",
        "busy",
        "incompatible",
        "outbox_full",
        "outbox_disk",
    ]
)
# Codes that have a text of their own.
TOLD: Final = frozenset(
    [
        "link_down",
        "not_found",
        "wrong_state",
        "lock_lost",
        "queue_full",
        "disk_full",
        "forbidden",
        "duplicate",
        "outbox_full",
        "outbox_disk",
    ]
)
FORWARDED: Final = "forwarded"  # no field of an action: whether a forwarder sends the jobs of the queue on
STATES: Final = ("waiting", "prioritized", "delayed", "active", "completed", "failed", "waiting-children")

type Fields = Mapping[str, Any]
type Answer = dict[str, Any] | None

QUEUE: Final = vol.All(cv.string, vol.Match(r"^[A-Za-z0-9_.:-]{1,256}$", msg="letters, digits and . _ : - only"))
ENTRY: Final = {vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string}
NEW_QUEUE: Final = {vol.Optional(ATTR_CREATE, default=False): cv.boolean}  # else a queue that nobody knows is an error
LEASED: Final = {vol.Required("id"): cv.string, vol.Required("token"): cv.string}
NEW_JOB: Final = {
    vol.Optional("name"): job_options.JOB_NAME,
    vol.Optional("data"): vol.Any(dict, list, str, int, float, bool, None),
    **job_options.FIELDS,
}
MANY_JOBS: Final = vol.All([only(NEW_JOB, job_options.ELSEWHERE)], vol.Length(1, 10_000))


def _anybody(_: Fields) -> bool:
    return False


def _admins(_: Fields) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Action:
    """One action: its fields, whether it answers, and whether it is for administrators.

    What it does: run needs the hub now; put gives jobs to the outbox, whether the hub is there or not.
    """

    fields: Mapping[Any, Any]
    run: Callable[[HubClient, Fields], Awaitable[Answer]] | None = None
    response: SupportsResponse = SupportsResponse.OPTIONAL
    for_admins: Callable[[Fields], bool] = _anybody
    put: Callable[[Outbox, Fields], Awaitable[Answer]] | None = None

    @property
    def schema(self) -> vol.All[Any]:
        return only({**ENTRY, **self.fields}, job_options.ELSEWHERE)


def failure(error: HubError, id: str | None = None) -> HomeAssistantError:
    """What a person is told of an error of the hub. id: of the job that it was asked about."""
    kind = HomeAssistantError if error.code in OURS or error.retryable else ServiceValidationError
    key, told = error.code if error.code in TOLD else "refused", {"error": error.message.removeprefix("jobs[0]: ")}
    if key == "not_found" and id is not None:
        key, told = "no_job", {"job": id}
    return kind(translation_domain=DOMAIN, translation_key=key, translation_placeholders=told)


def job_fields(given: Fields, *, forwarded: bool) -> dict[str, Any]:
    """The job that an action describes, as PUSHB takes it, with an id: it may be sent again. Errors: HubError."""
    job_options.check(given)
    job = {key: given[key] for key in ("name", "data") if key in given}
    if "parent" in given:
        job["data"] = job_options.with_parent(job.get("data"), given["parent"])
    return {"customId": f"{ONCE}{ulid_now()}", **job, **job_options.to_hub(trying.patient(given, forwarded=forwarded))}


def shown(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job as automations see it."""
    return {
        "id": job["id"],
        "queue": job["queue"],
        "name": job["name"],
        "data": job.get("data"),
        "state": job.get("state"),
        "attempts": trying.attempts_of(job),
        "attempts_made": int(job["attempts"]),
        "priority": int(job["priority"]),
        "group": job.get("groupId"),
        "tags": list(job.get("tags", ())),
        "result": job.get("returnvalue"),
        "error": job.get("failedReason"),
        "reason": job.get("reason"),
        "created_at": _time(job.get("createdAt")),
        "run_at": _time(job.get("runAt")),
        "ends_at": _time(job.get("endsAt")),
        "started_at": _time(job.get("startedAt")),
        "finished_at": _time(job.get("finishedAt") or job.get("completedAt")),
    }


def _time(at_ms: float | None) -> str | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, dt_util.UTC).isoformat()


async def _enqueue(outbox: Outbox, given: Fields) -> Answer:
    sent = await outbox.async_put(given[ATTR_QUEUE], [job_fields(given, forwarded=given[FORWARDED])])
    return {"id": sent.ids[0], **kept_here(sent)}


async def _enqueue_many(outbox: Outbox, given: Fields) -> Answer:
    jobs = [job_fields(job, forwarded=given[FORWARDED]) for job in given["jobs"]]
    sent = await outbox.async_put(given[ATTR_QUEUE], jobs)
    return {"ids": sent.ids, **kept_here(sent)}


def kept_here(sent: Sent) -> dict[str, Any]:
    """What an answer says besides ids while the hub does not have the jobs yet."""
    return {"kept": True} if sent.kept else {}


async def _complete(client: HubClient, given: Fields) -> Answer:
    result = {"result": given["result"]} if "result" in given else {}
    await client.call("ACK", id=given["id"], token=given["token"], **result)
    return None


async def _fail(client: HubClient, given: Fields) -> Answer:
    await client.call(
        "FAIL", id=given["id"], token=given["token"], error=given["error"], unrecoverable=not given["retry"]
    )
    return None


async def _release(client: HubClient, given: Fields) -> Answer:
    await client.call("Release", id=given["id"], token=given["token"], delay=milliseconds(given["delay"]))
    return None


async def _extend(client: HubClient, given: Fields) -> Answer:
    reply = await client.call(
        "ExtendLock", id=given["id"], token=given["token"], duration=milliseconds(given["duration"])
    )
    return {"cancelled": reply["data"]["renewal"] == "cancelled"}


async def _get_job(client: HubClient, given: Fields) -> Answer:
    return {"job": shown((await client.call("GetJob", id=given["id"]))["job"])}


async def _list_jobs(client: HubClient, given: Fields) -> Answer:
    asked = {"state": given["states"]} if given.get("states") else {}
    if tags := given.get("tags"):
        asked["tags"] = tags
    found: list[Mapping[str, Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        left = given["limit"] - len(found)
        reply = await client.call("GetJobs", queue=given[ATTR_QUEUE], limit=left, asc=False, **asked, **cursor)
        found += reply["jobs"]
        if not tags or reply["cursor"] is None or len(found) == given["limit"]:
            return {"jobs": [shown(job) for job in found]}
        cursor = {"cursor": reply["cursor"]}  # among many jobs those with tags are found a few at a time


async def _retry(client: HubClient, given: Fields) -> Answer:
    one = {"jobId": given["id"]} if "id" in given else {}
    return {"count": int((await client.call("RetryDlq", queue=given[ATTR_QUEUE], **one))["count"])}


async def _try_now(client: HubClient, given: Fields) -> Answer:
    queues, forwarders = given[ATTR_QUEUE], given[ATTR_FORWARDER]
    if not queues and not forwarders:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="nothing_to_try")
    return {"count": await async_try_now(client, queues, forwarders)}


async def _snooze(client: HubClient, given: Fields) -> Answer:
    if ("until" in given) == ("delay" in given):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="snooze_until_when")
    time = {"until": round(given["until"].timestamp() * 1000)} if "until" in given else {}
    wait = {"delay": milliseconds(given["delay"])} if "delay" in given else {}
    await client.call("Snooze", id=given["id"], **time, **wait)
    return None


async def _cancel(client: HubClient, given: Fields) -> Answer:
    await client.call("Cancel", id=given["id"], active=given["active"])
    return None


async def _purge(client: HubClient, given: Fields) -> Answer:
    cmd = "PurgeDlq" if given["what"] == "dead_letters" else "Drain"
    return {"count": int((await client.call(cmd, queue=given[ATTR_QUEUE]))["count"])}


async def _delete_queue(client: HubClient, given: Fields) -> Answer:
    await async_delete_queue(client, given[ATTR_QUEUE], force=given["force"])
    return None


def _for_queue(cmd: str) -> Callable[[HubClient, Fields], Awaitable[Answer]]:
    async def run(client: HubClient, given: Fields) -> Answer:
        await client.call(cmd, queue=given[ATTR_QUEUE])
        return None

    return run


async def _publish(client: HubClient, given: Fields) -> Answer:
    reply = await client.call("Publish", channel=given["channel"], data=given.get("data"))
    return {"receivers": int(reply["receivers"])}


async def _forward(client: HubClient, given: Fields) -> Answer:
    name = given["forwarder"]
    match given["operation"]:
        case "start":
            await client.call("ForwarderResume", name=name)
        case "stop":
            await client.call("ForwarderPause", name=name)
    for told in (await client.call("Forwarders"))["forwarders"]:
        if told["name"] == name:
            return {
                "link": told["link"],
                "paused": bool(told["paused"]),
                "waiting": int(told["waiting"]),
                "delayed": int(told["delayed"]),
                "in_flight": int(told["inFlight"]),
                "forwarded": int(told["forwarded"]),
                "error": told.get("error"),
            }
    raise HubError("not_found", f"There is no forwarder {name}")


ON_QUEUE: Final = {vol.Required(ATTR_QUEUE): QUEUE}
ONE_JOB: Final = {vol.Required("id"): cv.string}
ANSWERS: Final = SupportsResponse.ONLY
SILENT: Final = SupportsResponse.NONE

ACTIONS: Final[Mapping[str, Action]] = {
    "enqueue": Action({**ON_QUEUE, **NEW_QUEUE, **NEW_JOB}, put=_enqueue),
    "enqueue_many": Action({**ON_QUEUE, **NEW_QUEUE, vol.Required("jobs"): MANY_JOBS}, put=_enqueue_many),
    "complete": Action({**LEASED, vol.Optional("result"): object}, _complete, SILENT),
    "fail": Action(
        {
            **LEASED,
            vol.Optional("error", default="failed by an automation"): cv.string,
            vol.Optional("retry", default=True): cv.boolean,
        },
        _fail,
        SILENT,
    ),
    "release": Action({**LEASED, vol.Optional("delay", default=timedelta()): duration}, _release, SILENT),
    "extend": Action({**LEASED, vol.Required("duration"): duration}, _extend),
    "get_job": Action(ONE_JOB, _get_job, ANSWERS, _admins),
    "list_jobs": Action(
        {
            **ON_QUEUE,
            vol.Optional("states"): vol.All(cv.ensure_list, [vol.In(STATES)]),
            vol.Optional("tags"): job_options.FIELDS["tags"],
            vol.Optional("limit", default=50): vol.All(vol.Coerce(int), vol.Range(1, 1000)),
        },
        _list_jobs,
        ANSWERS,
        _admins,
    ),
    "retry": Action({**ON_QUEUE, vol.Optional("id"): cv.string}, _retry),
    "try_now": Action(
        {
            vol.Optional(ATTR_QUEUE, default=list): vol.All(cv.ensure_list, [QUEUE]),
            vol.Optional(ATTR_FORWARDER, default=list): vol.All(cv.ensure_list, [cv.string]),
        },
        _try_now,
    ),
    "snooze": Action(
        {
            **ONE_JOB,
            vol.Optional("until"): job_options.FIELDS["run_at"],
            vol.Optional("delay"): job_options.FIELDS["delay"],
        },
        _snooze,
        SILENT,
    ),
    "cancel": Action({**ONE_JOB, vol.Optional("active", default=False): cv.boolean}, _cancel, SILENT),
    "purge": Action(
        {**ON_QUEUE, vol.Required("what"): vol.In(("dead_letters", "waiting"))}, _purge, for_admins=_admins
    ),
    "pause": Action(ON_QUEUE, _for_queue("Pause"), SILENT, _admins),
    "resume": Action(ON_QUEUE, _for_queue("Resume"), SILENT, _admins),
    "delete_queue": Action(
        {**ON_QUEUE, vol.Optional("force", default=False): cv.boolean}, _delete_queue, SILENT, _admins
    ),
    "publish": Action({vol.Required("channel"): cv.string, vol.Optional("data"): object}, _publish),
    "forward": Action(
        {vol.Required("forwarder"): cv.string, vol.Required("operation"): vol.In(("start", "stop", "status"))},
        _forward,
        for_admins=lambda given: given["operation"] != "status",
    ),
}
