"""Which scope each command needs, written down a second time by hand: a slip in a row is not its own proof.

Who adds a command decides here once more who may send it.
"""

from __future__ import annotations

from typing import Final

import pytest

from hubqueue.commands.table import BY_NAME, COMMANDS, Request

BY_HAND: Final[dict[str, str]] = {
    # no token can do harm with these
    "": "Auth Hello Ping UnsubscribeChannel UnsubscribeEvents UnsubscribeSummaries",
    # put something in, which nobody who only reads or works may do
    "enqueue": "PUSH PUSHB PUSHF Publish UpdateParent",
    # take jobs and end them; `pull` is a worker that may do nothing else
    "work pull": """
        ACK ACKB CancelPoll ExtendLock ExtendLocks FAIL Heartbeat JobHeartbeat JobHeartbeatB PULL PULLB RegisterWorker
        Release Settle UnregisterWorker
    """,
    # change the job one has; let what is delayed be tried now
    "work": """
        AddLog ChangeDelay Discard ForwarderDrain GetBlobs MoveToDelayed MoveToWait MoveToWaitingChildren Progress
        Promote PromoteJobs RateLimitGroup RemoveChildDependency RemoveJobDeduplicationKey RemoveUnprocessedChildren
        Snooze Update
    """,
    # look at the job one has
    "read work": "GetChildrenValues GetFailedChildrenValues GetIgnoredChildrenFailures GetJob",
    "read work pull": "GetState",
    # look at everything but what configures the hub or is a secret
    "read": """
        Count CronGet CronList DashboardOverview DashboardQueue DashboardQueues DeadReasons Dlq FindJobs Forwarders
        GetCountsPerPriority GetDeduplicationJobId GetDlqConfig GetDlqStats GetGroupActiveCount GetGroupConcurrency
        GetGroupJobsCount GetGroupRateLimit GetGroupRateLimitTtl GetGroupsJobsCount GetJobByCustomId GetJobCounts
        GetJobs GetLogs GetProgress GetQueueLimits GetResult GetStallConfig Health History IsGroupPaused IsPaused
        ListQueues ListWorkers Metrics Overview Pipelines Prometheus Rules Sources Stats StorageStatus
        SubscribeChannel SubscribeEvents SubscribeSummaries WaitJob
    """,
    # what a person who looks after the hub does: stops, limits, deletes, retries, lets others in, makes the hub call
    # addresses of their choice
    "admin": """
        AddWebhook Backup Backups Cancel ChangePriority CheckFile Clean ClearConcurrency ClearLogs CompactMemory Config
        Cron CronDelete CronRun Drain ForwarderDelete ForwarderPause ForwarderPut ForwarderResume
        ListWebhooks Obliterate Pause PauseGroup PurgeDlq RateLimit RateLimitClear
        RemoveDeduplicationKey RemoveDlqJob RemoveGroupConcurrency RemoveGroupRateLimit RemoveWebhook Resume
        ResumeGroup RetryCompleted RetryDlq RuleTest SetConcurrency SetDlqConfig SetGroupConcurrency SetGroupRateLimit
        SetStallConfig SetWebhookEnabled TokenAdd TokenList TokenRevoke TrimEvents
    """,
}
NEEDS: Final = {name: needs for needs, names in BY_HAND.items() for name in names.split()}


def test_every_command_is_here_once() -> None:
    assert sorted(name for names in BY_HAND.values() for name in names.split()) == sorted(BY_NAME)


@pytest.mark.parametrize("struct", COMMANDS, ids=lambda struct: struct.__name__)
def test_the_table_says_what_a_second_pair_of_eyes_says(struct: type[Request]) -> None:
    name = str(struct.__struct_config__.tag)  # type: ignore[attr-defined]
    assert " ".join(struct.row.needs) == NEEDS[name]
