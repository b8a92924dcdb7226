"""Options that leave come in again as the same options."""

from __future__ import annotations

import msgspec
import pytest

from hubqueue.model.job import PLAIN, Dedup, Options
from hubqueue.model.retry import Backoff
from hubqueue.wire.jobin import JobFields, options_of
from hubqueue.wire.joboptions import option_fields


@pytest.mark.parametrize(
    "options",
    [
        PLAIN,
        Options(backoff=Backoff("fixed", 5.0, 60_000, 0.5), timeout_ms=1, ttl_ms=2, stall_timeout_ms=3, lifo=True),
        Options(durable=True, remove_on_complete=True, remove_on_fail=True, tags=("a", "b"), stack_trace_limit=0),
        Options(group="g", group_max_size=7, dedup=Dedup("k", 5, extend=True)),
        Options(dedup=Dedup("k", replace=True)),
    ],
)
def test_options_survive_the_way_out_and_in(options: Options) -> None:
    sent = option_fields(options)
    assert options_of(msgspec.convert(sent, JobFields)) == options


def test_defaults_are_left_out() -> None:
    assert option_fields(PLAIN) == {}
