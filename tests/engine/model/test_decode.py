"""Decoders, with what devices send and with what nobody should."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.errors import Invalid, Undecodable
from hubqueue.model import payload as carried
from hubqueue.model.decode import KINDS, Payload

READINGS = Payload("csv", ("temperature", "humidity:number", "id:text"))


def decode(kind: str, payload: bytes) -> object:
    return Payload(kind).decoder()(payload)


@pytest.mark.parametrize(
    ("kind", "payload", "value"),
    [
        ("json", b'{"t": 21.5, "ok": [true, null]}', {"t": 21.5, "ok": [True, None]}),
        ("json", b"18446744073709551615", 2**64 - 1),
        ("json", b"0", 0),
        ("text", "Küche".encode(), "Küche"),
        ("text", b"", ""),
        ("number", b" 21.50\n", 21.5),
        ("number", b"-7", -7),
        ("number", b"1e3", 1000.0),
        ("number", b".5", 0.5),
        ("msgpack", b"\x81\xa1t\x15", {"t": 21}),
        ("bytes", b"\x00\xff", b"\x00\xff"),
        ("bytes", b"", b""),
    ],
)
def test_a_payload_is_decoded(kind: str, payload: bytes, value: object) -> None:
    decoded = decode(kind, payload)
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize(
    ("kind", "payload", "reason"),
    [
        ("json", b"", "empty payload"),
        ("json", b"{", "not JSON"),
        ("json", b"NaN", "not JSON"),
        ("json", b"Infinity", "not JSON"),
        ("json", b"1e400", "not JSON"),
        ("json", b'"\xff"', "UTF-8"),
        ("json", b'"\\ud800"', "not JSON"),
        ("json", b"123456789012345678901234567890", "64 bits"),
        ("json", b'{"n": -9223372036854775809}', "64 bits"),
        ("json", b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        ("text", b"ok\xc3", "UTF-8 at byte 2"),
        ("number", b"", "empty payload"),
        ("number", b"nan", "not a number"),
        ("number", b"inf", "not a number"),
        ("number", b"1_000", "not a number"),
        ("number", b"21,5", "not a number"),
        ("number", "٣".encode(), "not a number"),
        ("number", b"9" * 30, "64 bits"),
        ("number", b"9" * 100_000, "too many digits"),
        ("number", b"1e999", "range of a double"),
        ("number", b"\xff", "UTF-8"),
        ("msgpack", b"", "not MessagePack"),
        ("msgpack", b"\xc1", "not MessagePack"),
        ("msgpack", b"\x01\x02", "not MessagePack"),
        ("msgpack", b"\x91" * 100_000 + b"\x00", "not MessagePack"),
    ],
)
def test_what_is_not_exactly_the_form_is_undecodable(kind: str, payload: bytes, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason):
        decode(kind, payload)


@pytest.mark.parametrize("kind", KINDS)
@given(payload=st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_any_bytes_are_carried_or_refused_as_undecodable(kind: str, payload: bytes) -> None:
    columns = ("a", "b:number") if kind == "csv" else ()
    try:
        value = Payload(kind, columns).decoder()(payload)
    except Undecodable:
        return
    carried.encode(value)


def test_four_megabytes_are_decoded() -> None:
    text = "x" * 4_000_000
    assert decode("json", msgspec.json.encode({"text": text})) == {"text": text}
    assert decode("text", text.encode()) == text
    assert decode("bytes", text.encode()) == text.encode()


def test_a_csv_line_becomes_a_map_by_column() -> None:
    read = READINGS.decoder()
    assert read(b"21.5,40,007\r\n") == {"temperature": 21.5, "humidity": 40, "id": "007"}
    assert read(b'"off, really",,') == {"temperature": "off, really", "humidity": None, "id": ""}


def test_csv_keeps_codes_as_text_unless_told_otherwise() -> None:
    assert Payload("csv", ("a", "b:number"), ";").decoder()(b"007; 007") == {"a": "007", "b": 7}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"1,2", "2 values"),
        (b"1,2,3\n4,5,6", "2 lines"),
        (b"", "0 lines"),
        (b"1,warm,x", "number column"),
        (b'"1,2,3', "not csv"),
        (b"\xff,2,3", "UTF-8"),
    ],
)
def test_a_csv_line_that_does_not_fit_is_undecodable(payload: bytes, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason):
        READINGS.decoder()(payload)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (Payload("xml"), "no decoder 'xml'"),
        (Payload("csv"), "needs columns"),
        (Payload("csv", ("a", "a")), "different names"),
        (Payload("csv", ("a:date",)), "not valid"),
        (Payload("csv", ("a",), "x"), "delimiter"),
        (Payload("json", ("a",)), "columns make no sense"),
    ],
)
def test_a_decoder_that_cannot_be_is_refused(payload: Payload, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        payload.decoder()


def test_a_huge_real_number_stays_finite() -> None:
    assert math.isfinite(float(str(decode("number", b"1.7e308"))))
