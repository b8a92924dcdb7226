"""enrich by a table of devices, which changes while the pipeline runs."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from hubqueue.errors import Invalid
from hubqueue.pipeline.table import read_table
from support.pipelines import Bench, mistakes
from support.waiting import until

CSV = "device,site,lat:number,code:text\na,hall,1.5,007\nb,attic,,\n7,yard,3,x\n"
STEP = '- enrich: {table: devices.csv, key: "{{ data.id }}", %s}'


def bench(folder: Path, more: str = "", content: str = CSV) -> Bench:
    (folder / "devices.csv").write_text(content, encoding="utf-8")
    return Bench(folder, STEP % more)


def test_the_row_of_the_key_is_laid_over_the_data(tmp_path: Path) -> None:
    assert bench(tmp_path).one({"id": "a", "site": "?"}) == {
        "id": "a",
        "device": "a",
        "site": "hall",
        "lat": 1.5,
        "code": "007",
    }
    assert bench(tmp_path).one({"id": "b"}) == {"id": "b", "device": "b", "site": "attic", "lat": None, "code": ""}
    assert bench(tmp_path).one({"id": 7})["site"] == "yard"


def test_a_row_may_have_a_field_of_its_own_and_be_picked_from(tmp_path: Path) -> None:
    assert bench(tmp_path, "into: about.device, pick: [site]").one({"id": "a", "about": {"x": 1}}) == {
        "id": "a",
        "about": {"x": 1, "device": {"site": "hall"}},
    }
    assert bench(tmp_path, "pick: {place: site}").one({"id": "a"}) == {"id": "a", "place": "hall"}


def test_an_unknown_key_is_treated_as_told(tmp_path: Path) -> None:
    assert bench(tmp_path).refused({"id": "x"}) == "enrich: 'x' is not in the table"
    assert "its key cannot be worked out" in bench(tmp_path).refused({})
    assert bench(tmp_path, "missing: keep").one({"id": "x"}) == {"id": "x"}
    assert bench(tmp_path, "missing: keep").one({}) == {}
    assert bench(tmp_path, "missing: null, pick: [site]").one({"id": "x"}) == {"id": "x", "site": None}
    assert bench(tmp_path, "missing: null, into: device").one({"id": "x"}) == {"id": "x", "device": None}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("devices.yaml", "a: {site: hall}\n7: {site: yard}\n"),
        ("devices.yml", "- {device: a, site: hall}\n- {device: 7, site: yard}\n"),
        ("devices.json", '{"a": {"site": "hall"}, "7": {"site": "yard"}}'),
        ("devices.csv", "\ufeffdevice,site\r\na,hall\r\n\r\n7,yard\r\n"),
    ],
)
def test_tables_are_csv_yaml_or_json(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    rows = read_table(tmp_path / name, "device")
    assert {key: row["site"] for key, row in rows.items()} == {"a": "hall", "7": "yard"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", b"", "no column 'device'"),
        ("t.csv", b"name,site\na,b\n", "there are name, site"),
        ("t.csv", b"device,site\na\n", "line 2: has 1 values"),
        ("t.csv", b"device,site\na,b\na,c\n", "line 3: device 'a' is there already"),
        ("t.csv", b"device,n:number\na,warm\n", "line 2: column n: a value in a number column is not a number"),
        ("t.csv", b"device,n:number\na,nan\n", "line 2: column n: a value in a number column is not a number"),
        ("t.csv", b"device,site\n,b\n", "line 2: has no device"),
        ("t.csv", b"device,site,site\na,b,c\n", "site is there twice"),
        ("t.csv", b'device,site\na,"b\n', "line 2: is not CSV"),
        ("t.csv", b"device,site\na,\xff\n", "line 2: is not valid UTF-8"),
        ("t.yaml", b"a: [1\n", "not YAML"),
        ("t.yaml", b"a: 3\n", "row 1: must hold keys and values"),
        ("t.yaml", b"- {site: x}\n", "row 1: has no device"),
        ("t.yaml", b"hello", "holds no rows"),
        ("t.yaml", b"a: {n: 99999999999999999999999}\n", "row 1: cannot carry an int"),
    ],
)
def test_a_table_that_cannot_be_used_is_a_mistake(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid, match=re.escape(words)) as refused:
        read_table(tmp_path / name, "device")
    assert "nan: null" not in refused.value.hint  # no option of a table
    assert "encoding says" not in refused.value.hint
    steps = f'- enrich: {{table: {name}, key: "{{{{ data.id }}}}"}}'
    assert words in mistakes(tmp_path, steps)["steps[0].enrich.table"]


async def changed(tried: Bench, content: str, folder: Path, expected: Any) -> None:
    """Writes the file and waits until the pipeline has looked at it."""
    (folder / "devices.csv").write_text(content, encoding="utf-8")

    async def seen() -> bool:
        return bool(await tried.prepared({"id": "a"}) == expected)

    await until(seen)


async def test_a_table_is_read_again_when_it_changes(tmp_path: Path) -> None:
    tried = bench(tmp_path, "pick: [site]")
    assert await tried.prepared({"id": "a"}) == [{"id": "a", "site": "hall"}]
    await changed(tried, "device,site\na,cellar\n", tmp_path, [{"id": "a", "site": "cellar"}])


async def test_a_new_table_that_cannot_be_used_leaves_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tried = bench(tmp_path, "pick: [site]")
    file = tmp_path / "devices.csv"

    async def kept() -> bool:
        assert await tried.prepared({"id": "a"}) == [{"id": "a", "site": "hall"}]
        return bool(caplog.records)

    with caplog.at_level(logging.WARNING):
        file.write_text("device,site\na\n", encoding="utf-8")
        await until(kept)
        assert "the one before is kept" in caplog.text
        assert "line 2: has 1 values" in caplog.text
        caplog.clear()
        file.unlink()
        await until(kept)
        assert "cannot be read" in caplog.text
    await changed(tried, "device,site\na,cellar\n", tmp_path, [{"id": "a", "site": "cellar"}])
