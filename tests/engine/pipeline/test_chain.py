"""The chain: steps one after the other, what time closes, and whose fault a refusal is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.step import Memory
from support.pipelines import NOW_MS, Bench

COUNTED = "- window: {every: 1s, lateness: 0s, by: [d], values: {v: sum}}"


def test_steps_are_named_after_their_kinds(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "- filter: 'true'\n- map: {}\n- filter: 'true'\n- filter: 'true'")
    assert bench.chain.names == ("filter", "map", "filter-2", "filter-3")


def test_a_chain_without_steps_gives_what_it_gets(tmp_path: Path) -> None:
    assert Bench(tmp_path, "").run({"a": 1}) == [{"a": 1}]


async def test_what_time_closes_goes_through_the_later_steps(tmp_path: Path) -> None:
    bench = Bench(tmp_path, f"{COUNTED}\n- map: {{pick: [d, v_sum], rename: {{v_sum: sum}}}}\n- filter: 'data.sum > 1'")
    for d, v in (("a", 1), ("a", 2), ("b", 1)):
        assert bench.run({"d": d, "v": v}) == []
    assert await bench.close(NOW_MS + 60_000) == [{"d": "a", "sum": 3}]
    assert bench.chain.due_ms(bench.states) is None


async def test_a_window_that_a_later_step_refuses_is_told_aside_and_blames_no_input(tmp_path: Path) -> None:
    bench = Bench(tmp_path, f"{COUNTED}\n- validate: {{schema: {{properties: {{v_sum: {{maximum: 2}}}}}}}}")
    for d, v in (("a", 1), ("b", 9)):
        bench.run({"d": d, "v": v})
    assert [each["d"] for each in await bench.close(NOW_MS + 60_000)] == ["a"]
    ((record, refused),) = bench.unfit
    assert record.data["d"] == "b"
    assert str(refused) == "validate: v_sum: 9 is greater than the maximum of 2"


def test_a_refusal_names_its_step(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "- map: {}\n- map: {compute: {x: '1 / data.n'}}")
    assert bench.refused({"n": 0}).startswith("map-2: x cannot be worked out")


def test_what_is_set_aside_skips_the_steps_that_follow(tmp_path: Path) -> None:
    late = "- window: {every: 1s, lateness: 0s, time: t, late: {queue: late}}"
    bench = Bench(tmp_path, f"{late}\n- map: {{constant: {{seen: true}}}}")
    bench.run({"t": NOW_MS})
    bench.run({"t": NOW_MS + 5000}, at_ms=NOW_MS + 5000)
    (out,) = bench.chain.run(bench.record({"t": NOW_MS}), bench.states, lambda *_: None)
    assert (out.data, out.aside) == ({"t": NOW_MS}, "late")


async def test_looking_ahead_changes_no_state(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("device,site\na,hall\n", encoding="utf-8")
    flag = "- flag: {rate: {v: {max: 1, per: 1s}}}"
    bench = Bench(tmp_path, f'{flag}\n- enrich: {{table: t.csv, key: "{{{{ data.d }}}}"}}')
    await bench.chain.prepare([bench.record({"d": "a", "v": n}) for n in range(9)], bench.states)
    assert bench.states["flag"].keys() == []


def test_a_watch_sees_what_each_step_did(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "- map: {pick: [a]}\n- filter: 'data.a > 1'\n- map: {compute: {b: '1 / data.a'}}")
    seen: list[Any] = []

    def watch(step: str, record: Record | None, outcome: Any) -> None:
        assert record is not None
        data = outcome.reason if isinstance(outcome, Refused) else [each.data for each in outcome]
        seen.append((step, record.data, data))

    for a in (1, 2):
        bench.chain.run(bench.record({"a": a, "x": 0}), bench.states, lambda *_: None, watch)
    assert seen == [
        ("map", {"a": 1, "x": 0}, [{"a": 1}]),
        ("filter", {"a": 1}, []),
        ("map", {"a": 2, "x": 0}, [{"a": 2}]),
        ("filter", {"a": 2}, [{"a": 2}]),
        ("map-2", {"a": 2}, [{"a": 2, "b": 0.5}]),
    ]


def test_state_laid_over_another_leaves_it_as_it_is() -> None:
    beneath = Memory()
    for key in "abc":
        beneath.put(key, key)
    over = Memory(beneath)
    over.put("a", "A")
    over.delete("b")
    over.put("d", "D")
    assert sorted(over.keys()) == ["a", "c", "d"]
    assert [over.get(key) for key in "abcd"] == ["A", None, "c", "D"]
    over.put("b", "B")
    assert over.get("b") == "B"
    over.delete("d")
    assert over.get("d") is None
    assert [beneath.get(key) for key in "abcd"] == ["a", "b", "c", None]
