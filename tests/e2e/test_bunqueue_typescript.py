"""bunqueue's own TypeScript client, unchanged, against real hub processes: the programs of tests/e2e/clients."""

from __future__ import annotations

from pathlib import Path

from support.bun_program import run_program
from support.hub_process import HubProcess


def test_queue_adds_finds_changes_and_removes(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        seen = run_program("queue.mjs", tmp_path / "client", hub.port)
    data = {"a": 1, "deep": {"list": [1, "two", None]}}
    assert seen["found"] == {"name": "first", "data": data, "attempts": 5, "made": 0}
    assert seen["types"] == ["number"] * 4
    assert seen["recent"] is True
    assert (seen["missing"], seen["missing_state"]) == (None, "unknown")
    assert seen["delay"] == [3_600_000, "delayed", "number"]
    assert {state: n for state, n in seen["counts"].items() if n} == {"waiting": 1, "prioritized": 2, "delayed": 1}
    assert seen["per_priority"] == {"0": 2, "1": 1, "10": 1}
    assert (seen["total"], seen["delayed"], seen["prioritized"]) == (4, ["late"], ["high", "low"])
    assert seen["changed"] == [2, 7]
    assert (seen["promoted"], seen["delayed_again"], seen["promoted_count"]) == ("waiting", "delayed", 1)
    assert seen["logs"] == {"logs": ["[info] one", "[info] two"], "count": 2}
    assert (seen["cleared"], seen["removed"]) == (0, None)
    assert (seen["same"], seen["owner"], seen["replaced"], seen["freed"]) == (True, True, [True, None], 1)
    assert (seen["paused"], seen["resumed"]) == ([True, True], False)
    assert seen["pages"] == [250, 250]
    assert (seen["drained"], seen["empty"]) == (True, 0)


def test_worker_runs_retries_reports_and_closes(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        seen = run_program("worker.mjs", tmp_path / "client", hub.port)
    ids, events = seen["ids"], seen["events"]
    assert seen["errors"] == []
    assert seen["waited"] == {"from": "slow", "big": 2**40}
    assert (seen["order"], seen["most"]) == ("urgent", 3)
    assert {name: n for name, n in seen["tries"].items() if n > 1} == {"twice": 2, "broken": 2, "slow": 4}
    assert {state: n for state, n in seen["counts"].items() if n} == {"completed": 8, "failed": 2}
    assert seen["plain"] == {"state": "completed", "value": {"from": "plain", "big": 2**40}, "progress": 100}
    assert seen["times"] == ["number", "number", True]
    assert (seen["nothing"], seen["gone"]) == ("nothing", [None, None])
    assert seen["broken"] == {"reason": "broken again", "made": 2, "stack": True}
    assert seen["dead"] == [["broken", "broken again", 2], ["never", "hopeless", 1]]
    assert (seen["dead_types"], seen["stats"]) == (["number", "number"], 2)
    assert (seen["workers"], seen["closed"]) == ([1, "number"], 0)
    assert (seen["retried"], seen["again"], seen["purged"]) == (1, 1, 1)
    assert seen["graceful"] == [True, "completed"]
    assert seen["cleaned"] == 2
    assert seen["progress"] == 40
    assert set(ids.values()) <= set(events["waiting"])
    assert events["failed"].count(ids["broken"]) == 2
    assert sorted(events["retried"]) == sorted([ids["twice"], ids["broken"]])
    assert events["completed"].count(ids["plain"]) == 2
    assert ids["gone"] in events["completed"]


def test_schedulers_run_by_interval_and_keep_their_patterns(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        seen = run_program("schedules.mjs", tmp_path / "client", hub.port)
    assert seen["ran"] == [["tick", {"n": 1}]] * 3 + [["again", {"n": 2}]] * 3
    assert seen["nightly"] == ["nightly", "30 3 * * *", "number", True, 0]
    assert (seen["changed"], seen["count"], seen["listed"]) == ("0 4 * * *", 1, [["nightly", "0 4 * * *"]])
    assert seen["refused"] is None
    assert (seen["removed"], seen["left"]) == (True, 0)


def test_forward_moves_jobs_from_one_hub_to_another_once(tmp_path: Path) -> None:
    there = tmp_path / "central"
    there.mkdir()
    with HubProcess(tmp_path) as hub, HubProcess(there) as central:
        seen = run_program("forward.mjs", tmp_path / "client", hub.port, central.port)
    assert seen["errors"] == []
    assert seen["arrived"] == list(range(20))
    assert seen["names"] == ["reading: a name in the data"]
    assert seen["ids"] is True
    assert seen["once"] == [True, 20]
