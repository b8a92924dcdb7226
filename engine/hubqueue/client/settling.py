"""Settlements, outputs and blobs as the fields of our Settle command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hubqueue.client.jobmap import raw
from hubqueue.model.outcome import Blob, Complete, Fail, Outcome, Output, Reject, Release, Retry, Settlement
from hubqueue.wire.fields import number
from hubqueue.wire.joboptions import job_fields


def settle_fields(
    settlements: Sequence[Settlement],
    outputs: Sequence[tuple[Output, str | None]],
    blobs: Sequence[Blob],
    durable: bool,
    expects: Sequence[Blob] = (),
) -> dict[str, Any]:
    """The fields of Settle. An output comes with the custom id that makes it safe to send again."""
    fields: dict[str, Any] = {"settlements": [_settlement(one) for one in settlements]}
    if outputs:
        fields["outputs"] = [
            {"queue": output.queue, "jobs": [job_fields(output.job, custom_id=custom_id)]}
            for output, custom_id in outputs
        ]
    if blobs:
        fields["blobs"] = [_blob(blob) for blob in blobs]
    if expects:
        fields["expects"] = [_blob(blob) for blob in expects]
    if durable:
        fields["durable"] = True
    return fields


def _blob(blob: Blob) -> dict[str, Any]:
    return {"namespace": blob.namespace, "key": blob.key, "value": blob.value}


def _settlement(settlement: Settlement) -> dict[str, Any]:
    fields = {"id": settlement.id, **_outcome(settlement.outcome)}
    if settlement.token is not None:
        fields["token"] = settlement.token
    return {name: value for name, value in fields.items() if value is not None}


def _outcome(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Complete():
            result = None if outcome.result is None else raw(outcome.result)
            return {"outcome": "complete", "result": result, "remove": outcome.remove}
        case Fail():
            return {
                "outcome": "fail",
                "error": outcome.error,
                "stack": outcome.stack or None,
                "remove": outcome.remove,
                "reason": outcome.reason,
            }
        case Retry():
            return {"outcome": "retry", "error": outcome.error, "delay": _delay(outcome.after_s)}
        case Reject():
            return {
                "outcome": "reject",
                "error": outcome.reason,
                "stack": outcome.stack or None,
                "remove": outcome.remove,
            }
        case Release():
            return {"outcome": "release", "delay": _delay(outcome.after_s)}
    raise TypeError(f"{type(outcome).__name__} is not one of the outcomes of a run")


def _delay(after_s: float) -> int | float:
    return number(max(0, round(after_s * 1000)))
