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

from . import trying
from .bounds import check_job
from .client import HubClient
from .const import ATTR_CONFIG_ENTRY_ID, ATTR_CREATE, ATTR_FORWARDER, ATTR_QUEUE, DOMAIN
from .delete_queue import async_delete_queue
from .errors import HubError
from .outbox import Outbox
from .outbox_entry import ONCE, Sent
from .try_now import async_try_now
from .trying import milliseconds

# Of these the hub, the link or the disk is the reason, not the caller.
OURS: Final = frozenset(
    [
        "link_down",
        "store_error",
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
LEASED: Final = {vol.Required("job_id"): cv.string, vol.Required("token"): cv.string}
JOB: Final = {
    vol.Optional("name"): cv.string,
    vol.Optional("data"): vol.Any(dict, list, str, int, float, bool, None),
    vol.Optional("job_id"): cv.string,
    vol.Optional("priority"): vol.All(vol.Coerce(int), vol.Range(-1_000_000, 1_000_000)),
    vol.Optional("delay"): trying.DELAY,
    **trying.FIELDS,
    vol.Optional("timeout"): trying.TIMEOUT,
    vol.Optional("unique_key"): cv.string,
    vol.Optional("replace"): cv.boolean,
    vol.Optional("group"): cv.string,
    vol.Optional("durable"): cv.boolean,
}


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
    def schema(self) -> vol.Schema:
        return vol.Schema({**ENTRY, **self.fields})


def failure(error: HubError, job_id: str | None = None) -> HomeAssistantError:
    """What a person is told of an error of the hub. job_id: of the job that it was asked about."""
    kind = HomeAssistantError if error.code in OURS or error.retryable else ServiceValidationError
    key, told = error.code if error.code in TOLD else "refused", {"error": error.message.removeprefix("jobs[0]: ")}
    if key == "not_found" and job_id is not None:
        key, told = "no_job", {"job": job_id}
    return kind(translation_domain=DOMAIN, translation_key=key, translation_placeholders=told)


def job_fields(given: Fields, *, forwarded: bool) -> dict[str, Any]:
    """The job that an action describes, as PUSHB takes it, with an id: it may be sent again. Errors: HubError."""
    fields: dict[str, Any] = {"customId": f"{ONCE}{ulid_now()}"}
    for ours, theirs in (
        ("name", "name"),
        ("data", "data"),
        ("job_id", "customId"),
        ("priority", "priority"),
        ("unique_key", "uniqueKey"),
        ("group", "groupId"),
        ("durable", "durable"),
    ):
        if ours in given:
            fields[theirs] = given[ours]
    for key in ("delay", "timeout"):
        if key in given:
            fields[key] = milliseconds(given[key])
    if given.get("replace"):
        fields["dedup"] = {"replace": True}
    check_job(fields)
    for field in ("keep_trying", "expires"):
        if field in given and "delay" in given and given[field] <= given["delay"]:
            raise HubError("invalid", f"{field} ({given[field]}) ends before the job is due (delay {given['delay']})")
    return fields | trying.options(given, forwarded=forwarded)


def shown(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job as automations see it."""
    return {
        "id": job["id"],
        "queue": job["queue"],
        "name": job["name"],
        "data": job.get("data"),
        "state": job.get("state"),
        "attempts": int(job["attempts"]),
        "max_attempts": trying.attempts_of(job),
        "priority": int(job["priority"]),
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
    await client.call("ACK", id=given["job_id"], token=given["token"], **result)
    return None


async def _fail(client: HubClient, given: Fields) -> Answer:
    await client.call(
        "FAIL", id=given["job_id"], token=given["token"], error=given["error"], unrecoverable=not given["retry"]
    )
    return None


async def _release(client: HubClient, given: Fields) -> Answer:
    await client.call("Release", id=given["job_id"], token=given["token"], delay=milliseconds(given["delay"]))
    return None


async def _extend(client: HubClient, given: Fields) -> Answer:
    reply = await client.call(
        "ExtendLock", id=given["job_id"], token=given["token"], duration=milliseconds(given["duration"])
    )
    return {"cancelled": reply["data"]["renewal"] == "cancelled"}


async def _get_job(client: HubClient, given: Fields) -> Answer:
    return {"job": shown((await client.call("GetJob", id=given["job_id"]))["job"])}


async def _list_jobs(client: HubClient, given: Fields) -> Answer:
    states = {"state": given["states"]} if given.get("states") else {}
    reply = await client.call("GetJobs", queue=given[ATTR_QUEUE], limit=given["limit"], asc=False, **states)
    return {"jobs": [shown(job) for job in reply["jobs"]]}


async def _retry(client: HubClient, given: Fields) -> Answer:
    one = {"jobId": given["job_id"]} if "job_id" in given else {}
    return {"count": int((await client.call("RetryDlq", queue=given[ATTR_QUEUE], **one))["count"])}


async def _try_now(client: HubClient, given: Fields) -> Answer:
    queues, forwarders = given[ATTR_QUEUE], given[ATTR_FORWARDER]
    if not queues and not forwarders:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="nothing_to_try")
    return {"count": await async_try_now(client, queues, forwarders)}


async def _cancel(client: HubClient, given: Fields) -> Answer:
    await client.call("Cancel", id=given["job_id"], active=given["active"])
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
ONE_JOB: Final = {vol.Required("job_id"): cv.string}
ANSWERS: Final = SupportsResponse.ONLY
SILENT: Final = SupportsResponse.NONE

ACTIONS: Final[Mapping[str, Action]] = {
    "enqueue": Action({**ON_QUEUE, **NEW_QUEUE, **JOB}, put=_enqueue),
    "enqueue_many": Action(
        {**ON_QUEUE, **NEW_QUEUE, vol.Required("jobs"): vol.All([JOB], vol.Length(1, 10_000))}, put=_enqueue_many
    ),
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
    "release": Action(
        {**LEASED, vol.Optional("delay", default=timedelta()): cv.positive_time_period}, _release, SILENT
    ),
    "extend": Action({**LEASED, vol.Required("duration"): cv.positive_time_period}, _extend),
    "get_job": Action(ONE_JOB, _get_job, ANSWERS, _admins),
    "list_jobs": Action(
        {
            **ON_QUEUE,
            vol.Optional("states"): vol.All(cv.ensure_list, [vol.In(STATES)]),
            vol.Optional("limit", default=50): vol.All(vol.Coerce(int), vol.Range(1, 1000)),
        },
        _list_jobs,
        ANSWERS,
        _admins,
    ),
    "retry": Action({**ON_QUEUE, vol.Optional("job_id"): cv.string}, _retry),
    "try_now": Action(
        {
            vol.Optional(ATTR_QUEUE, default=list): vol.All(cv.ensure_list, [QUEUE]),
            vol.Optional(ATTR_FORWARDER, default=list): vol.All(cv.ensure_list, [cv.string]),
        },
        _try_now,
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
