"""Whatever anybody sends: each step takes it or refuses it, never breaks, and gives only what a job can carry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubqueue.model import payload
from hubqueue.pipeline.record import Refused
from support.pipelines import NOW_MS, Bench

STEPS = {
    "filter": '- filter: "data.v > 3 or data.v|length > 2 or data.p.q is number"',
    "map": """
- map:
    pick: [v, d, p.q]
    rename: {v: w}
    compute:
      {f: "data.v * 9 / 5", g: "data.v ~ 'x'", h: [data.p, data.d], i: "data.v|number|round(2)", j: "data.p.q[0]"}
""",
    "convert": "- convert: {v: {from: degF, to: degC, digits: 2}, p.q: {from: psi, to: kPa}}",
    "validate": '- validate: {schema: {properties: {v: {maximum: 85}, d: {pattern: "^a"}}, maxProperties: 4}}',
    "enrich": '- enrich: {table: t.csv, key: "{{ data.d }}", into: p.row, missing: keep}',
    "flag": """
- flag:
    by: "{{ data.d }}"
    time: t
    keys: 5
    range: {v: {min: -40, max: 85}}
    rate: {v: {max: 2, per: 1s}}
    zscore: {v: {warmup: 2, window: 3}, p.q: {warmup: 2}}
""",
    "window": "- window: {every: 1s, by: [d], time: t, values: {v: [mean, stddev, sum, p95, last], p.q: first}}",
    "batch": "- batch: {count: 3}",
}

leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=4) | st.binary()
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["q", "row"]) | st.text(max_size=3) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=5,
)
numbers = st.integers(-100, 100) | st.floats(-100, 100)
times = st.integers(NOW_MS - 2000, NOW_MS + 2000)
maps = st.fixed_dictionaries(
    {},
    optional={
        "v": numbers | anything,
        "d": st.sampled_from("abc") | anything,
        "t": times | anything,
        "p": st.fixed_dictionaries({"q": numbers}) | anything,
    },
)


@pytest.mark.parametrize("kind", STEPS)
async def test_odd_data_is_taken_or_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("device,site\na,hall\n", encoding="utf-8")
    bench = Bench(tmp_path, STEPS[kind])
    taken = 0

    @settings(max_examples=100)
    @given(maps | anything)
    @example({"v": 1, "d": "a", "t": NOW_MS})
    def run(data: Any) -> None:
        nonlocal taken
        refused = None
        try:
            for out in bench.run(data):
                payload.encode(out)
            taken += 1
        except Refused as error:
            refused = error
        assert refused is None or (refused.step == kind and len(refused.reason) < 1000)

    run()
    assert taken > 0
    for out in await bench.close(NOW_MS + 60_000):
        payload.encode(out)
