"""Jobs as they come in: names of older clients, options, relatives and groups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import decode, encode

from hubqueue.errors import Invalid
from hubqueue.model.job import ENDLESS, Dedup, NewJob, OnFailure, Options
from hubqueue.model.retry import Backoff
from hubqueue.wire.jobin import JobIn, take_name, to_new_job

NAMES = st.text(min_size=1, max_size=256)


def new_job(**fields: object) -> NewJob:
    return to_new_job(decode(encode({"name": "n", **fields}), type=JobIn), None)


@given(name=NAMES, rest=st.dictionaries(st.text().filter(lambda key: key != "name"), st.integers(-5, 5)))
def test_the_name_in_the_data_is_taken_out(name: str, rest: dict[str, int]) -> None:
    found, data = take_name(encode({"name": name, **rest}))
    assert found == name
    assert data is not None
    assert decode(data) == rest


@pytest.mark.parametrize("value", [None, 5, "text", [1], {"name": 5}, {"other": 1}, {}], ids=repr)
def test_data_without_a_text_name_is_left_alone(value: object) -> None:
    assert take_name(encode(value)) == ("default", encode(value))


@pytest.mark.parametrize("data", [b"\x81\x01\x02", b"\x81\xa4name\xa2\xff\xfe"[:-2], b"\xd4\x05\x00"], ids=repr)
def test_data_that_is_no_map_of_texts_is_left_alone(data: bytes) -> None:
    assert take_name(data) == ("default", data)


def test_other_values_keep_their_bytes_when_the_name_is_taken_out() -> None:
    odd = b"\x82\xa4name\xa1n\xa1x\xd3\x00\x00\x00\x00\x00\x00\x00\x01"  # 1 in nine bytes
    assert take_name(odd) == ("n", b"\x81\xa1x\xd3\x00\x00\x00\x00\x00\x00\x00\x01")


@pytest.mark.parametrize("name", ["", "n" * 257])
def test_a_name_in_the_data_has_the_same_bounds(name: str) -> None:
    with pytest.raises(Invalid, match="Job name must be"):
        take_name(encode({"name": name}))


def test_every_option_is_carried_over() -> None:
    job = new_job(
        data=[1],
        priority=5,
        delay=10,
        maxAttempts=7,
        timestamp=1000,
        backoff={"type": "fixed", "delay": 50, "maxDelay": 100, "jitter": 0},
        timeout=200,
        ttl=300,
        keepTrying=350,
        stallTimeout=400,
        uniqueKey="k",
        dedup={"ttl": 500, "extend": True},
        tags=["a", "b"],
        lifo=True,
        durable=True,
        removeOnComplete=True,
        removeOnFail=True,
        stackTraceLimit=3,
    )
    assert job == NewJob(
        name="n",
        data=encode([1]),
        priority=5,
        delay_ms=10,
        max_attempts=7,
        created_at_ms=1000,
        options=Options(
            backoff=Backoff("fixed", 50, 100, 0),
            timeout_ms=200,
            ttl_ms=300,
            keep_trying_ms=350,
            stall_timeout_ms=400,
            lifo=True,
            durable=True,
            dedup=Dedup("k", 500, extend=True),
            remove_on_complete=True,
            remove_on_fail=True,
            tags=("a", "b"),
            stack_trace_limit=3,
        ),
    )


def test_a_plain_number_is_an_exponential_back_off() -> None:
    options = new_job(backoff=250).options
    assert options is not None
    assert options.backoff == Backoff("exponential", 250)


def test_zero_and_empty_mean_none() -> None:
    job = new_job(timeout=0, ttl=0, keepTrying=0, uniqueKey="", dedup={"ttl": 0}, dependsOn=[], childrenIds=[])
    assert job.options == Options()


def test_relatives_and_group_become_options() -> None:
    job = new_job(
        dependsOn=["a", "b"],
        childrenIds=["b"],
        parentId="p",
        removeDependencyOnFailure=True,
        groupId="g",
        groupMaxSize=5.0,
    )
    assert job.options == Options(
        depends_on=("a", "b"),
        children_ids=("b",),
        parent_id="p",
        on_failure=OnFailure.REMOVE,
        group="g",
        group_max_size=5,
    )


def test_the_strongest_of_several_failure_policies_counts() -> None:
    job = new_job(parentId="p", ignoreDependencyOnFailure=True, continueParentOnFailure=True)
    assert job.options is not None
    assert job.options.on_failure is OnFailure.CONTINUE


def test_a_repeat_that_is_null_is_no_repeat() -> None:
    assert new_job(repeat=None).options == Options()


@pytest.mark.parametrize(
    ("fields", "attempts"),
    [({}, 3), ({"keepTrying": 0}, 3), ({"keepTrying": 5}, ENDLESS), ({"keepTrying": 5, "maxAttempts": 3}, 3)],
)
def test_a_job_that_is_kept_trying_has_no_number_of_attempts_unless_it_says_so(
    fields: dict[str, int], attempts: int
) -> None:
    assert new_job(**fields).max_attempts == attempts
