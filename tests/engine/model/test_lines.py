"""The one reader of lines, JSON lines and CSV; and that all doors read alike."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.errors import Invalid, Malformed, Undecodable
from hubqueue.ingest.body import Layout, values_of
from hubqueue.model.decode import Payload
from hubqueue.model.lines import byte_lines, csv_rows, json_lines, lines
from hubqueue.pipeline.table import read_table
from hubqueue.pipeline.trial import read_samples

MARK = b"\xef\xbb\xbf"
# what str.splitlines() takes for ends of lines, and is none
NO_ENDS = "\u2028\u2029\u0085\x0b\x0c\x1c\x1d\x1e"
CELLS = st.text(alphabet=st.sampled_from('ab7.-" ,;\t\r\näß€🌡\ufeff' + NO_ENDS), max_size=8)


def test_lines_end_with_lf_crlf_or_cr_and_nothing_else() -> None:
    text = f"a\nb\r\nc\r\r\n{NO_ENDS}"
    assert list(lines(text.encode())) == [(1, "a"), (2, "b"), (3, "c"), (4, ""), (5, NO_ENDS)]
    assert list(lines(b"")) == []


def test_lines_come_from_a_file_as_they_are_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_bytes(MARK + b"first\r\n" + b"x" * 100_000 + b"\n" + b"\xff\n")
    with file.open("rb") as opened:
        found = lines(opened)
        assert next(found) == (1, "first")
        assert next(found) == (2, "x" * 100_000)
        with pytest.raises(Undecodable, match="line 3: is not valid UTF-8"):
            next(found)
        assert not opened.closed


def test_an_endless_line_is_refused_before_it_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubqueue.model.lines.MAX_LINE_CHARS", 10)
    found = lines(b"ok\n" + b"y" * 11)
    assert next(found) == (1, "ok")
    with pytest.raises(Undecodable, match="line 2: is too long"):
        next(found)


def test_json_lines_have_the_numbers_of_their_lines() -> None:
    assert list(json_lines(MARK + b'{"a": 1}\r\n\r\n \n[nan]', nan_is_null=True)) == [(1, {"a": 1}), (4, [None])]
    with pytest.raises(Undecodable, match="line 2: not JSON"):
        list(json_lines(b"1\nx\n"))
    with pytest.raises(Undecodable, match="line 2: not valid UTF-8 at byte 1"):
        list(json_lines(b'1\n"\xff"\n'))


def test_who_wants_reads_on_behind_a_wrong_line() -> None:
    assert list(byte_lines(MARK + b"a\r\n\xff\xed\xa0\x80\n\xc3\xa4")) == [
        (1, b"a"),
        (2, b"\xff\xed\xa0\x80"),
        (3, "ä".encode()),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_csv_is_read_in_its_encoding_with_or_without_a_mark(encoding: str) -> None:
    content = "room,t:number\r\nKüche,21.5\r\n".encode(encoding)
    codec = "utf-8" if encoding == "utf-8-sig" else encoding
    assert list(csv_rows(content, codec)) == [(2, {"room": "Küche", "t": 21.5})]


def test_a_row_says_the_line_in_which_it_begins() -> None:
    content = b'a,b\n"1\n2",3\n\n4,"5\r\n6"\n7\n'
    rows = csv_rows(content)
    assert [next(rows), next(rows)] == [(2, {"a": "1\n2", "b": 3}), (5, {"a": 4, "b": "5\r\n6"})]
    with pytest.raises(Undecodable, match="line 7: has 1 values for 2 columns"):
        next(rows)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,a\n", "a is there twice"),
        (b"a,\n", "column '' is not valid"),
        (b"a:date\n", "column 'a:date' is not valid"),
    ],
)
def test_columns_that_cannot_be_are_refused(content: bytes, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        list(csv_rows(content))


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=5), st.sampled_from(",;\t|"))
def test_what_a_spreadsheet_writes_is_read(table: list[list[str]], delimiter: str) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter).writerows([["a:text", "b:text"], *table])
    read = [list(row.values()) for _, row in csv_rows(MARK + written.getvalue().encode(), delimiter=delimiter)]
    assert read == [[cell.strip(" \t") for cell in row] for row in table]


def _outcome(read: Any) -> Any:
    """The values, or that there are none to be had."""
    try:
        return read()
    except Invalid:
        return "refused"


@given(st.text(alphabet=st.sampled_from('a1.,"\r\n ü' + NO_ENDS), max_size=20), st.booleans())
def test_all_doors_read_csv_alike(text: str, marked: bool) -> None:
    body = text.encode()
    whole = (MARK if marked else b"") + b"key:text,value\n" + body
    rule = Payload("csv", ("key:text", "value"))

    def by_rule() -> Any:
        found = rule.decoder()(MARK * marked + body)
        return [found]

    def by_feed() -> Any:
        return values_of(whole, Layout(Payload("csv")))

    def by_table() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "t.csv"
            file.write_bytes(whole)
            return list(read_table(file, "key").values())

    found = _outcome(lambda: [row for _, row in csv_rows(whole)])
    if found == "refused" or not found:
        assert _outcome(by_feed) == "refused"
        assert _outcome(by_rule) == "refused"
        return
    assert _outcome(by_feed) == found
    keys = [row["key"] for row in found]
    if all(keys) and len(set(keys)) == len(keys):
        assert _outcome(by_table) == found
    if len(found) == 1:
        assert _outcome(by_rule) == found


@given(st.lists(st.sampled_from(['{"a": 1}', "[1.0]", '"ü\u2028\u0085"', "nan", "", " ", "{", "null"]), max_size=5))
def test_all_doors_read_json_lines_alike(given_lines: list[str]) -> None:
    content = MARK + "\r\n".join(given_lines).encode()
    found = _outcome(lambda: [value for _, value in json_lines(content)])
    if found == "refused":
        with pytest.raises(Malformed):
            values_of(content, Layout(Payload("json"), lines=True))
    if not found or found == "refused":
        assert _outcome(lambda: read_samples(content, "f", 0)) == "refused"
        return
    assert values_of(content, Layout(Payload("json"), lines=True)) == found
    assert [record.data for _, record in read_samples(content, "f", 0)] == found
    decode = Payload("json").decoder()
    assert [decode(MARK + each.encode()) for each in given_lines if each.strip()] == found
    assert msgspec.json.decode(msgspec.json.encode(found)) == found
