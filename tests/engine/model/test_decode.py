"""Decoders, with what devices send and with what nobody should."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.errors import Invalid, Undecodable
from hubqueue.model import payload as carried
from hubqueue.model.decode import EMPTY, KINDS, NAN, OTHERWISE, SKIPPED, Payload

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
        ("msgpack", b"", "empty payload"),
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
    read: Any = READINGS.decoder()
    assert read(b"21.5,40,007\r\n") == {"temperature": 21.5, "humidity": 40, "id": "007"}
    assert read("21.5,40,a\u2028b".encode())["id"] == "a\u2028b"  # no end of a line
    assert read(b'21.5,40,"a\r\nb"\r\n')["id"] == "a\r\nb"
    assert read(b"\xef\xbb\xbf21.5,40,a") == {"temperature": 21.5, "humidity": 40, "id": "a"}
    assert read(b'"off, really",,') == {"temperature": "off, really", "humidity": None, "id": ""}


def test_csv_keeps_codes_as_text_unless_told_otherwise() -> None:
    assert Payload("csv", ("a", "b:number"), ";").decoder()(b"007; 007") == {"a": "007", "b": 7}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"1,2", "2 values"),
        (b"1,2,3\n4,5,6", "2 rows"),
        (b"", "empty payload"),
        (b"1,warm,x", "number column"),
        (b'"1,2,3', "not CSV"),
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


@pytest.mark.parametrize(
    ("payload", "content", "value"),
    [
        (Payload("json", otherwise="text"), b"offline", "offline"),
        (Payload("json", otherwise="text"), b'"on"', "on"),
        (Payload("json", otherwise="text"), b"2026-11-30T22:47:23", "2026-11-30T22:47:23"),
        (Payload("json", otherwise="number"), b"+007.50", 7.5),
        (Payload("json", otherwise="bytes"), b"\xff\x00", b"\xff\x00"),
        (Payload("text", otherwise="bytes"), b"\xff", b"\xff"),
        (Payload("msgpack", otherwise="text"), b"\xd9", "refused"),
        (Payload("csv", ("a", "b"), otherwise="text"), b"off", "off"),
        (Payload("number", otherwise="text"), b"off", "off"),
        (Payload("number", otherwise="text", nan="null"), b"nan", None),
        (Payload("number", nan="null"), b" -Inf\n", None),
        (Payload("csv", ("a", "b:number", "c:text"), nan="null"), b"nan,inf,nan", {"a": None, "b": None, "c": "nan"}),
        (
            Payload("json", nan="null"),
            b'{"SI-00":{"T":17.1},"SI-02":{"T":nan}}',
            {"SI-00": {"T": 17.1}, "SI-02": {"T": None}},
        ),
        (Payload("json", empty="skip"), b"", SKIPPED),
        (Payload("json", empty="skip"), b"\xef\xbb\xbf \r\n\t", SKIPPED),
        (Payload("json", empty="null"), b" ", None),
        (Payload("json", otherwise="text"), b" ", "refused"),
        (Payload("json", otherwise="text", empty="skip"), b"", SKIPPED),
        (Payload("text", empty="skip"), b"\n", SKIPPED),
        (Payload("text", empty="refuse"), b"", "refused"),
        (Payload("number", empty="null"), b"", None),
        (Payload("csv", ("a",), empty="skip"), b"\r\n", SKIPPED),
        (Payload("bytes", empty="skip"), b"", SKIPPED),
        (Payload("bytes", empty="skip"), b" ", b" "),
        (Payload("msgpack", empty="skip"), b" ", 32),
        (Payload("json", encoding="latin-1"), b'"K\xfcche"', "Küche"),
        (Payload("json", encoding="latin-1"), b'\xef\xbb\xbf"K\xc3\xbcche"', "Küche"),
        (Payload("text", encoding="windows-1252"), b"5 \x80", "5 €"),
        (Payload("text", encoding="utf-16"), "Öl".encode("utf-16"), "Öl"),
        (Payload("text", encoding="utf-16-le", empty="skip"), "\ufeff \n".encode("utf-16-le"), SKIPPED),
        (Payload("number", encoding="utf-16-le"), "21.5\r\n".encode("utf-16-le"), 21.5),
        (Payload("text", encoding="ascii", otherwise="bytes"), b"\xff", b"\xff"),
        (Payload("text"), b"\xef\xbb\xbfon", "on"),
        (Payload("number"), b"\xef\xbb\xbf21", 21),
    ],
)
def test_a_tolerant_payload_is_read(payload: Payload, content: bytes, value: object) -> None:
    try:
        found = payload.decoder()(content)
    except Undecodable:
        found = "refused"
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (Payload("text", otherwise="json"), "otherwise 'json' makes no sense with decoder 'text' .it may be bytes"),
        (Payload("bytes", otherwise="text"), "every payload is bytes"),
        (Payload("csv", ("a",), otherwise="number"), "it may be text or bytes"),
        (Payload("text", nan="null"), "nan 'null' makes no sense"),
        (Payload("json", nan="zero"), "nan 'zero' makes no sense"),
        (Payload("json", empty="drop"), "empty 'drop' is not known"),
        (Payload("json", encoding="klingon"), "no text encoding 'klingon'"),
        (Payload("json", encoding="hex"), "no text encoding 'hex'"),
        (Payload("json", encoding="utf-7"), "no text encoding 'utf-7'"),
        (Payload("bytes", encoding="latin-1"), "encoding makes no sense"),
    ],
)
def test_tolerance_that_cannot_be_is_refused(payload: Payload, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        payload.decoder()


def test_both_reasons_are_told_where_nothing_fits() -> None:
    with pytest.raises(Undecodable, match=r"not JSON.*; otherwise: not a number"):
        Payload("json", otherwise="number").decoder()(b"offline")


def _in_utf_16(text: str) -> bytes:
    return text.encode("utf-16")


def _is_blank(content: bytes, encoding: str) -> bool:
    """A mark of the byte order is no content."""
    try:
        return not content.strip() or not content.decode(encoding).strip()
    except UnicodeDecodeError:
        return False


@given(
    content=st.binary(max_size=40) | st.text(max_size=20).map(str.encode) | st.text(max_size=9).map(_in_utf_16),
    kind=st.sampled_from(KINDS),
    otherwise=st.sampled_from([None, *OTHERWISE]),
    nan=st.sampled_from(NAN),
    empty=st.sampled_from([None, *EMPTY]),
    encoding=st.sampled_from(["utf-8", "latin-1", "cp1252", "utf-16", "utf-16-le", "cp437", "koi8-r", "gbk"]),
)
def test_any_bytes_are_read_with_any_tolerance(
    content: bytes, kind: str, otherwise: str | None, nan: str, empty: str | None, encoding: str
) -> None:
    columns = ("a", "b:number") if kind == "csv" else ()
    try:
        decode = Payload(kind, columns, ",", otherwise, nan, empty, encoding).decoder()
    except Invalid:
        return
    try:
        value = decode(content)
    except Undecodable:
        assert otherwise != "bytes" or _is_blank(content, encoding) or empty == "refuse"
        return
    if value is SKIPPED:
        assert empty == "skip"
    else:
        carried.encode(value)


def test_a_huge_real_number_stays_finite() -> None:
    assert math.isfinite(float(str(decode("number", b"1.7e308"))))
