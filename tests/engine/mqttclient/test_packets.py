"""Splitting and reading MQTT bytes, against packets that paho builds, fed whole and byte by byte."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hubqueue.errors import ProtocolError
from hubqueue.mqttclient.message import Extras, Message
from hubqueue.mqttclient.packets import Packet, Splitter, pubacks, read_publish

LARGE = 1 << 20


def built(message: Message, *, five: bool, properties: Properties | None = None) -> bytes:
    """The bytes in which paho sends this message."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5 if five else paho.MQTTv311)
    packets: list[bytes] = []
    client._packet_queue = lambda kind, packet, *_: packets.append(bytes(packet))  # type: ignore[assignment, method-assign]
    client._sock = cast(Any, packets)  # anything but None
    client._send_publish(
        message.mid,
        message.topic.encode(),
        message.payload,
        message.qos,
        message.retain,
        message.redelivered,
        None,
        properties,
    )
    client._sock = None
    return packets[0]


MESSAGES = st.builds(
    Message,
    topic=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
    payload=st.binary(max_size=300),
    qos=st.just(1),
    retain=st.booleans(),
    redelivered=st.booleans(),
    mid=st.integers(1, 65_535),
) | st.builds(Message, topic=st.just("t"), payload=st.binary(max_size=5), retain=st.booleans())


@given(st.lists(MESSAGES, max_size=5), st.booleans(), st.integers(1, 50))
def test_messages_are_read_however_the_stream_is_cut(messages: list[Message], five: bool, step: int) -> None:
    stream = b"".join(built(message, five=five) for message in messages)
    splitter = Splitter(LARGE)
    packets: list[Packet] = []
    for at in range(0, len(stream), step):
        packets += splitter.feed(stream[at : at + step])
    assert [read_publish(packet, five=five) for packet in packets] == messages


def test_properties_that_a_job_may_carry_are_read() -> None:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.PayloadFormatIndicator = 1
    properties.MessageExpiryInterval = 60
    properties.SubscriptionIdentifier = 300
    properties.ContentType = "text/plain"
    properties.ResponseTopic = "answers/1"
    properties.CorrelationData = b"\x00\xff"
    properties.UserProperty = [("a", "1"), ("b", "ü"), ("a", "2")]
    sent = Message("t", b"x" * 200, qos=1, mid=5)
    (packet,) = Splitter(LARGE).feed(built(sent, five=True, properties=properties))
    message = read_publish(packet, five=True)
    assert message.extras == Extras({"a": "2", "b": "ü"}, "text/plain", "answers/1", b"\x00\xff")
    assert message.payload == sent.payload


@pytest.mark.parametrize("step", [1, 7, 5000])
def test_of_a_packet_beyond_the_bound_the_head_is_kept_and_the_stream_goes_on(step: int) -> None:
    big, small = Message("t", b"x" * 3000, qos=1, mid=9), Message("t", b"y", qos=1, mid=10)
    stream = built(big, five=True) + built(small, five=True)
    splitter = Splitter(1000)
    packets: list[Packet] = []
    for at in range(0, len(stream), step):
        packets += splitter.feed(stream[at : at + step])
        assert len(splitter._buffer) <= 1000 + 5 + step  # five bytes of header
    first, second = (read_publish(packet, five=True) for packet in packets)
    assert (first.mid, len(first.payload) + first.missing) == (9, 3000)
    assert second == small


@given(st.binary(max_size=40), st.booleans())
def test_any_body_is_read_or_refused(body: bytes, five: bool) -> None:
    for header in (0x30, 0x32, 0x3B):
        try:
            read_publish(Packet(header, body), five=five)
        except ProtocolError:
            continue


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_any_stream_is_split_or_refused(chunks: list[bytes]) -> None:
    splitter = Splitter(100)
    try:
        for chunk in chunks:
            splitter.feed(chunk)
    except ProtocolError:
        return
    assert len(splitter._buffer) <= 200


def test_a_length_of_five_bytes_is_refused() -> None:
    with pytest.raises(ProtocolError, match="four bytes"):
        Splitter(LARGE).feed(b"\x30\xff\xff\xff\xff\x01")


def test_acknowledgements_are_packets_that_brokers_read() -> None:
    assert pubacks([1, 0xABCD]) == b"\x40\x02\x00\x01\x40\x02\xab\xcd"
