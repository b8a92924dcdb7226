"""Topic filters, against the rules of MQTT 5.0 section 4.7 written out once more level by level."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.errors import Invalid
from hubqueue.model.topic import TopicFilter, check_topic, widest

LEVEL = st.sampled_from(["a", "b", "", "$SYS", "x.y", "ü"])
TOPIC = st.lists(LEVEL, min_size=1, max_size=5).map("/".join).filter(bool)
FILTER = st.builds(
    lambda levels, tail: "/".join(levels + tail),
    st.lists(LEVEL | st.sampled_from(["+"]), min_size=1, max_size=4),
    st.sampled_from([[], ["#"]]),
).filter(bool) | st.just("#")


def taken_by_the_standard(pattern: str, topic: str) -> bool:
    wanted, found = pattern.split("/"), topic.split("/")
    if found[0].startswith("$") and wanted[0] in ("+", "#"):
        return False
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(found) or level not in ("+", found[index]):
            return False
    return len(wanted) == len(found)


@given(FILTER, TOPIC)
def test_a_filter_takes_what_the_standard_says(pattern: str, topic: str) -> None:
    assert (TopicFilter(pattern).match(topic) is not None) == taken_by_the_standard(pattern, topic)


@given(FILTER, FILTER, TOPIC)
def test_a_covering_filter_takes_all_that_the_covered_one_takes(wide: str, narrow: str, topic: str) -> None:
    if TopicFilter(wide).covers(TopicFilter(narrow)) and TopicFilter(narrow).match(topic) is not None:
        assert TopicFilter(wide).match(topic) is not None


@given(st.lists(FILTER, max_size=6), TOPIC)
def test_the_widest_filters_take_what_all_of_them_take(patterns: list[str], topic: str) -> None:
    every = [TopicFilter(pattern) for pattern in patterns]
    few = widest(every)
    assert any(f.match(topic) is not None for f in every) == any(f.match(topic) is not None for f in few)
    assert not any(a is not b and a.covers(b) for a in few for b in few)


def test_a_wide_filter_covers_narrow_ones() -> None:
    texts = ["s/+/t", "s/#", "s/a", "s", "other", "other"]
    assert [f.text for f in widest(map(TopicFilter, texts))] == ["s/#", "other"]


def test_named_parts_are_found_and_subscribed_as_plus() -> None:
    rule = TopicFilter("sensors/{kind}/+/{room}/#")
    assert rule.subscription == "sensors/+/+/+/#"
    assert rule.names == ("kind", "room")
    assert rule.match("sensors/climate/x/living room/a/b") == {"kind": "climate", "room": "living room"}
    assert rule.match("sensors/climate/x") is None


def test_a_level_holds_any_character_but_the_slash() -> None:
    assert TopicFilter("a/{b}").match("a/line\nbreak") == {"b": "line\nbreak"}
    assert TopicFilter("a.b/+").match("axb/c") is None


def test_a_shared_subscription_keeps_its_prefix_and_matches_without_it() -> None:
    rule = TopicFilter("$share/hubs/s/{room}")
    assert rule.subscription == "$share/hubs/s/+"
    assert rule.match("s/kitchen") == {"room": "kitchen"}
    assert not TopicFilter("s/#").covers(rule)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "must not be empty"),
        ("a/#/b", "'#' may only be the last level"),
        ("a/b+", "mixes a wildcard with text"),
        ("a/b#", "mixes a wildcard with text"),
        ("a/{b", "is not a named part"),
        ("a/{b-c}", "is not a named part"),
        ("a/x{b}", "is not a named part"),
        ("{a}/{a}", "uses a named part twice"),
        ("a\0b", "a character that MQTT forbids"),
        ("a" * 65_536, "at most 65535 bytes"),
        ("a\nb", "a character that MQTT forbids, U.000A"),
        ("a/" * 201, "too many levels"),
    ],
)
def test_a_wrong_filter_is_refused_with_its_reason(text: str, part: str) -> None:
    with pytest.raises(Invalid, match=part.replace("+", r"\+")):
        TopicFilter(text)


def test_a_wildcard_is_no_topic() -> None:
    assert check_topic("a/b") == "a/b"
    for wrong in ("", "a/+", "#"):
        with pytest.raises(Invalid):
            check_topic(wrong)


def forbidden(code: int) -> bool:
    """MQTT 5.0, section 1.5.4, in its own words: U+0000, controls, surrogates and non-characters."""
    return (
        code <= 0x1F
        or 0x7F <= code <= 0x9F
        or 0xD800 <= code <= 0xDFFF
        or 0xFDD0 <= code <= 0xFDEF
        or (code & 0xFFFE == 0xFFFE)
    )


def test_characters_are_forbidden_or_not_as_the_standard_says() -> None:
    bounds = [0, 0x20, 0x7F, 0xA0, 0xD800, 0xE000, 0xFDD0, 0xFDF0, *range(0xFFFE, 0x110000, 0x10000)]
    near = {max(0, bound + step) for bound in bounds for step in range(-3, 4)}
    for code in sorted({code for code in near if code < 0x110000} | set(range(0, 0x110000, 101))):
        try:
            check_topic(f"a/{chr(code)}")
        except Invalid:
            assert forbidden(code) or chr(code) in "+#", hex(code)
        else:
            assert not forbidden(code), hex(code)


@pytest.mark.parametrize("what", [check_topic, TopicFilter])
def test_a_reason_shows_no_more_than_the_begin_of_a_long_topic(what: Callable[[str], object]) -> None:
    for topic in ("x" * 60_000 + "\0", "x" * 60_000 + "+", "x/" * 20_000):
        with pytest.raises(Invalid) as refused:
            what(topic)
        assert len(refused.value.message) < 300
