"""The examples of docs/forwarding.md for MQTT, HTTP and InfluxDB, run as they stand against real servers."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.app import App
from hubqueue.config.load import load
from hubqueue.model.job import NewJob
from support import certificates
from support.answering import answering
from support.influxdb import DATABASE, LOGIN, Influxdb
from support.mosquitto import Mosquitto, free_port
from support.mqtt import client
from support.waiting import until

DOCS = (Path(__file__).parents[3] / "docs" / "forwarding.md").read_text(encoding="utf-8")
DATA = {
    "device": "d1",
    "temperature": 20.5,
    "humidity": 48,
    "value": 20.5,
    "f": 212,
    "place": {"room": "attic"},
    "measured_at": "2026-11-22T08:00:00Z",
}


def example(begin: str) -> str:
    """The YAML block that holds this line."""
    (found,) = (text for text in re.findall(r"^```yaml\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL) if begin in text)
    assert isinstance(found, str)
    return found


@asynccontextmanager
async def running(folder: Path, text: str) -> AsyncIterator[App]:
    """A hub with this example, which has forwarded one reading at the end of the block."""
    file = folder / "hubqueue.yaml"
    file.write_text(
        f"{text}data_path: hub.db\n" + "tcp: {port: 0}\nhttp: {port: 0}\nlog: {level: error}\n", encoding="utf-8"
    )
    async with App(load(file, environ={})) as app:
        yield app


async def forwarded(app: App, *data: Any) -> None:
    """These readings have gone; one that was refused does not count."""
    jobs = [NewJob(name="climate", data=msgspec.msgpack.encode(each)) for each in data]
    await app.hub.enqueue("readings", jobs)

    async def gone() -> bool:
        (status,) = await app.fleet.statuses()
        return status.now.forwarded + status.now.rejected == len(data)

    await until(gone, 60)


async def test_mqtt(tmp_path: Path) -> None:
    (tmp_path / "broker-password").write_text("s3cret\n")
    async with Mosquitto(tmp_path, login=("hub", "s3cret")) as broker:
        text = example("mqtt://broker.example:1883").replace("broker.example:1883", f"127.0.0.1:{broker.port}")
        async with (
            client(broker.port, "listener", username="hub", password="s3cret") as listener,
            running(tmp_path, text) as app,
        ):
            await listener.subscribe("#")
            await forwarded(app, DATA)
            message = await asyncio.wait_for(anext(listener.messages), 60)
    assert message.topic.value == "site-7/d1/climate"
    assert json.loads(message.payload) == DATA


async def test_http(tmp_path: Path) -> None:
    files = certificates.make(tmp_path / "tls")
    (tmp_path / "private-ca.pem").write_bytes(files.ca.read_bytes())
    (tmp_path / "collector-token").write_text("s3cret")
    async with answering(files) as there:
        text = example("https://collector.example/readings").replace("https://collector.example", there.url)
        async with running(tmp_path, text) as app:
            await forwarded(app, DATA)
    (asked,) = there.asked
    assert (asked.method, asked.path, asked.json) == ("POST", "/readings", DATA)
    assert asked.headers["Authorization"] == "Bearer s3cret"
    assert asked.headers["Idempotency-Key"].startswith("fwd:")


async def test_http_in_batches_to_the_receiver_of_the_page(tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(import sqlite3.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
    port = free_port()
    (tmp_path / "receiver.py").write_text(program.replace("8080", str(port)), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(sys.executable, "receiver.py", cwd=tmp_path, stdout=-3, stderr=-3)
    try:
        text = example("collector.example:8080").replace("collector.example:8080", f"127.0.0.1:{port}")
        async with running(tmp_path, text + "    backoff: 50ms\n    backoff_cap: 100ms\n") as app:
            await forwarded(app, DATA, {"device": "d2"}, DATA | {"device": "d3"})
            dead = (await app.hub.counts("readings")).failed
    finally:
        process.kill()
        await process.wait()
    with sqlite3.connect(tmp_path / "readings.db") as store:
        rows = store.execute("SELECT id LIKE 'fwd:%', device, value FROM reading ORDER BY device").fetchall()
    store.close()
    assert rows == [(1, "d1", 20.5), (1, "d3", 20.5)]
    assert dead == 1


async def test_influxdb_1(tmp_path: Path) -> None:
    (tmp_path / "influx-password").write_text(LOGIN[1])
    async with Influxdb(tmp_path) as influxdb:
        text = example(f"database: {DATABASE}").replace("influx.example:8086", f"127.0.0.1:{influxdb.port}")
        async with running(tmp_path, text) as app:
            await forwarded(app, DATA)
        rows = await influxdb.ask('SELECT * FROM "climate"')
    assert rows == [
        {"name": "climate", "time": 1_795_334_400 * 10**9, "device": "d1", "temperature": 20.5, "humidity": 48}
    ]


async def test_influxdb_2(tmp_path: Path) -> None:
    (tmp_path / "influx-token").write_text("s3cret")
    async with answering() as there:
        text = example("bucket: site").replace("http://influx.example:8086", there.url)
        async with running(tmp_path, text) as app:
            await forwarded(app, DATA)
    (asked,) = there.asked
    assert (asked.path, asked.query) == ("/api/v2/write", {"org": "farm", "bucket": "site", "precision": "ms"})
    assert asked.headers["Authorization"] == "Token s3cret"
    assert re.fullmatch(rb"readings,room=attic celsius=100\.0 \d{13}", asked.body)


@pytest.mark.parametrize("key", ["topic", "payload", "client_id", "max_packet", "batch", "gzip", "tags", "precision"])
def test_every_section_has_its_table(key: str) -> None:
    assert f"| `{key}`" in DOCS
