"""The examples of docs/forwarding.md for what is no hub, run as they stand against real servers."""

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
from support.mock_kafka import MockKafka
from support.mosquitto import Mosquitto
from support.mqtt import client
from support.ports import free_port
from support.postgres import Postgres
from support.waiting import soon, until

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

    await until(gone)


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
            message = await soon(anext(listener.messages))
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


@asynccontextmanager
async def telemetry(folder: Path, *, timescale: bool = False) -> AsyncIterator[Postgres]:
    """A PostgreSQL with the database, the user and the files of the page."""
    files = certificates.make(folder / "tls")
    (folder / "private-ca.pem").write_bytes(files.ca.read_bytes())
    (folder / "db-password").write_text("s3cret\n")
    async with Postgres(folder, timescale=timescale, tls=files) as server:
        await server.execute("CREATE ROLE hub LOGIN PASSWORD 's3cret'", "CREATE DATABASE telemetry OWNER hub")
        if timescale:
            await server.execute("CREATE EXTENSION timescaledb", database="telemetry")
        yield server


async def test_postgresql(tmp_path: Path) -> None:
    async with telemetry(tmp_path) as server:
        text = example("db.example:5432").replace("db.example:5432", f"127.0.0.1:{server.port}")
        async with running(tmp_path, text) as app:
            await forwarded(app, DATA)
        ((id, time, queue, name, data),) = await server.query("SELECT * FROM readings", database="telemetry")
    assert (id[:4], queue, name, json.loads(data)) == ("fwd:", "readings", "climate", DATA)
    assert time.tzinfo is not None


async def test_timescaledb(tmp_path: Path) -> None:
    async with telemetry(tmp_path, timescale=True) as server:
        text = example("timescale.example").replace("timescale.example", f"127.0.0.1:{server.port}")
        async with running(tmp_path, text) as app:
            await forwarded(app, DATA, DATA | {"temperature": 21.5, "humidity": None}, DATA | {"temperature": "hot"})
            assert (await app.hub.counts("readings")).failed == 1
        rows = await server.query("SELECT device, temperature, humidity FROM measurements", database="telemetry")
        (bucket,) = await server.query("SELECT * FROM measurements_1m", database="telemetry")
    assert sorted(tuple(row) for row in rows) == [("d1", 20.5, 48.0), ("d1", 21.5, None)]
    assert bucket["bucket"].isoformat() == "2026-11-22T08:00:00+00:00"
    assert (bucket["rows"], bucket["temperature_avg"], bucket["temperature_max"]) == (2, 21.0, 21.5)


async def test_kafka(tmp_path: Path) -> None:
    with MockKafka() as cluster:
        text = example("9092/readings").replace("kafka1.example:9092,kafka2.example:9092", cluster.url)
        async with running(tmp_path, text) as app:
            await forwarded(app, DATA)
        (record,) = await cluster.records("readings")
    assert (record.key, json.loads(record.value)) == (b"d1", DATA)
    assert [name for name, _ in record.headers] == ["id", "queue", "name"]


def test_kafka_with_a_login(tmp_path: Path) -> None:
    (tmp_path / "private-ca.pem").write_text("x")
    (tmp_path / "kafka-password").write_text("s3cret\n")
    file = tmp_path / "hubqueue.yaml"
    file.write_text(example("kafkas://kafka1.example:9093"))
    (forward,) = load(file, environ={}).forwarders
    there = forward.destination
    assert (there.url, there.encrypted, there.has_secret) == ("kafkas://kafka1.example:9093", True, True)


@pytest.mark.parametrize(
    "key",
    [
        "topic",
        "payload",
        "client_id",
        "max_packet",
        "batch",
        "gzip",
        "tags",
        "precision",
        "columns",
        "on_conflict",
        "idempotent",
    ],
)
def test_every_section_has_its_table(key: str) -> None:
    assert f"| `{key}`" in DOCS
