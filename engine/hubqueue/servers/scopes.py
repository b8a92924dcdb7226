"""Which scope each command needs, and what it touches: the table that `dispatch` asks for every token with limits.

Rules: every command of the protocol has a row here (tested). A row names all queues a command works on, and all jobs,
schedules and webhooks it names by id: those are looked up in the command's own transaction (`Call.check`). A command
that lists all queues is FILTERED: its handler shows only what `Call.sees`. What concerns the whole hub is WHOLE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, NamedTuple

from hubqueue.errors import Forbidden, NotAuthenticated
from hubqueue.hub.verbs import authorization
from hubqueue.hub.verbs.sources import claim_sources, forwarded_among
from hubqueue.model.access import Grant, Scope
from hubqueue.servers.door import Call
from hubqueue.wire.commands import (
    access,
    channels,
    consume,
    control,
    explore,
    flows,
    groups,
    limits,
    monitor,
    operate,
    produce,
    query,
    queues,
    schedules,
    session,
    webhooks,
)
from hubqueue.wire.jobin import JobFields


class Touched(NamedTuple):
    """What a command works on."""

    queues: Iterable[str] = ()
    jobs: Iterable[str] = ()
    schedules: Iterable[str] = ()
    webhooks: Iterable[str] = ()


class Row(NamedTuple):
    """One of `needs` is enough; none means that every token will do. touches None: the whole hub."""

    needs: tuple[Scope, ...]
    touches: Callable[[Any], Touched] | None


NOTHING: Final = Touched()


def _nothing(command: Any) -> Touched:
    return NOTHING


def _queue(command: Any) -> Touched:
    return Touched(queues=(command.queue,))


def _queue_or_all(command: Any) -> Touched:
    if command.queue is None:
        raise Forbidden("This token is limited to queues", hint="name one of its queues")
    return Touched(queues=(command.queue,))


def _queue_if_named(command: Any) -> Touched:
    """Without one it is a list of all queues, and FILTERED."""
    return NOTHING if command.queue is None else Touched(queues=(command.queue,))


def _job(command: Any) -> Touched:
    return Touched(jobs=(command.id,))


def _jobs(command: Any) -> Touched:
    return Touched(jobs=command.ids)


def _custom_id(command: query.GetJobByCustomId) -> Touched:
    return Touched(jobs=(command.custom_id,))


def _relatives(job: JobFields) -> list[str]:
    """Jobs that a new job is tied to: it would see their results."""
    parent = [job.parent_id] if job.parent_id else []
    return [*(job.depends_on or ()), *(job.children_ids or ()), *parent]


def _push(command: produce.Push) -> Touched:
    named = [command.job_id] if command.job_id else []
    return Touched((command.queue,), [*named, *_relatives(command)])


def _push_batch(command: produce.PushB) -> Touched:
    return Touched((command.queue,), _named_in(command.jobs))


def _named_in(jobs: Iterable[Any]) -> list[str]:
    return [id for job in jobs for id in (*_relatives(job), *([job.custom_id] if job.custom_id else ()))]


def _flow(command: flows.PushF) -> Touched:
    planned = {entry.id for entry in command.jobs}
    outside = [id for id in _named_in(entry.input for entry in command.jobs) if id not in planned]
    return Touched({entry.queue for entry in command.jobs}, [*planned, *outside])


def _settle(command: consume.Settle) -> Touched:
    if command.blobs or command.expects:
        raise Forbidden("State blobs belong to no queue", hint="use a token that is not limited to queues")
    named = [id for output in command.outputs for id in _named_in(output.jobs)]
    return Touched([each.queue for each in command.outputs], [*(each.id for each in command.settlements), *named])


def _parent(command: flows.UpdateParent) -> Touched:
    return Touched(jobs=(command.child_id, command.parent_id))


def _cron(command: schedules.Cron) -> Touched:
    tied = [] if command.job_options is None else _relatives(command.job_options)
    return Touched((command.queue,), tied, (command.name,))


def _schedule(command: Any) -> Touched:
    return Touched(schedules=(command.name,))


def _worker(command: session.RegisterWorker) -> Touched:
    return Touched(queues=command.queues or ())


READ: Final = (Scope.READ,)
ENQUEUE: Final = (Scope.ENQUEUE,)
WORK: Final = (Scope.WORK,)
TAKE: Final = (Scope.WORK, Scope.PULL)  # take jobs and end them
ADMIN: Final = (Scope.ADMIN,)
READ_OR_WORK: Final = (Scope.READ, Scope.WORK)  # what workers ask about the job they have
ANYBODY: Final = ()
FILTERED: Final = _nothing
WHOLE: Final = None

ROWS: Final[dict[type[Any], Row]] = {
    produce.PlainPush: Row(ENQUEUE, _queue),
    produce.PlainPushB: Row(ENQUEUE, _queue),
    produce.Push: Row(ENQUEUE, _push),
    produce.PushB: Row(ENQUEUE, _push_batch),
    flows.PushF: Row(ENQUEUE, _flow),
    flows.UpdateParent: Row(ENQUEUE, _parent),
    consume.Pull: Row(TAKE, _queue),
    consume.PullB: Row(TAKE, _queue),
    consume.CancelPoll: Row(TAKE, _nothing),
    consume.Ack: Row(TAKE, _job),
    consume.AckB: Row(TAKE, _jobs),
    consume.Fail: Row(TAKE, _job),
    consume.Release: Row(TAKE, _job),
    consume.Settle: Row(TAKE, _settle),
    consume.GetBlobs: Row(WORK, WHOLE),
    consume.JobHeartbeat: Row(TAKE, _job),
    consume.JobHeartbeatB: Row(TAKE, _jobs),
    consume.ExtendLock: Row(TAKE, _job),
    consume.ExtendLocks: Row(TAKE, _jobs),
    consume.Progress: Row(WORK, _job),
    control.AddLog: Row(WORK, _job),
    control.Discard: Row(WORK, _job),
    control.Update: Row(WORK, _job),
    control.ChangeDelay: Row(WORK, _job),
    control.MoveToDelayed: Row(WORK, _job),
    control.MoveToWait: Row(WORK, _job),
    control.Promote: Row(WORK, _job),
    control.PromoteJobs: Row(WORK, _queue),
    operate.ForwarderDrain: Row(WORK, WHOLE),
    control.RemoveJobDeduplicationKey: Row(WORK, _job),
    flows.MoveToWaitingChildren: Row(WORK, _job),
    flows.RemoveChildDependency: Row(WORK, _job),
    flows.RemoveUnprocessedChildren: Row(WORK, _job),
    flows.GetChildrenValues: Row(READ_OR_WORK, _job),
    flows.GetFailedChildrenValues: Row(READ_OR_WORK, _job),
    flows.GetIgnoredChildrenFailures: Row(READ_OR_WORK, _job),
    groups.RateLimitGroup: Row(WORK, _queue),
    session.RegisterWorker: Row(TAKE, _worker),
    session.Heartbeat: Row(TAKE, _nothing),
    session.UnregisterWorker: Row(TAKE, _nothing),
    query.GetJob: Row(READ_OR_WORK, _job),
    query.GetJobByCustomId: Row(READ, _custom_id),
    query.GetState: Row((*READ_OR_WORK, Scope.PULL), _job),  # whether what it did has arrived
    query.GetResult: Row(READ, _job),
    query.GetProgress: Row(READ, _job),
    query.GetJobs: Row(READ, _queue),
    query.GetJobCounts: Row(READ, _queue),
    query.GetCountsPerPriority: Row(READ, _queue),
    query.CountJobs: Row(READ, _queue),
    query.WaitJob: Row(READ, _job),
    query.ListQueues: Row(READ, FILTERED),
    query.GetLogs: Row(READ, _job),
    query.GetDeduplicationJobId: Row(READ, _queue),
    explore.FindJobs: Row(READ, _queue_if_named),
    explore.DeadReasons: Row(READ, _queue_if_named),
    explore.Overview: Row(READ, FILTERED),
    explore.History: Row(READ, _queue_or_all),
    queues.IsPaused: Row(READ, _queue),
    queues.Dlq: Row(READ, _queue),
    queues.GetDlqStats: Row(READ, _queue),
    queues.GetStallConfig: Row(READ, _queue),
    queues.GetDlqConfig: Row(READ, _queue),
    schedules.CronGet: Row(READ, _schedule),
    schedules.CronList: Row(READ, FILTERED),
    limits.GetQueueLimits: Row(READ, _queue),
    groups.GetGroupJobsCount: Row(READ, _queue),
    groups.GetGroupActiveCount: Row(READ, _queue),
    groups.GetGroupsJobsCount: Row(READ, _queue),
    groups.GetGroupRateLimit: Row(READ, _queue),
    groups.GetGroupRateLimitTtl: Row(READ, _queue),
    groups.GetGroupConcurrency: Row(READ, _queue),
    groups.IsGroupPaused: Row(READ, _queue),
    session.SubscribeEvents: Row(READ, FILTERED),
    session.UnsubscribeEvents: Row(ANYBODY, _nothing),
    channels.SubscribeSummaries: Row(READ, FILTERED),
    channels.UnsubscribeSummaries: Row(ANYBODY, _nothing),
    channels.SubscribeChannel: Row(READ, WHOLE),
    channels.UnsubscribeChannel: Row(ANYBODY, _nothing),
    channels.Publish: Row(ENQUEUE, WHOLE),
    session.ListWorkers: Row(READ, FILTERED),
    session.Stats: Row(READ, WHOLE),
    session.StorageStatus: Row(READ, _nothing),
    monitor.Metrics: Row(READ, _queue_or_all),
    monitor.Prometheus: Row(READ, WHOLE),
    monitor.DashboardOverview: Row(READ, WHOLE),
    monitor.DashboardQueues: Row(READ, FILTERED),
    monitor.DashboardQueue: Row(READ, _queue),
    operate.Forwarders: Row(READ, WHOLE),
    operate.Pipelines: Row(READ, WHOLE),
    operate.Sources: Row(READ, WHOLE),
    session.Health: Row(READ, WHOLE),
    operate.Rules: Row(READ, WHOLE),
    session.Hello: Row(ANYBODY, _nothing),
    session.Auth: Row(ANYBODY, _nothing),
    session.Ping: Row(ANYBODY, _nothing),
    control.Cancel: Row(ADMIN, _job),
    control.ChangePriority: Row(ADMIN, _job),
    control.RemoveDeduplicationKey: Row(ADMIN, _queue),
    control.ClearLogs: Row(ADMIN, _job),
    queues.Pause: Row(ADMIN, _queue),
    queues.Resume: Row(ADMIN, _queue),
    queues.Drain: Row(ADMIN, _queue),
    queues.Obliterate: Row(ADMIN, _queue),
    queues.Clean: Row(ADMIN, _queue),
    queues.RetryDlq: Row(ADMIN, _queue),
    queues.PurgeDlq: Row(ADMIN, _queue),
    queues.RemoveDlqJob: Row(ADMIN, _queue),
    queues.RetryCompleted: Row(ADMIN, _queue),
    queues.SetStallConfig: Row(ADMIN, _queue),
    queues.SetDlqConfig: Row(ADMIN, _queue),
    schedules.Cron: Row(ADMIN, _cron),
    schedules.CronDelete: Row(ADMIN, _schedule),
    schedules.CronRun: Row(ADMIN, _schedule),
    limits.RateLimit: Row(ADMIN, _queue),
    limits.RateLimitClear: Row(ADMIN, _queue),
    limits.SetConcurrency: Row(ADMIN, _queue),
    limits.ClearConcurrency: Row(ADMIN, _queue),
    groups.SetGroupRateLimit: Row(ADMIN, _queue),
    groups.RemoveGroupRateLimit: Row(ADMIN, _queue),
    groups.SetGroupConcurrency: Row(ADMIN, _queue),
    groups.RemoveGroupConcurrency: Row(ADMIN, _queue),
    groups.PauseGroup: Row(ADMIN, _queue),
    groups.ResumeGroup: Row(ADMIN, _queue),
    session.CompactMemory: Row(ADMIN, WHOLE),
    monitor.TrimEvents: Row(ADMIN, _queue),
    webhooks.AddWebhook: Row(ADMIN, _queue_or_all),
    webhooks.RemoveWebhook: Row(ADMIN, lambda command: Touched(webhooks=(command.webhook_id,))),
    webhooks.SetWebhookEnabled: Row(ADMIN, lambda command: Touched(webhooks=(command.id,))),
    webhooks.ListWebhooks: Row(ADMIN, FILTERED),
    access.TokenAdd: Row(ADMIN, WHOLE),
    access.TokenList: Row(ADMIN, WHOLE),
    access.TokenRevoke: Row(ADMIN, WHOLE),
    operate.ForwarderPut: Row(ADMIN, WHOLE),
    operate.ForwarderDelete: Row(ADMIN, WHOLE),
    operate.ForwarderPause: Row(ADMIN, WHOLE),
    operate.ForwarderResume: Row(ADMIN, WHOLE),
    operate.RuleTest: Row(ADMIN, WHOLE),
    operate.Config: Row(ADMIN, WHOLE),
    operate.Backup: Row(ADMIN, WHOLE),
    operate.Backups: Row(ADMIN, WHOLE),
    operate.CheckFile: Row(ADMIN, WHOLE),
}


# ids that senders give to new jobs and that may be a forwarder's (those of flows have no colon)
NEW_IDS: Final[dict[type[Any], Callable[[Any], Iterable[str | None]]]] = {
    produce.Push: lambda command: (command.job_id,),
    produce.PushB: lambda command: (job.custom_id for job in command.jobs),
    consume.Settle: lambda command: (job.custom_id for output in command.outputs for job in output.jobs),
}


def admit(call: Call, command: Any, grant: Grant | None) -> None:
    """Whether a token that may not do everything may do this; what needs a look at the file is left to the call.

    Errors: NotAuthenticated, Forbidden.
    """
    row = ROWS[type(command)]
    if grant is None:
        if type(command) is session.Auth:
            return
        raise NotAuthenticated
    _check_scope(grant, row.needs)
    if type(command) is consume.Settle:
        if command.outputs:
            _check_scope(grant, ENQUEUE)
        if command.blobs:
            _check_scope(grant, WORK)
    named = NEW_IDS.get(type(command))
    forwarded = [] if named is None else forwarded_among(named(command))
    if forwarded:
        tokens = {each.name for each in call.session.door.gate.grants}
        call.check = partial(claim_sources, ids=forwarded, token=grant.name, tokens=tokens)
        call.notes = True
    if grant.queues is None:
        return
    if row.touches is None:
        raise Forbidden(
            f"{_who(grant)} is limited to queues, and this concerns the whole hub",
            hint="use a token without a list of queues",
        )
    touched = row.touches(command)
    if not grant.queues.issuperset(touched.queues):
        raise Forbidden(f"{_who(grant)} may not use this queue", hint=f"its queues: {', '.join(sorted(grant.queues))}")
    if touched.jobs or touched.schedules or touched.webhooks:
        call.check = _look_up(call, touched, grant)


def _look_up(call: Call, touched: Touched, grant: Grant) -> Callable[[Any], None]:
    """What the file has to say, after what is to be checked there already."""
    allowed, hooks, before = grant.queues or frozenset(), call.session.door.hub.webhooks, call.check

    def check(tx: Any) -> None:
        if before is not None:
            before(tx)
        found = authorization.queues_of_jobs(tx, touched.jobs) | authorization.queues_of_schedules(
            tx, touched.schedules
        )
        known = [hooks.find(id) for id in touched.webhooks]
        if not found <= allowed or any(hook is not None and hook.queue not in allowed for hook in known):
            raise Forbidden(f"{_who(grant)} may not touch what belongs to other queues")

    return check


def _check_scope(grant: Grant, needs: tuple[Scope, ...]) -> None:
    if needs and not any(grant.allows(scope) for scope in needs):
        has = ", ".join(sorted(grant.scopes)) or "nothing"
        raise Forbidden(f"{_who(grant)} lacks the scope '{needs[0]}'", hint=f"it has: {has}")


def _who(grant: Grant) -> str:
    return f"The token '{grant.name}'"
