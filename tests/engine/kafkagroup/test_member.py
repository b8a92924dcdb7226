"""A member of a group between its brokers and the files of its pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from hubqueue.config.pipelines import read_pipeline
from hubqueue.errors import LinkDown
from hubqueue.kafkagroup.member import Member
from hubqueue.kafkagroup.metrics import MemberMetrics
from hubqueue.kafkagroup.source import From
from hubqueue.sources.partition import Known, Partition
from hubqueue.sources.settings import KafkaBrokers

PIPELINE = """
name: placed
steps: [{enrich: {table: places.csv, key: "{{ data.device }}", column: device}}]
to: {forward: {to: "tls://hub.example", target: placed}}
"""
TABLE = "device,place\nd1,hall\n"


class Empty:
    """What a member asks its consumer when it is given partitions; there is nothing in them."""

    async def known(self, partitions: Iterable[Partition]) -> dict[Partition, Known]:
        return {each: Known(0, 0, None) for each in partitions}

    def seek(self, partition: Partition, offset: int) -> None: ...

    def count_partitions(self, topic: str) -> int:
        return 1


async def test_a_table_that_cannot_be_read_at_a_rebalance_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "places.csv").write_text(TABLE)
    file = tmp_path / "placed.yaml"
    file.write_text(PIPELINE)
    pipeline = read_pipeline(file)
    member = Member(
        pipeline, From(brokers=KafkaBrokers(("b:9092",)), topics=("t",), group="g"), MemberMetrics("placed")
    )
    member._consumer = cast("Any", Empty())
    (tmp_path / "places.csv").write_text("")
    await member._given({Partition("t", 0)})
    assert isinstance(member._broken, LinkDown)
    member._broken = None
    (tmp_path / "places.csv").write_text(TABLE)
    await member._given({Partition("t", 0)})
    assert member._broken is None
    assert set(member._readings) == {Partition("t", 0)}
