"""Whether a caller may touch an active job: the token's lease number must be the row's (engine-rules 12)."""

from __future__ import annotations

from hubqueue.errors import LockLost, LockRequired
from hubqueue.model.job import Job
from hubqueue.model.state import State
from hubqueue.store.tx import Tx


def check_token(tx: Tx, job: Job, token: str | None) -> None:
    """Nothing to check unless the job is active. Errors: LockLost, LockRequired."""
    if job.state is not State.ACTIVE:
        return
    if not token:
        if job.owner is not None:
            raise LockRequired(f"Lock token required for job {job.id}")
    elif tx.identity.lease_no_of(token, job.seq) != job.lease_no:
        raise LockLost(f"Invalid or expired lock token for job {job.id}")
