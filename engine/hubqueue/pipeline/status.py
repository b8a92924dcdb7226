"""What a pipeline shows of itself. Counters run since its start."""

from __future__ import annotations

import msgspec


class PipelineStatus(msgspec.Struct, kw_only=True):
    """One pipeline at one moment. A runner counts in one of these, and gives copies.

    trouble: why it waits, None while it works. busy_us: time that its steps took, without waiting.
    Units: since_ms, heard_ms Unix milliseconds; busy_us microseconds; lag_ms how long the last record waited.
    """

    taken: int = 0
    given: int = 0
    refused: int = 0
    failed: int = 0
    late: int = 0
    released: int = 0
    lost: int = 0  # records that steps made by themselves and a later step refused
    open: int = 0
    batches: int = 0
    busy_us: int = 0
    lag_ms: int = 0
    restarts: int = 0
    trouble: str | None = None
    shared: bool = False  # somebody else takes jobs from its queue

    @property
    def us_per_record(self) -> float:
        """Units: microseconds of the steps for a record."""
        return self.busy_us / self.taken if self.taken else 0.0
