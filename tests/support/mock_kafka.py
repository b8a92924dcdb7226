"""A Kafka broker inside this process that fails as it is told: librdkafka's mock, on a real socket.

It has idempotent producers, unlike Tansu. Topics make themselves when they are used, with four partitions.
Source: librdkafka, src/rdkafka_mock.h.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.metadata import files
from typing import Any, Final, Self

from support.tansu import read_all

PRODUCE: Final = 0  # keys of requests
METADATA: Final = 3
INIT_PRODUCER_ID: Final = 22

UNKNOWN_TOPIC: Final = 3  # codes of errors
REQUEST_TIMED_OUT: Final = 7
MESSAGE_TOO_LARGE: Final = 10
NOT_LEADER: Final = 6
TOPIC_AUTHORIZATION_FAILED: Final = 29
INVALID_TIMESTAMP: Final = 32
OUT_OF_ORDER: Final = 45
INVALID_PRODUCER_EPOCH: Final = 47
CLUSTER_AUTHORIZATION_FAILED: Final = 31
NOT_ENOUGH_REPLICAS: Final = 19
KAFKA_STORAGE_ERROR: Final = 56

PARTITIONS: Final = 4  # of each topic

_PRODUCER: Final = 0
_BROKER: Final = 1


class MockKafka:
    """`with MockKafka() as cluster`: one broker until the end of the block.

    join_ms: how long a group waits for more members. Less is for groups of one: others would always come too late.
    """

    def __init__(self, join_ms: int = 3000) -> None:
        self._join_ms = join_ms

    def __enter__(self) -> Self:
        library = _library()
        conf = library.rd_kafka_conf_new()
        text = ctypes.create_string_buffer(512)
        library.rd_kafka_conf_set(ctypes.c_void_p(conf), b"log_level", b"0", text, 512)
        self._owner = ctypes.c_void_p(library.rd_kafka_new(_PRODUCER, ctypes.c_void_p(conf), text, 512))
        assert self._owner.value, text.value
        self._cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(self._owner, 1))
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, ctypes.c_int32(self._join_ms))
        self.url = str(library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode())
        return self

    def __exit__(self, *_: object) -> None:
        _library().rd_kafka_mock_cluster_destroy(self._cluster)
        _library().rd_kafka_destroy(self._owner)

    def fail(self, request: int, *codes: int) -> None:
        """The next requests of this kind are answered so, one each."""
        array = (ctypes.c_int * len(codes))(*codes)
        count = ctypes.c_size_t(len(codes))
        _library().rd_kafka_mock_push_request_errors_array(self._cluster, ctypes.c_int16(request), count, array)

    def set_down(self, *, down: bool) -> None:
        """Close every connection and take no other; or take them again."""
        library = _library()
        change = library.rd_kafka_mock_broker_set_down if down else library.rd_kafka_mock_broker_set_up
        assert change(self._cluster, _BROKER) == 0

    def deny(self, topic: str, code: int) -> None:
        """Whoever asks for this topic is told so."""
        _library().rd_kafka_mock_topic_set_error(self._cluster, topic.encode(), code)

    async def records(self, topic: str) -> list[Any]:
        """Everything that is in the topic."""
        return await read_all(self.url, topic, range(PARTITIONS))


@cache
def _library() -> ctypes.CDLL:
    (path,) = (
        path.locate()
        for path in files("confluent-kafka") or ()
        if path.name.startswith("librdkafka-") and ".so" in path.name
    )
    library = ctypes.CDLL(str(path))
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    return library
