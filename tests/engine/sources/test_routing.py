"""What one message finds, a defect too, costs that message and nothing else."""

from __future__ import annotations

import logging

import msgspec
import pytest

from hubqueue.ingest.into import Into
from hubqueue.ingest.outcome import DEFECT
from hubqueue.model.decode import Decode, Payload
from hubqueue.model.job import Dedup, Options
from hubqueue.sources.message import Message
from hubqueue.sources.routing import SourceRouting


class Broken(Payload):
    """A decoder with a defect."""

    def decoder(self) -> Decode:
        return lambda payload: 1 // len(payload)


def test_a_defect_that_one_message_finds_keeps_that_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "hubqueue.ingest.mapper")
    routing = SourceRouting("plant", Into(queue="in", payload=Broken()))
    routed = routing.route([Message("t", b"1"), Message("t", b""), Message("t", b"1")], 0)
    assert [msgspec.msgpack.decode(each.job.data or b"") for each in routed.taken] == [1, 1]
    ((_, reason, error),) = routed.dead
    assert (reason, error) == ("failed", DEFECT)


def test_a_group_is_made_of_each_record_beside_a_key_of_its_own() -> None:
    options = Options(group="{{ key }}", dedup=Dedup("{{ id }}"))
    routing = SourceRouting("plant", Into(queue="in", delay_ms=5000, options=options))
    taken = routing.route([Message("t", b"1", key="d7", id="a"), Message("t", b"1", key="d8", id="b")], 0).taken
    assert [(each.job.options, each.job.delay_ms) for each in taken] == [
        (Options(group="d7", dedup=Dedup("a")), 5000),
        (Options(group="d8", dedup=Dedup("b")), 5000),
    ]


def test_a_group_and_what_amqp_remembers_go_together() -> None:
    routing = SourceRouting("plant", Into(queue="in", options=Options(group="{{ key }}")), Dedup("amqp:t", ttl_ms=9))
    routed = routing.route([Message("t", b"1", key="d7", id="a"), Message("t", b"1")], 0)
    (taken,) = routed.taken
    assert taken.job.options == Options(group="d7", dedup=Dedup("amqp:t:a", ttl_ms=9))
    ((_, reason, error),) = routed.dead  # a record without a key has no group
    assert (reason, "group" in error) == ("bad_message", True)
