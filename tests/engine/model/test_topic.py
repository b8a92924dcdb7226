"""Topic filters, against the rules of MQTT 5.0 section 4.7 written out once more level by level."""

from __future__ import annotations

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
