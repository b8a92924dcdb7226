"""Writing one batch so that one bad job does not hold the others: halve what is refused until the culprit is alone.

A trouble that the other side has told of itself is halved too: where it takes some jobs and not others, those others
wait alone. Where it takes none, a few of them are enough to say that it is the link's.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hubqueue.forward.sink import Batch, Partly, Result, Sink
from hubqueue.forward.verdict import Down, Reason, Rejected, verdict

IN_VAIN: Final = 4  # jobs in a row that were not taken one by one, none before them taken: nobody is


class Progress(msgspec.Struct, frozen=True):
    """How far a batch came. results: of its first jobs. down: why no more is known.

    alone: the first of the others was under way alone when that happened.
    """

    results: list[Result]
    down: Down | None = None
    alone: bool = False


async def deliver(sink: Sink, batch: Batch) -> list[Rejected | None] | Down:
    """As `advance`, for those who want all or nothing. Down: nothing is known of any of them."""
    progress = await advance(sink, batch)
    if progress.down is not None:
        return progress.down
    results: list[Rejected | None] = []
    for result in progress.results:
        if isinstance(result, Down):
            return result
        results.append(result)
    return results


async def advance(sink: Sink, batch: Batch) -> Progress:
    """Write the batch in order, as far as the link bears it."""
    results: list[Result] = []
    down, alone = await _advance(sink, batch, results)
    first = next((place for place, result in enumerate(results) if isinstance(result, Down)), None)
    if first is None or None in results:
        return Progress(results, down, alone)
    found = results[first]  # nothing shows that the link is well: the first that was not taken tells of all
    assert isinstance(found, Down)
    return Progress(results[:first], found, alone=True)


async def _advance(sink: Sink, batch: Batch, results: list[Result]) -> tuple[Down | None, bool]:
    """Put what is known into results; why the rest is not, and whether its first job was alone."""
    count = len(batch.parcels)
    try:
        answers = await sink.write(batch)
    except Partly as partly:
        results += partly.results
        return partly.down, partly.alone
    except Exception as error:  # whatever a sink raises has a verdict
        meaning = verdict(error)
    else:
        if len(answers) == count:
            results += answers
            return None, False
        return Down(Reason.UNKNOWN, f"the sink was given {count} jobs and answers for {len(answers)}"), False
    if isinstance(meaning, Down) and (not meaning.answered or _in_vain(results)):
        return meaning, count == 1
    if count == 1:
        results.append(meaning)
        return None, False
    half = count // 2
    for parcels in (batch.parcels[:half], batch.parcels[half:]):
        down, alone = await _advance(sink, Batch(batch.queue, parcels, batch.floor), results)
        if down is not None:
            return down, alone
    return None, False


def _in_vain(results: list[Result]) -> bool:
    """Whether enough jobs were not taken, and none was."""
    return None not in results and sum(isinstance(result, Down) for result in results) >= IN_VAIN
