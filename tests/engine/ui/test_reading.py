"""What people type, as values; what is stored, as text: forms, payloads, times of schedules, rules."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from hubqueue.errors import Invalid
from hubqueue.model.payload import encode
from hubqueue.ui import inputs
from hubqueue.ui.nextruns import cron_fires, every_fires
from hubqueue.ui.payloads import MAX_CHARS, packed_text, payload
from hubqueue.ui.settings import rows_of
from support.furniture import BROKEN, ODD

DAY_MS = 86_400_000
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=20,
)


@given(plain)
def test_what_json_can_say_is_shown_as_it_is_and_comes_back(value: object) -> None:
    stored = encode(value)
    shown = payload(Raw(stored))
    assert shown is not None
    assert shown.editable
    back = packed_text(shown.text)
    assert back is not None
    assert bytes(back) == stored


@given(st.binary(min_size=1))
def test_any_bytes_are_shown(data: bytes) -> None:
    payload(Raw(data))


@pytest.mark.parametrize("name", sorted((ODD | BROKEN).keys() - {"null", "markup", "long", "large"}))
def test_what_json_cannot_say_is_marked(name: str) -> None:
    shown = payload(Raw((ODD | BROKEN)[name]))
    assert shown is not None
    assert shown.odd
    assert not shown.editable


def test_long_data_is_cut_and_large_data_is_not_read() -> None:
    long, large = payload(Raw(ODD["long"])), payload(Raw(ODD["large"]))
    assert long is not None
    assert large is not None
    assert (len(long.text), long.cut, large.text, large.cut) == (MAX_CHARS, True, "", True)


def test_no_data_is_none() -> None:
    assert payload(None) is None
    assert packed_text("  ") is None


@pytest.mark.parametrize("text", ["{", "nan", "{'a': 1}", "\ud800"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="not valid JSON"):
        packed_text(text)


@pytest.mark.parametrize(
    ("typed", "unit", "ms"), [("2", "h", 7_200_000), ("1.5", "s", 1500), ("1,5", "s", 1500), ("", "s", None)]
)
def test_a_length_of_time_is_a_number_and_a_unit(typed: str, unit: str, ms: int | None) -> None:
    assert inputs.duration_ms({"delay": typed, "delay_unit": unit}, "delay") == ms


@given(st.integers(1, 10**12))
def test_a_length_of_time_is_written_so_that_it_is_read_the_same(ms: int) -> None:
    value, unit = inputs.split_ms(ms)
    assert inputs.duration_ms({"x": value, "x_unit": unit}, "x") == ms


@pytest.mark.parametrize("typed", ["nan", "inf", "1e99", "much"])
def test_what_is_no_number_is_refused(typed: str) -> None:
    with pytest.raises(Invalid, match="delay: "):
        inputs.duration_ms({"delay": typed}, "delay")


def test_fires_keep_their_time_of_day_over_the_change_of_clocks() -> None:
    before = 1_792_800_000_000  # 24 October 2026; the clocks go back on the 25th
    fires = cron_fires("0 7 * * *", "Europe/Berlin", before)
    assert [(fire.local.hour, fire.zone) for fire in fires] == [(7, "CEST")] + [(7, "CET")] * 4
    assert sorted(later.at_ms - earlier.at_ms for earlier, later in pairwise(fires))[-1] == DAY_MS + 3_600_000


def test_an_interval_fires_in_its_rhythm() -> None:
    assert [fire.at_ms for fire in every_fires(1000, 500, None, 3)] == [1000, 1500, 2000]


def test_the_configuration_is_a_list_of_paths_with_where_they_came_from() -> None:
    config = {"tcp": {"port": 1, "tokens": []}, "rules": [{"topic": "a", "on": True}], "names": ["x", "y"]}
    assert rows_of(config, {"tcp.port": "hubqueue.yaml:2"}) == [
        ("tcp.port", "1", "hubqueue.yaml:2"),
        ("tcp.tokens", "", ""),
        ("rules[0].topic", "a", ""),
        ("rules[0].on", "yes", ""),
        ("names", "x, y", ""),
    ]
