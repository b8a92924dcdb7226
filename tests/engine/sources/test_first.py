"""Where a reader of a partition begins, at every border of what its broker still has."""

from __future__ import annotations

from typing import Literal

import pytest

from hubqueue.sources.partition import Committed, Known


@pytest.mark.parametrize("start", ["earliest", "latest"])
@pytest.mark.parametrize("offset", [10, 11, 19, 20])
def test_what_was_committed_is_the_next_record_to_be_read(offset: int, start: Literal["earliest", "latest"]) -> None:
    assert Known(10, 20, Committed(offset)).first(start) == offset


@pytest.mark.parametrize("start", ["earliest", "latest"])
@pytest.mark.parametrize("offset", [0, 9])
def test_what_the_broker_has_deleted_is_passed_over(offset: int, start: Literal["earliest", "latest"]) -> None:
    assert Known(10, 20, Committed(offset)).first(start) == 10


def test_without_a_place_it_begins_where_it_was_told_to() -> None:
    known = Known(10, 20, None)
    assert (known.first("earliest"), known.first("latest")) == (10, 20)


@pytest.mark.parametrize("committed", [None, Committed(12)], ids=["forgotten by the brokers", "behind"])
def test_what_is_stored_goes_before_what_was_told_or_committed(committed: Committed | None) -> None:
    known = Known(10, 20, committed)
    assert (known.first("earliest", 15), known.first("latest", 15)) == (15, 15)
