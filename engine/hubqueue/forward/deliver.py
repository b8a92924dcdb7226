"""Writing one batch so that one bad job does not hold the others: halve what is refused until the culprit is alone."""

from __future__ import annotations

import msgspec

from hubqueue.forward.sink import Batch, Partly, Sink
from hubqueue.forward.verdict import Down, Reason, Rejected, verdict


class Progress(msgspec.Struct, frozen=True):
    """How far a batch came. results: of its first jobs, None or why it is refused. down: why no more is known."""

    results: list[Rejected | None]
    down: Down | None = None


async def deliver(sink: Sink, batch: Batch) -> list[Rejected | None] | Down:
    """As `advance`, for those who want all or nothing. Down: nothing is known of any of them."""
    progress = await advance(sink, batch)
    return progress.results if progress.down is None else progress.down


async def advance(sink: Sink, batch: Batch) -> Progress:
    """Write the batch in order, as far as the link bears it."""
    count = len(batch.parcels)
    try:
        results = await sink.write(batch)
    except Partly as partly:
        return Progress(partly.results, partly.down)
    except Exception as error:  # whatever a sink raises has a verdict
        meaning = verdict(error)
    else:
        if len(results) == count:
            return Progress(results)
        return Progress([], Down(Reason.UNKNOWN, f"the sink was given {count} jobs and answers for {len(results)}"))
    if isinstance(meaning, Down):
        return Progress([], meaning)
    if count == 1:
        return Progress([meaning])
    half = count // 2
    results = []
    for parcels in (batch.parcels[:half], batch.parcels[half:]):
        part = await advance(sink, Batch(batch.queue, parcels, batch.floor))
        results += part.results
        if part.down is not None:
            return Progress(results, part.down)
    return Progress(results)
