"""flag: range, rate of change and z-score, by the records' own time and key, within bounds."""

from __future__ import annotations

import math
import random
import statistics
from pathlib import Path
from typing import Any

import pytest

from hubqueue.model import payload
from hubqueue.pipeline.flag import ZScore, _scored
from support.pipelines import NOW_MS, Bench, mistakes

S = 1000


def flags(bench: Bench, data: Any, at_ms: int = NOW_MS) -> list[str]:
    found: list[str] = bench.one(data, at_ms)["flags"]
    return found


def test_what_is_out_of_range_is_flagged_and_passes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "- flag: {range: {t: {min: -40, max: 85}, p.bar: {max: 3}}}")
    assert bench.one({"t": 20}) == {"t": 20, "flags": []}
    assert bench.one({"t": 90, "p": {"bar": 4}}) == {"t": 90, "p": {"bar": 4}, "flags": ["t.range", "p.bar.range"]}
    assert flags(bench, {"t": -40}) == flags(bench, {"t": 85}) == flags(bench, {"t": None}) == flags(bench, {}) == []


@pytest.mark.parametrize("odd", ["20", True, math.nan, math.inf, -math.inf, [20], b"x"])
def test_what_is_no_number_is_flagged_as_such(tmp_path: Path, odd: Any) -> None:
    bench = Bench(tmp_path, "- flag: {range: {t: {max: 85}}, zscore: {t: {}}, into: checks.of_flag}")
    assert bench.one({"t": odd})["checks"] == {"of_flag": ["t.invalid"]}


def test_a_change_is_measured_by_the_time_of_the_records(tmp_path: Path) -> None:
    bench = Bench(tmp_path, '- flag: {rate: {t: {max: 2, per: 1s}}, by: "{{ data.d }}", time: at}')
    assert flags(bench, {"d": 1, "t": 20, "at": 1_000_000_000}) == []
    assert flags(bench, {"d": 2, "t": 90, "at": 1_000_000_000}) == [], "another device"
    assert flags(bench, {"d": 1, "t": 24, "at": 1_000_000_002}) == [], "4 degrees in 2 s"
    assert flags(bench, {"d": 1, "t": 27, "at": "2001-09-09T01:46:43Z"}) == ["t.rate"], "3 degrees in 1 s"
    assert flags(bench, {"d": 1, "t": 99, "at": 1_000_000_001}) == [], "out of order: there is no telling"
    assert flags(bench, {"d": 1, "t": 28, "at": 1_000_000_004}) == []
    assert flags(bench, {"d": 1, "at": 1_000_000_005}) == []


def test_a_reading_of_the_future_silences_nobody(tmp_path: Path) -> None:
    """The rate of what follows it is checked again, from the next reading on."""
    bench = Bench(tmp_path, "- flag: {rate: {t: {max: 2, per: 1s}}, time: at}")
    now_s = NOW_MS // 1000
    assert flags(bench, {"t": 20, "at": now_s}) == []
    assert flags(bench, {"t": 20, "at": "2200-01-01"}) == []
    assert flags(bench, {"t": 20, "at": now_s}) == []
    assert flags(bench, {"t": 90, "at": now_s}) == [], "out of order"


def test_a_record_whose_time_or_key_is_not_there_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, '- flag: {rate: {t: {max: 2, per: 1s}}, by: "{{ data.d }}", time: at}')
    assert "its key cannot be worked out" in bench.refused({"t": 1, "at": 1})
    assert bench.refused({"t": 1, "d": 1}) == "flag: at, its time, is not there"
    assert "no ISO 8601 time" in bench.refused({"t": 1, "d": 1, "at": "noon"})
    assert "longer than 512" in bench.refused({"t": 1, "d": "x" * 600, "at": 1})


def test_the_mean_and_deviation_are_exact_until_the_window_is_full() -> None:
    values = [random.Random(3).gauss(20, 2) for _ in range(50)]
    known: Any = None
    for n, value in enumerate(values, 1):
        flagged, known = _scored(value, ZScore(over=1000.0, window=50, warmup=2), known)
        assert not flagged
        assert known[0] == n
        assert known[1] == pytest.approx(statistics.fmean(values[:n]))
        assert known[2] == pytest.approx(statistics.pvariance(values[:n]), abs=1e-12)


