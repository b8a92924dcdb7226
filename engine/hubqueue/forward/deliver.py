"""Writing one batch so that one bad job does not hold the others: halve what is refused until the culprit is alone."""

from __future__ import annotations

from hubqueue.forward.sink import Batch, Sink
from hubqueue.forward.verdict import Down, Reason, Rejected, verdict


async def deliver(sink: Sink, batch: Batch) -> list[Rejected | None] | Down:
    """Write the batch in order; for each job None, or why it is refused. Down: nothing is known of any of them."""
    try:
        results = await sink.write(batch)
    except Exception as error:  # whatever a sink raises has a verdict
        meaning = verdict(error)
    else:
        if len(results) == len(batch.parcels):
            return results
        return Down(Reason.UNKNOWN, f"the sink was given {len(batch.parcels)} jobs and answers for {len(results)}")
    if isinstance(meaning, Down):
        return meaning
    if len(batch.parcels) == 1:
        return [meaning]
    half = len(batch.parcels) // 2
    results = []
    for parcels in (batch.parcels[:half], batch.parcels[half:]):
        part = await deliver(sink, Batch(batch.queue, parcels, batch.floor))
        if isinstance(part, Down):
            return part
        results += part
    return results
