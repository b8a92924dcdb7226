"""Frames: whatever way the bytes are cut, the same bodies come out."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hubqueue.wire.frames import FrameReader, frame

BODIES = st.lists(st.binary(max_size=300), max_size=12)


def feed_in_pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    reader = FrameReader()
    edges = [0, *sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)]
    return [body for start, end in pairwise(edges) for body in reader.feed(stream[start:end])]


@given(bodies=BODIES, cuts=st.lists(st.integers(min_value=0), max_size=20))
def test_frames_come_out_the_same_however_the_stream_is_cut(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(frame, bodies))
    assert feed_in_pieces(stream, cuts) == bodies


@given(bodies=BODIES)
def test_frames_come_out_the_same_byte_by_byte(bodies: list[bytes]) -> None:
    stream = b"".join(map(frame, bodies))
    assert feed_in_pieces(stream, list(range(len(stream)))) == bodies


@given(body=st.binary(min_size=1, max_size=100), missing=st.integers(min_value=1))
def test_a_truncated_frame_is_kept_as_partial(body: bytes, missing: int) -> None:
    stream = frame(body)
    reader = FrameReader()
    cut = len(stream) - 1 - missing % (len(stream) - 1)
    assert reader.feed(stream[:cut]) == []
    assert reader.partial
    assert reader.feed(stream[cut:]) == [body]
    assert not reader.partial


def test_an_oversized_frame_is_found_by_its_header_alone() -> None:
    reader = FrameReader()
    assert reader.feed(frame(b"before") + (64 * 1024 * 1024 + 1).to_bytes(4, "big")) == [b"before"]
    assert reader.oversized == 67108865


def test_a_frame_of_exactly_the_limit_is_allowed() -> None:
    reader = FrameReader(limit=1000)
    assert reader.feed(frame(bytes(1000))) == [bytes(1000)]
    assert reader.oversized is None
    assert reader.feed(frame(bytes(1001))) == []
    assert reader.oversized == 1001


def test_bytes_after_an_oversized_frame_are_ignored_and_not_kept() -> None:
    reader = FrameReader(limit=10)
    reader.feed(frame(bytes(11)))
    assert reader.feed(frame(b"later")) == []
    assert not reader.partial


def test_a_big_frame_in_many_pieces_takes_linear_time() -> None:
    body = bytes(8 * 1024 * 1024)
    stream, reader = frame(body), FrameReader()
    got = [found for at in range(0, len(stream), 4096) for found in reader.feed(stream[at : at + 4096])]
    assert got == [body]
