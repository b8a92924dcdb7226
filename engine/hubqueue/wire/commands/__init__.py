"""The commands of the protocol as structs, by theme. Field names are the engine's; `rename` makes the wire's.

A new command is a struct in its theme, a line here, a handler in servers/ and a section in docs/protocol.md.
"""

from __future__ import annotations

from typing import Final

from hubqueue.wire.commands import consume, control, operate, produce, query, queues, schedules, session, webhooks
from hubqueue.wire.commands.base import Command

# Every command that has one form. PUSH and PUSHB have two, see `produce`.
SINGLE_FORM: Final[tuple[type[Command], ...]] = (
    consume.Pull,
    consume.PullB,
    consume.CancelPoll,
    consume.Ack,
    consume.AckB,
    consume.Fail,
    consume.Release,
    consume.Settle,
    consume.JobHeartbeat,
    consume.JobHeartbeatB,
    consume.ExtendLock,
    consume.ExtendLocks,
    consume.Progress,
    query.GetJob,
    query.GetJobByCustomId,
    query.GetState,
    query.GetResult,
    query.GetProgress,
    query.GetJobs,
    query.GetJobCounts,
    query.GetCountsPerPriority,
    query.CountJobs,
    query.WaitJob,
    query.ListQueues,
    query.GetLogs,
    query.GetDeduplicationJobId,
    control.Cancel,
    control.Discard,
    control.Update,
    control.ChangePriority,
    control.ChangeDelay,
    control.MoveToDelayed,
    control.MoveToWait,
    control.Promote,
    control.PromoteJobs,
    control.RemoveDeduplicationKey,
    control.RemoveJobDeduplicationKey,
    control.AddLog,
    control.ClearLogs,
    queues.Pause,
    queues.Resume,
    queues.IsPaused,
    queues.Drain,
    queues.Obliterate,
    queues.Clean,
    queues.Dlq,
    queues.GetDlqStats,
    queues.RetryDlq,
    queues.PurgeDlq,
    queues.RemoveDlqJob,
    queues.RetryCompleted,
    queues.SetStallConfig,
    queues.SetDlqConfig,
    queues.GetStallConfig,
    queues.GetDlqConfig,
    schedules.Cron,
    schedules.CronDelete,
    schedules.CronGet,
    schedules.CronList,
    session.Hello,
    session.Auth,
    session.Ping,
    session.SubscribeEvents,
    session.UnsubscribeEvents,
    session.RegisterWorker,
    session.Heartbeat,
    session.UnregisterWorker,
    session.ListWorkers,
    session.Stats,
    session.StorageStatus,
    session.CompactMemory,
    webhooks.AddWebhook,
    webhooks.RemoveWebhook,
    webhooks.SetWebhookEnabled,
    webhooks.ListWebhooks,
    operate.Forwarders,
    operate.Backup,
    operate.CheckFile,
)
PLAIN_FORM: Final = (produce.PlainPush, produce.PlainPushB)
FULL_FORM: Final = (produce.Push, produce.PushB)
Request = Command | produce.Push
_EVERY: Final[tuple[type[Request], ...]] = (*FULL_FORM, *SINGLE_FORM)
BY_NAME: Final = {str(struct.__struct_config__.tag): struct for struct in _EVERY}
