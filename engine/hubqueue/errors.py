"""Every error a caller may meet, as one tree.

Each has a stable `code` (the same in TCP replies, HTTP problems, Home Assistant and Node-RED), an HTTP
status, whether the same call may succeed later, and a hint that says what to do. Docstrings are the
default messages. Raise or handle, never log and raise.
"""

from __future__ import annotations

from typing import ClassVar


class HubqueueError(Exception):
    """Something went wrong in hubqueue."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        text = message if message is not None else (type(self).__doc__ or "").splitlines()[0]
        super().__init__(text)
        self.message = text
        self.hint = self.default_hint if hint is None else hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Invalid(HubqueueError):
    """The request is not valid."""

    code = "invalid"
    status = 422


class Malformed(Invalid):
    """The body cannot be read."""

    code = "malformed"
    status = 400


class UnsupportedMedia(Invalid):
    """A body of this type is not taken here."""

    code = "unsupported_media_type"
    status = 415


class NotAcceptable(Invalid):
    """There is no answer of the type that is asked for."""

    code = "not_acceptable"
    status = 406
    default_hint = "answers are application/json"


class UnknownCommand(Invalid):
    """The command is not known."""

    code = "unknown_command"
    status = 404


class PayloadTooLarge(Invalid):
    """The payload is too large."""

    code = "payload_too_large"
    status = 413
    default_hint = "send less data in one job, or a reference to it"


class Undecodable(Invalid):
    """The message cannot be decoded."""

    code = "undecodable"


class NotFound(HubqueueError):
    """Job not found"""

    code = "not_found"
    status = 404


class WrongState(HubqueueError):
    """The job is in a state that does not allow this."""

    code = "wrong_state"
    status = 409


class LockLost(HubqueueError):
    """The lease is no longer yours: it expired or the job was given to another worker."""

    code = "lock_lost"
    status = 409
    default_hint = "stop working on this job; extend leases in time or ask for longer ones"


class LockRequired(HubqueueError):
    """A lease token is needed to settle this job."""

    code = "lock_required"
    status = 409


class Duplicate(HubqueueError):
    """A job with this deduplication key exists already."""

    code = "duplicate"
    status = 409


class KeyReused(Invalid):
    """This idempotency key was used for another request."""

    code = "key_reused"
    default_hint = "make a new key for each new request; send a request again unchanged"


class NotAuthenticated(HubqueueError):
    """Not authenticated"""

    code = "not_authenticated"
    status = 401
    default_hint = "send a valid token"


class Forbidden(HubqueueError):
    """This token may not do that."""

    code = "forbidden"
    status = 403


class QueueFull(HubqueueError):
    """The queue is full."""

    code = "queue_full"
    status = 503
    retryable = True
    default_hint = "wait until workers have caught up, raise the bound, or choose drop-oldest for this queue"


class DiskFull(HubqueueError):
    """The disk is full."""

    code = "disk_full"
    status = 507
    retryable = True
    default_hint = "free some space; the hub goes on by itself"


class Draining(HubqueueError):
    """The hub is shutting down."""

    code = "draining"
    status = 503
    retryable = True
    default_hint = "try again when it is back"


class Busy(HubqueueError):
    """Too many requests are waiting."""

    code = "busy"
    status = 429
    retryable = True
    default_hint = "slow down and try again"


class StoreError(HubqueueError):
    """The job file could not be written or read."""

    code = "store_error"
    status = 500
    retryable = True
    default_hint = "look at the disk and the hub's log; nothing of this request was stored"


class Internal(HubqueueError):
    """Internal error"""

    code = "internal"
    status = 500
    default_hint = "this is a defect of hubqueue; the log of the hub has the details, and nothing of this was stored"


class AlreadyOpen(HubqueueError):
    """The job file is already open."""

    code = "already_open"
    status = 409


class NewerFile(HubqueueError):
    """The job file was written by a newer version."""

    code = "newer_file"
    status = 500
    default_hint = "install that version again, or restore a backup made before the update"


class DamagedFile(HubqueueError):
    """The job file is damaged."""

    code = "damaged_file"
    status = 500
    default_hint = "restore a backup, or run 'hubqueue doctor'"


class ProtocolError(HubqueueError):
    """The other side sent something that is not understood."""

    code = "protocol_error"
    status = 400


class LinkDown(HubqueueError):
    """The other side cannot be reached."""

    code = "link_down"
    status = 503
    retryable = True
    default_hint = "nothing is lost; it is tried again by itself"


class AnswerLost(LinkDown):
    """The link went down before the answer came."""

    code = "answer_lost"
    default_hint = "the other side may have done it: look before you ask again"


class ApiMismatch(LinkDown):
    """The other side speaks another API."""

    code = "api_mismatch"
    default_hint = "update the older side; what is asked until then is not done"


class JobFailed(HubqueueError):
    """The job failed for good and is in the dead-letter queue."""

    code = "job_failed"
    status = 409


class TimedOut(HubqueueError):
    """No answer in time."""

    code = "timed_out"
    status = 504
    retryable = True


class ConfigError(HubqueueError):
    """The configuration has mistakes."""

    code = "config"
    status = 500
