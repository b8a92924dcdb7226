"""Rule 9: no sequence number is used before the end of its block is on the disk."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hubqueue.errors import StoreError
from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from hubqueue.model.job import NewJob
from hubqueue.store import seqs
from support.waiting import PATIENCE_S, until

BLOCK = 10


async def test_a_block_is_used_once_its_end_is_synced_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seqs, "BLOCK", BLOCK)
    async with await Hub.open(tmp_path / "hub.db", HubSettings(sync_interval_s=3600.0)) as hub:
        store = hub.store
        await hub.sync()
        begun, may_end = threading.Event(), threading.Event()
        sync = store._wal.sync

        def held() -> None:
            begun.set()
            assert may_end.wait(PATIENCE_S)
            sync()

        monkeypatch.setattr(store._wal, "sync", held)
        first_end = store.tx.seqs.end
        while store.tx.seqs.next < first_end:  # the next block is asked for on the way, and committed
            await hub.enqueue("q", [NewJob()])
        await until(begun.is_set)
        assert await hub.run(lambda tx: seqs.stored_end(tx.db)) > first_end
        with pytest.raises(StoreError, match="No sequence number is ready yet"):
            await hub.enqueue("q", [NewJob()])
        may_end.set()
        await until(lambda: store.tx.seqs.end > first_end)
        (id,) = await hub.enqueue("q", [NewJob()])
        assert int(id.rpartition("-")[2]) == first_end
