"""bunqueue's own TypeScript client, unchanged, against real hub processes: the programs of tests/e2e/clients."""

from __future__ import annotations

from pathlib import Path

from support import certificates
from support.bun_program import run_program, start_program, what_it_saw
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


def test_flows_run_children_first_and_failures_reach_the_parent_as_asked(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        seen = run_program("flows.mjs", tmp_path / "client", hub.port)
    assert (seen["children"], seen["state"]) == (["rice", "sauce"], "waiting-children")
    assert seen["read"] == ["dish", {"table": 4}, [["rice", 0], ["sauce", 1]]]
    assert (seen["waits"], seen["waiting_children"]) == ({"processed": 0, "unprocessed": 2}, 1)
    assert (seen["values"], seen["keys"]) == (["rice done", "sauce done"], ["cellar", "kitchen"])
    assert seen["fan"] == ["left done", "right done"]
    assert seen["ordered"] == [True, True, True]
    assert seen["result"] == "dish done"
    assert seen["outcomes"] == ["failed", "completed", "completed", "completed"]
    assert seen["reason"] is True
    assert seen["refused"].endswith("already exists")
    assert seen["added"] == 0


def test_limits_hold_and_groups_take_turns(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        seen = run_program("limits.mjs", tmp_path / "client", hub.port)
    assert (seen["concurrency"], seen["most"], seen["unlimited"]) == (2, 2, None)
    assert (seen["rate"], seen["paced"], seen["unpaced"]) == ({"max": 3, "duration": 600}, True, None)
    assert seen["group_count"] == [3, 5]
    assert seen["turns"] == ["plain", "a1", "b1", "c1", "a2", "a3"]
    assert (seen["pause"], seen["paused"], seen["held"]) == (True, [True, False], ["free"])
    assert (seen["resume"], seen["released"]) == (True, ["free", "held"])
    assert seen["settings"] == [2, {"max": 5, "duration": 1000}]
    assert seen["gone"] == [1, 1]
    assert seen["full"] == "Group small has reached its maximum size of 1"


def test_producer_and_worker_go_on_when_the_hub_is_killed_and_started_again(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path).start()
    port = hub.port
    program = start_program("restart.mjs", tmp_path / "client", port)
    assert program.stdout is not None
    assert program.stdout.readline() == "READY\n"
    hub.kill()
    with HubProcess(tmp_path, "--tcp-port", str(port)):
        seen = what_it_saw(program, "AGAIN\n")
    assert seen["done"] == list(range(6))
    assert (seen["counts"]["completed"], seen["workers"]) == (6, 1)


def test_tls_and_tokens_are_spoken(tmp_path: Path) -> None:
    files = certificates.make(tmp_path / "tls")
    arguments = (
        "--tcp-port",
        "0",
        "--tls-cert",
        str(files.cert),
        "--tls-key",
        str(files.key),
        "--auth-tokens",
        "right",
    )
    with HubProcess(tmp_path, *arguments) as hub:
        seen = run_program("secure.mjs", tmp_path / "client", hub.port, files.ca)
    assert seen["right"] == "hush"
    assert seen["wrong"].startswith("refused")
    assert seen["none"].startswith("refused")