def test_what_is_unusual_is_flagged_and_does_not_hide_the_next(tmp_path: Path) -> None:
    bench = Bench(tmp_path, '- flag: {zscore: {t: {over: 4, window: 50, warmup: 20}}, by: "{{ data.d }}"}')
    noise = random.Random(7)
    for _ in range(200):
        assert flags(bench, {"d": "a", "t": 20 + noise.uniform(-1, 1)}) == []
    assert flags(bench, {"d": "a", "t": 2000}) == ["t.zscore"]
    assert flags(bench, {"d": "a", "t": 30}) == ["t.zscore"], "the wild one did not make 30 usual"
    assert flags(bench, {"d": "b", "t": 2000}) == [], "nothing is known of b"


def test_what_lasts_becomes_usual(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "- flag: {zscore: {t: {over: 3, window: 20, warmup: 10}}}")
    noise = random.Random(7)
    for _ in range(100):
        bench.one({"t": 20 + noise.uniform(-1, 1)})
    found = [flags(bench, {"t": 40 + noise.uniform(-1, 1)}) for _ in range(200)]
    assert found[0] == ["t.zscore"]
    assert found[150:] == [[]] * 50


def test_a_sensor_that_never_changed_is_judged_by_its_smallest_step(tmp_path: Path) -> None:
    strict = Bench(tmp_path, "- flag: {zscore: {t: {warmup: 5}}}")
    lenient = Bench(tmp_path, "- flag: {zscore: {t: {warmup: 5, least: 0.1}}}")
    for _ in range(10):
        assert flags(strict, {"t": 20}) == flags(lenient, {"t": 20}) == []
    assert flags(strict, {"t": 20.2}) == ["t.zscore"]
    assert flags(lenient, {"t": 20.2}) == []
    assert flags(lenient, {"t": 20.5}) == ["t.zscore"]


def test_values_that_are_too_large_to_calculate_with_are_flagged_and_forgotten(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "- flag: {zscore: {t: {warmup: 3}}, rate: {t: {max: 1, per: 1s}}}")
    for n in range(5):
        bench.one({"t": 1 + n % 2}, NOW_MS + n * 100_000)
    assert flags(bench, {"t": 1e308}, NOW_MS + 600_000) == ["t.rate", "t.zscore"]
    assert flags(bench, {"t": -1e308}, NOW_MS + 601_000) == ["t.rate", "t.zscore"]
    assert flags(bench, {"t": 2}, NOW_MS + 700_000) == ["t.rate"]
    assert flags(bench, {"t": 1}, NOW_MS + 800_000) == []


def test_what_is_remembered_survives_being_stored(tmp_path: Path) -> None:
    steps = '- flag: {rate: {t: {max: 1, per: 1s}}, zscore: {t: {over: 3, warmup: 2}}, by: "{{ data.d }}", keys: 3}'
    stored, kept = Bench(tmp_path, steps), Bench(tmp_path, steps)
    noise = random.Random(5)
    for n in range(100):
        data = {"d": n % 5, "t": noise.gauss(20, 5)}
        assert flags(stored, data, NOW_MS + n * S) == flags(kept, data, NOW_MS + n * S)
        state = stored.states["flag"]
        for key in list(state.keys()):
            state.put(key, payload.decode(payload.encode(state.get(key))))


def test_the_keys_that_were_heard_longest_ago_are_forgotten(tmp_path: Path) -> None:
    bench = Bench(tmp_path, '- flag: {rate: {t: {max: 1, per: 1s}}, by: "{{ data.d }}", keys: 20}')
    for n in range(500):
        bench.one({"d": n, "t": n}, NOW_MS + n * S)
        assert len(bench.states["flag"].keys()) <= 21  # and the count
    assert flags(bench, {"d": 499, "t": 0}, NOW_MS + 500 * S) == ["t.rate"]
    assert flags(bench, {"d": 1, "t": 1000}, NOW_MS + 501 * S) == []


@pytest.mark.parametrize(
    ("steps", "path", "words"),
    [
        ("- flag: {}", "steps[0].flag", "checks nothing"),
        ("- flag: {range: {t: {}}}", "steps[0].flag.range.t", "needs min or max"),
        ("- flag: {range: {t: {min: 3, max: 2}}}", "steps[0].flag.range.t", "min above its max"),
        ("- flag: {rate: {t: {max: 2}}}", "steps[0].flag.rate.t.per", "is missing"),
        ("- flag: {zscore: {t: {over: x}}}", "steps[0].flag.zscore.t.over", "must be a number"),
        ('- flag: {range: {t: {min: 1}}, by: "{{ dta.x }}"}', "steps[0].flag.by", "did you mean 'data'"),
    ],
)
def test_mistakes_are_found(tmp_path: Path, steps: str, path: str, words: str) -> None:
    found = mistakes(tmp_path, steps)
    assert list(found) == [path]
    assert words in found[path]
