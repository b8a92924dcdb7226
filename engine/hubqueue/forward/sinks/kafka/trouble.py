"""What an error of Kafka means: the link is down, or a record is refused. By the class that aiokafka makes of its code.

What is not in the table is taken for a trouble of the link. Source: kafka.apache.org, protocol, "Error Codes".
"""

from __future__ import annotations

from typing import Final

from aiokafka import errors

from hubqueue.errors import Invalid, PayloadTooLarge
from hubqueue.forward.verdict import Down, Reason, SinkDown

# The first that fits counts.
REASONS: Final[tuple[tuple[tuple[type[Exception], ...], Reason], ...]] = (
    (
        (
            errors.AuthenticationFailedError,
            errors.AuthenticationMethodNotSupported,
            errors.SaslAuthenticationFailed,
            errors.UnsupportedSaslMechanismError,
            errors.IllegalSaslStateError,
            errors.TopicAuthorizationFailedError,
            errors.ClusterAuthorizationFailedError,
            errors.TransactionalIdAuthorizationFailed,
        ),
        Reason.AUTH,
    ),
    ((errors.KafkaTimeoutError, errors.RequestTimedOutError), Reason.TIMEOUT),
    (
        (errors.UnknownTopicOrPartitionError, errors.InvalidTopicError, errors.UnsupportedVersionError),
        Reason.PROTOCOL,
    ),
    (
        (
            errors.KafkaConnectionError,
            errors.NoBrokersAvailable,
            errors.NodeNotReadyError,
            errors.ProducerClosed,
            errors.LeaderNotAvailableError,
            errors.NotLeaderForPartitionError,
        ),
        Reason.UNREACHABLE,
    ),
    (
        (
            errors.NotEnoughReplicasError,
            errors.NotEnoughReplicasAfterAppendError,
            errors.KafkaStorageError,
            errors.ProducerFenced,  # and what else ends a session of an idempotent producer: the next one begins anew
            errors.OutOfOrderSequenceNumber,
            errors.UnknownProducerId,
            errors.InvalidProducerEpoch,
        ),
        Reason.STORE,
    ),
    ((errors.QuotaViolationError,), Reason.QUOTA),
)

TOO_LARGE: Final = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.RecordTooLargeError)
NOT_VALID: Final = (errors.InvalidTimestampError, errors.PolicyViolationError)

HINTS: Final[dict[type[Exception], str]] = {
    errors.UnknownTopicOrPartitionError: "the topic is not there: make it, or let the brokers make topics",
    errors.UnsupportedVersionError: "an old broker? try 'idempotent: false'",
    errors.TopicAuthorizationFailedError: "allow the user to Write to and Describe the topic",
    errors.ClusterAuthorizationFailedError: "allow the user IdempotentWrite, or write 'idempotent: false'",
}


def is_of_record(error: Exception) -> bool:
    """Whether the broker means the record, whatever the state of the link."""
    return isinstance(error, TOO_LARGE + NOT_VALID)


def meaning(error: Exception) -> Exception:
    """The error as `verdict` reads it."""
    if isinstance(error, TOO_LARGE):
        return PayloadTooLarge(f"a record is too large: {error}", hint="raise max_record here and in the topic")
    if isinstance(error, NOT_VALID):
        return Invalid(f"the broker refuses the record: {error}")
    if not isinstance(error, errors.KafkaError):
        return error
    reason = next((reason for kinds, reason in REASONS if isinstance(error, kinds)), Reason.UNKNOWN)
    hint = HINTS.get(type(error))
    return SinkDown(Down(reason, f"{error}; {hint}" if hint else str(error)))
