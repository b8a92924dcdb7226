"""One message reaches a rule once, whatever overlaps, on brokers that name subscriptions and on those that do not."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hubqueue.ingest.outcome import Taken
from hubqueue.model.topic import TopicFilter
from hubqueue.mqtt.routing import Routing
from hubqueue.mqtt.rules import Rule
from hubqueue.mqtt.subscriptions import Paths, apart, owners
from hubqueue.mqttclient.message import Message

LEVELS = st.sampled_from(["a", "b", "", "$c"])
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)
SHARE = st.sampled_from(["", "", "", "$share/g/", "$share/h/"])
WILD = st.lists(st.one_of(LEVELS, st.just("+")), min_size=1, max_size=3)
FILTERS = st.builds(
    lambda share, levels, rest: share + "/".join([*levels, *rest]), SHARE, WILD, st.sampled_from([[], [], ["#"]])
).filter(lambda text: bool(text) and not text.endswith("$share/g/") and not text.endswith("$share/h/"))
RULES = st.lists(FILTERS, min_size=1, max_size=6)


def rules_of(texts: list[str]) -> list[Rule]:
    return [Rule(topic=text, queue=f"q{n}", payload=Rule(topic="x", queue="x").payload) for n, text in enumerate(texts)]


def taken(routing: Routing, message: Message, through: frozenset[str] | None) -> list[str]:
    return [each.queue for each in routing.route(message, 0, through) if isinstance(each, Taken)]


def matching(texts: list[str], topic: str) -> Counter[str]:
    return Counter(f"q{n}" for n, text in enumerate(texts) if TopicFilter(text).match(topic) is not None)


@given(FILTERS, FILTERS, TOPICS)
def test_filters_that_both_take_a_topic_overlap(one: str, other: str, topic: str) -> None:
    first, second = TopicFilter(one), TopicFilter(other)
    if first.match(topic) is not None and second.match(topic) is not None:
        assert first.overlaps(second)
    assert first.overlaps(second) == second.overlaps(first)


@given(FILTERS, FILTERS)
def test_filters_overlap_only_where_there_is_a_topic_for_both(one: str, other: str) -> None:
    first, second = TopicFilter(one), TopicFilter(other)
    if first.overlaps(second):
        longest = max(len(first.levels), len(second.levels))
        levels = []
        for at in range(longest):
            pair = [each.levels[at] if at < len(each.levels) else None for each in (first, second)]
            named = [level for level in pair if level not in (None, "+", "#")]
            if not named and "#" in pair and None in pair:
                break  # `a/#` takes `a` as well
            levels.append(named[0] if named else "x")
        topic = "/".join(str(level) for level in levels)
        assert not topic or (first.match(topic) is not None and second.match(topic) is not None), topic


@given(RULES, TOPICS, st.booleans(), st.data())
def test_with_identifiers_every_rule_gets_a_message_once(
    texts: list[str], topic: str, merged: bool, data: st.DataObject
) -> None:
    """Brokers send a copy for each subscription, or one that names them all."""
    routing = Routing(rules_of(texts))
    wide = routing.filters()
    numbers = {each.subscription: n for n, each in enumerate(data.draw(st.permutations(wide)), 1)}
    routing.assign(numbers)
    paths = Paths(wide)
    paths.turn(wide, numbers)
    ids = [numbers[each.subscription] for each in wide if each.match(topic) is not None]
    copies = [tuple(ids)] if merged else [(id,) for id in ids]
    got: Counter[str] = Counter()
    counted = 0
    for copy in copies if ids else []:
        message = Message(topic, b"1", ids=copy)
        through, further = paths.of(message)
        got.update(taken(routing, message, through))
        counted += not further
    assert got == matching(texts, topic)
    assert counted == bool(ids)


@given(RULES, TOPICS, st.data())
def test_without_identifiers_every_rule_gets_a_message_once(texts: list[str], topic: str, data: st.DataObject) -> None:
    """On each connection the broker may send one copy of a message, or one for each subscription: it is the same."""
    whole = Routing(rules_of(texts))
    wide = whole.filters()
    numbers = {each.subscription: n for n, each in enumerate(data.draw(st.permutations(wide)), 1)}
    got: Counter[str] = Counter()
    counted = 0
    for here in apart(wide, [], {}).values():
        assert not any(one.overlaps(other) for one in here for other in here if one is not other)
        routing = Routing(rules_of(texts))
        routing.assign(numbers)
        paths = Paths(wide)
        paths.turn(here, {})
        for each in here:
            if each.match(topic) is not None:
                message = Message(topic, b"1")
                through, further = paths.of(message)
                got.update(taken(routing, message, through))
                counted += not further
    assert got == matching(texts, topic)
    assert counted == bool(got)


def filters(*texts: str) -> list[TopicFilter]:
    return [TopicFilter(text) for text in texts]


def shown(groups: dict[int, list[TopicFilter]]) -> dict[int, list[str]]:
    return {number: [each.subscription for each in group] for number, group in groups.items()}


def test_filters_that_overlap_nothing_stay_on_the_first_connection() -> None:
    groups = apart(filters("a/+", "b/+", "farm/+/t", "farm/barn/#"), [], {})
    assert shown(groups) == {0: ["a/+", "b/+"], 1: ["farm/+/t"], 2: ["farm/barn/#"]}


def test_filters_keep_the_connection_they_had_while_others_come() -> None:
    groups = apart(filters("x/+/+", "farm/+/t", "farm/barn/#", "+/y/+"), [], {2: ["farm/+/t"], 1: ["farm/barn/#"]})
    assert shown(groups)[2][0] == "farm/+/t"
    assert shown(groups)[1][0] == "farm/barn/#"


def test_what_a_channel_takes_is_kept_apart_from_it() -> None:
    channel = TopicFilter("hubqueue/{channel}/messages")
    assert shown(apart(filters("#"), [channel], {})) == {0: [], 1: ["#"]}


def test_a_rule_stays_with_the_oldest_subscription_that_covers_it() -> None:
    rules = filters("a/b/c", "a/+/c", "a/b/#")
    assert owners(rules, {"a/b/#": 1, "a/+/c": 2})["a/b/c"] == "a/b/#"
    assert owners(rules, {"a/b/#": 2, "a/+/c": 1})["a/b/c"] == "a/+/c"


def test_a_copy_that_no_present_subscription_explains_is_for_every_rule() -> None:
    """It waited at the broker since there were other subscriptions: it must not be lost."""
    routing = Routing(rules_of(["a/#", "+/b"]))
    paths = Paths(routing.filters())
    paths.turn(routing.filters(), {"a/#": 8, "+/b": 9})
    for ids in ((3,), ()):
        message = Message("a/b", b"1", ids=ids)
        through, further = paths.of(message)
        assert not further
        assert taken(routing, message, through) == ["q0", "q1"]


def test_what_comes_through_subscriptions_that_are_left_is_for_the_rules_they_had() -> None:
    routing = Routing(rules_of(["a/#", "a/b", "c"]))
    routing.assign_left(filters("a/b"))
    assert taken(routing, Message("a/b", b"1"), frozenset({"a/b"})) == ["q1"]
    assert taken(routing, Message("a/x", b"1"), frozenset({"a/b"})) == ["q0"]


def test_invoke_topics_are_no_rules_also_where_a_rule_takes_them() -> None:
    routing = Routing(rules_of(["hubqueue/jobs/#"]), invoke=True)
    message = Message("hubqueue/jobs/invoke", b'{"method":"m"}')
    assert len(routing.route(message, 0, frozenset({"hubqueue/+/invoke"}))) == 1
    assert routing.route(message, 0, frozenset({"hubqueue/jobs/#"})) == []
