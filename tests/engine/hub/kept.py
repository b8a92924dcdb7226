"""Jobs that are kept trying for a while, for the tests of that."""

from __future__ import annotations

from typing import Any

from hubqueue.model.job import Job, Options, attempts_of
from hubqueue.model.outcome import Fail
from hubqueue.model.retry import Backoff
from hubqueue.model.state import State

from .conftest import Bench

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
AT_ONCE = Backoff("fixed", delay_ms=0)


async def kept(bench: Bench, name: str = "a", ms: int = MINUTE_MS, **options: Any) -> str:
    """Add a job that is kept trying for so long."""
    rare = Options(keep_trying_ms=ms, **options)
    (id,) = await bench.add(name, max_attempts=attempts_of(None, rare), options=rare)
    return id


async def in_state(bench: Bench, id: str, state: State) -> Job:
    async def there() -> bool:
        return (await bench.get(id)).state is state

    await bench.until(there)
    return await bench.get(id)


async def tried(bench: Bench, error: str = "no answer") -> None:
    """One more try fails."""
    (leased,) = await bench.take()
    await bench.end(leased, Fail(error))
