"""What one message finds, a defect too, costs that message and nothing else."""

from __future__ import annotations

import logging

import msgspec
import pytest

from hubqueue.model.decode import Decode, Payload
from hubqueue.sources.message import Message
from hubqueue.sources.routing import Into, Routing


class Broken(Payload):
    """A decoder with a defect."""

    def decoder(self) -> Decode:
        return lambda payload: 1 // len(payload)


def test_a_defect_that_one_message_finds_keeps_that_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "hubqueue.sources.routing")
    routing = Routing("plant", Into(queue="in", payload=Broken()))
    routed = routing.route([Message("t", b"1"), Message("t", b""), Message("t", b"1")], 0)
    assert [msgspec.msgpack.decode(each.job.data or b"") for each in routed.taken] == [1, 1]
    ((_, reason, error),) = routed.dead
    assert (reason, "ZeroDivisionError" in error) == ("failed", True)
