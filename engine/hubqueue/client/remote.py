"""The typed client of a hub over TCP, answered by another process or machine.

Sending again after a lost link is safe for what is sent again: a job without a custom id gets one here
(`once:...`, which a hub answers with the job it already made), an enqueue of own ids has a key of its own, settling is
proved by the lease token, and a lease whose answer was lost is given back by the hub. Verbs for which that is not so
raise AnswerLost instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Self

import msgspec

from hubqueue.client import replies
from hubqueue.client.address import LinkSettings
from hubqueue.client.connection import Connection
from hubqueue.client.hubclient import A, HubClient
from hubqueue.client.jobmap import job_of, raw, schedule_fields
from hubqueue.client.polls import Polls
from hubqueue.client.replies import event_of, message_of, read
from hubqueue.client.settling import settle_fields
from hubqueue.errors import AnswerLost, LinkDown, LockLost, NotFound, ProtocolError, WrongState
from hubqueue.model.channel import ChannelMessage
from hubqueue.model.job import Enqueueable, Job, Leased
from hubqueue.model.outcome import Blob, Complete, Output, Release, Settlement
from hubqueue.model.schedule import Schedule
from hubqueue.model.state import LABELS, TERMINAL, State, words_of
from hubqueue.model.verbs import Counts, Event, Page, QueueInfo, Renewal
from hubqueue.system import SYSTEM, System
from hubqueue.wire.fields import number
from hubqueue.wire.joboptions import job_fields

ONCE: Final = "once:"  # custom ids made here; a hub keeps them idempotent for an hour after the job has finished
ONCE_BYTES: Final = 16  # no two are the same
EVERY_QUEUE: Final = "*"
Greeting = tuple[str, Mapping[str, object]]  # what a link of its own asks for, after each connect
UNKNOWN: Final = "unknown"  # the state of a job that is not there


class RemoteHub(HubClient):
    """A hub at the other end of a link. `open` insists on a first connection, `start` lets the verbs wait for it."""

    def __init__(self, settings: LinkSettings, system: System = SYSTEM) -> None:
        self._system = system
        self.link = Connection(settings, system=system)
        self._subscriptions: dict[Connection, None] = {}  # sets in order of arrival
        self._polls = Polls(self.link)
        self._closing: dict[asyncio.Task[None], None] = {}

    async def open(self) -> Self:
        """Connect, or say why not. Errors: LinkDown, NotAuthenticated."""
        await self.link.open()
        return self

    def start(self) -> Self:
        """Begin to connect, without waiting for it."""
        self.link.start()
        return self

    async def close(self) -> None:
        """End all links cleanly."""
        await asyncio.gather(*(one.close() for one in self._subscriptions), *self._closing, self.link.close())

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def on_link_up(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call `tell` whenever the link is up again. Returns what ends it."""
        return self.link.watch(lambda state: tell() if state.up else None)

    async def enqueue(self, queue: str, jobs: Sequence[Enqueueable], *, durable: bool = False) -> list[str]:
        if not jobs:
            return []
        synced = {"durable": True} if durable else {}
        once = {"once": self._once_id()} if any(_may_be_made_again(job.custom_id) for job in jobs) else {}
        if len(jobs) == 1:
            fields = job_fields(jobs[0], "jobId", jobs[0].custom_id or self._once_id()) | synced | once
            return [(await self._ask("PUSH", replies.IdReply, queue=queue, **fields)).id]
        entries = [job_fields(job, custom_id=job.custom_id or self._once_id()) | synced for job in jobs]
        ids = (await self._ask("PUSHB", replies.IdsReply, queue=queue, jobs=entries, **once)).ids
        if len(ids) != len(jobs):
            raise ProtocolError(f"{len(jobs)} jobs were sent and {len(ids)} named")
        return ids

    async def lease(
        self, queue: str, count: int = 1, *, owner: str, lease_ms: int = 30_000, wait_ms: int = 0
    ) -> list[Leased]:
        fields: dict[str, object] = {"queue": queue, "count": count, "owner": owner, "lockTtl": lease_ms}
        reply = await self._polls.ask_for_jobs("PULLB", fields, wait_ms, self._give_back)
        return _leased(read(reply, replies.LeaseReply))

    async def settle(
        self,
        settlements: Sequence[Settlement],
        *,
        outputs: Sequence[Output] = (),
        blobs: Sequence[Blob] = (),
        expects: Sequence[Blob] = (),
        durable: bool = False,
    ) -> list[str]:
        if expects:
            unnamed = [(output, output.job.custom_id) for output in outputs]
            fields = settle_fields(settlements, unnamed, blobs, durable, expects)
            return read(await self.link.request("Settle", fields, repeatable=False), replies.IdsReply).ids
        named = [(output, output.job.custom_id or self._once_id()) for output in outputs]
        fields = settle_fields(settlements, named, blobs, durable)
        try:
            return read(await self.link.request("Settle", fields, repeatable=False), replies.IdsReply).ids
        except AnswerLost as error:
            unanswered = error
        try:
            made = (await self._ask("Settle", replies.IdsReply, **fields)).ids
            return made or [custom_id for _, custom_id in named]  # none are named if the first sending did it all
        except (LockLost, NotFound, WrongState) as refused:
            try:
                applied = await self._was_applied(settlements, named)
            except LinkDown as error:
                raise unanswered from error
            if not applied:
                raise refused
            return [custom_id for _, custom_id in named]
        except LinkDown as error:
            raise unanswered from error  # of the first sending nobody knows

    async def blobs(self, namespace: str, *, after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        page = await self._ask("GetBlobs", replies.BlobsReply, namespace=namespace, after=after, limit=limit)
        return [(blob.key, blob.value) for blob in page.blobs]

    async def extend(self, leases: Sequence[tuple[str, str]], lease_ms: int | None = None) -> list[Renewal]:
        if not leases:
            return []
        ids, tokens = [id for id, _ in leases], [token for _, token in leases]
        if lease_ms is None:
            answer = (await self._ask("JobHeartbeatB", replies.HeartbeatReply, ids=ids, tokens=tokens)).data.renewals
        else:
            durations = [lease_ms] * len(ids)
            answer = (
                await self._ask("ExtendLocks", replies.Renewals, ids=ids, tokens=tokens, durations=durations)
            ).renewals
        if answer is None or len(answer) != len(leases):
            raise ProtocolError("the other side does not say which leases it renewed", hint="it is not a hubqueue hub")
        return [Renewal(word) for word in answer]

    async def get(self, id: str) -> Job:
        return job_of((await self._ask("GetJob", replies.JobReply, id=id)).job)

    async def list_jobs(
        self,
        queue: str,
        states: Sequence[State] = (),
        *,
        limit: int = 100,
        cursor: int | None = None,
        offset: int = 0,
        ascending: bool = True,
        tags: Collection[str] = (),
    ) -> Page:
        fields: dict[str, Any] = {"queue": queue, "limit": limit, "offset": offset, "asc": ascending}
        if states:
            fields["state"] = words_of(states)
        if tags:
            fields["tags"] = list(tags)
        if cursor is not None:
            fields["cursor"] = number(cursor)
        reply = await self._ask("GetJobs", replies.JobsReply, **fields)
        return Page([job_of(job) for job in reply.jobs], None if reply.cursor is None else int(reply.cursor))

    async def counts(self, queue: str) -> Counts:
        return (await self._ask("GetJobCounts", replies.CountsReply, queue=queue)).value()

    async def queues(self) -> list[QueueInfo]:
        names = (await self._ask("ListQueues", replies.QueuesReply)).queues
        return list(await asyncio.gather(*(self._queue_info(name) for name in names)))

    async def wait(self, id: str, timeout_ms: int = 30_000) -> Job | None:
        await self._polls.ask("WaitJob", {"id": id}, timeout_ms)
        job = await self.get(id)
        return job if job.state in TERMINAL else None

    async def upsert_schedule(self, schedule: Schedule) -> None:
        await self._ask("Cron", replies.Done, **schedule_fields(schedule))

    async def subscribe(
        self, queue: str | None, receive: Callable[[Event], Any], kinds: Collection[str] | None = None
    ) -> Callable[[], None]:
        """As Verbs; on a link of its own. What happens while that link is down is not told."""
        wanted = {} if kinds is None else {"kinds": list(kinds)}
        greeting: Greeting = ("SubscribeEvents", {"queue": EVERY_QUEUE if queue is None else queue, **wanted})
        return await self._listen(greeting, lambda event: receive(event_of(event)))

    async def publish(self, channel: str, data: bytes) -> int:
        return (await self.ask("Publish", replies.PublishReply, channel=channel, data=raw(data))).receivers

    async def hear(self, channel: str, receive: Callable[[ChannelMessage], Any]) -> Callable[[], None]:
        """As Verbs; on a link of its own. What is said while that link is down is not heard."""
        return await self._listen(
            ("SubscribeChannel", {"channel": channel}), lambda message: receive(message_of(message))
        )

    async def _listen(self, greeting: Greeting, receive: Callable[[msgspec.Raw], Any]) -> Callable[[], None]:
        link = Connection(self.link.settings, greeting=[greeting], receive=receive, system=self._system)
        await link.open()
        self._subscriptions[link] = None
        return lambda: self._end(link)

    def _end(self, link: Connection) -> None:
        self._subscriptions.pop(link, None)
        closing = asyncio.create_task(link.close())
        self._closing[closing] = None
        closing.add_done_callback(self._closing.pop)

    async def ask(self, cmd: str, answer: type[A], /, *, repeatable: bool = False, **fields: object) -> A:
        said = {name: _spoken(value) for name, value in fields.items() if value is not None}
        return read(await self.link.request(cmd, said, repeatable=repeatable), answer)

    async def _ask(self, cmd: str, answer: type[A], /, **fields: object) -> A:
        """As `ask`, of what may be repeated and is as the wire has it."""
        return read(await self.link.request(cmd, fields), answer)

    def _once_id(self) -> str:
        """A custom id that makes an enqueue safe to send again."""
        return ONCE + self._system.token_hex(ONCE_BYTES)

    async def _give_back(self, reply: bytes) -> None:
        """Jobs of a lease nobody waits for any more: kept, they would stall."""
        if jobs := _leased(read(reply, replies.LeaseReply)):
            await self.settle([Settlement(one.job.id, one.token, Release()) for one in jobs])

    async def _was_applied(self, settlements: Sequence[Settlement], named: Sequence[tuple[Output, str]]) -> bool:
        """Whether leases that are gone were ended by the first, unanswered sending of this very settle.

        It was all or nothing: an output that exists under an id made here proves it. Without one, jobs that
        are completed (or gone, if they are deleted then) do: only the holder of a lease completes its job.
        """
        ours = [custom_id for _, custom_id in named if custom_id.startswith(ONCE)]
        if ours and await self._state(ours[0]) != UNKNOWN:
            return True
        ends = [one.id for one in settlements if isinstance(one.outcome, Complete)]
        states = await asyncio.gather(*(self._state(id) for id in ends))
        return bool(ends) and all(state in (LABELS[State.COMPLETED], UNKNOWN) for state in states)

    async def _state(self, id: str) -> str:
        return (await self._ask("GetState", replies.StateReply, id=id)).state

    async def _queue_info(self, name: str) -> QueueInfo:
        counts, paused = await asyncio.gather(
            self._ask("GetJobCounts", replies.CountsReply, queue=name),
            self._ask("IsPaused", replies.PausedReply, queue=name),
        )
        return QueueInfo(name, paused.paused, counts.value(), int(counts.expired))


def _spoken(value: object) -> object:
    return number(value) if type(value) is int else value


def _may_be_made_again(custom_id: str | None) -> bool:
    """Whether the hub makes another job under the id once this one has ended."""
    return custom_id is not None and not custom_id.startswith(ONCE)


def _leased(reply: replies.LeaseReply) -> list[Leased]:
    if len(reply.jobs) != len(reply.tokens):
        raise ProtocolError(f"{len(reply.jobs)} jobs came with {len(reply.tokens)} tokens")
    return [Leased(job_of(job, State.ACTIVE), token) for job, token in zip(reply.jobs, reply.tokens, strict=True)]
