"""The examples of docs/examples run from their one command, between real brokers, databases and hubs."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec
import pytest
from aiohttp import web

import hubqueue
from support import mqtt
from support.examples import EXAMPLES, example
from support.hub_process import HubProcess
from support.mosquitto import Mosquitto
from support.ports import free_port
from support.postgres import PASSWORD, Postgres
from support.rest import Rest, client_of
from support.shell import Shell
from support.waiting import in_time, until

pytestmark = pytest.mark.slow
RECEIPTS = 5000
OUTSIDE = {("52.1", "9.7"): 7.25, ("48.1", "11.6"): 3.5}


@asynccontextmanager
async def weather() -> AsyncIterator[tuple[str, list[str]]]:
    """A server that answers as api.open-meteo.com does; its URL and what it was asked."""
    asked: list[str] = []

    async def forecast(request: web.Request) -> web.Response:
        query = request.query
        asked.append(request.query_string)
        return web.json_response(
            {
                "latitude": float(query["latitude"]) + 0.012,
                "longitude": float(query["longitude"]) - 0.008,
                "generationtime_ms": 0.021,
                "utc_offset_seconds": 0,
                "timezone": "GMT",
                "elevation": 59.0,
                "current_units": {"time": "iso8601", "interval": "seconds", "temperature_2m": "°C"},
                "current": {
                    "time": "2026-11-22T08:00",
                    "interval": 900,
                    "temperature_2m": OUTSIDE[query["latitude"], query["longitude"]],
                },
            }
        )

    app = web.Application()
    app.router.add_get("/v1/forecast", forecast)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


async def test_water_pumps(tmp_path: Path) -> None:
    sql = "SELECT pump, temperature, pressure, lat, lon, outside, via FROM pump_readings ORDER BY pump, time, id"
    async with Mosquitto(tmp_path) as broker, Postgres(tmp_path) as database, weather() as (url, asked):
        with example(
            "water-pumps",
            tmp_path,
            MQTT_URL=f"mqtt://127.0.0.1:{broker.port}",
            DATABASE_URL=database.url(),
            DATABASE_PASSWORD=PASSWORD,
            WEATHER_URL=url,
        ) as run:

            async def stored() -> bool:
                assert run.runs, run.output
                there = await database.query("SELECT to_regclass('pump_readings') IS NOT NULL AS made")
                return bool(there[0]["made"]) and len(await database.query(sql)) >= 8

            await until(stored, 120)
            async with client_of(run.http_port) as rest:
                for queue, reason in (("_unroutable", "undecodable"), ("pumps", "minimum")):
                    assert reason in str((await rest.ask("GET", f"/queues/{queue}/dlq")).body)
        rows = [tuple(row) for row in await database.query(sql)]
    assert rows == [
        ("p1", 12.4, 3.1, 52.12, 9.74, 7.25, "mqtt"),
        ("p1", 12.5, 3.2, 52.12, 9.74, 7.25, "mqtt"),
        ("p2", 12.9, 3.0, 52.13, 9.71, 7.25, "mqtt"),
        ("p2", 13.0, 2.9, 52.13, 9.71, 7.25, "mqtt"),
        ("p3", 11.8, 2.7, 48.14, 11.58, 3.5, "mqtt"),
        ("p7", 12.0, 2.999, 52.11, 9.73, 7.25, "http"),
        ("p7", 12.11, 2.972, 52.11, 9.73, 7.25, "http"),
        ("p8", 13.0, 2.703, 48.14, 11.58, 3.5, "http"),
    ]
    assert len(asked) == len(OUTSIDE)  # a kept answer serves all pumps nearby


async def test_factory_floor(tmp_path: Path) -> None:
    seconds, alarms = 3, list[Any]()
    async with (
        Mosquitto(tmp_path, lines=("max_queued_messages 0", "log_type error")) as broker,
        mqtt.client(broker.port, "alarms") as listener,
    ):
        await listener.subscribe("factory/alarms/#", qos=1)
        variables = {"MQTT_URL": f"mqtt://127.0.0.1:{broker.port}", "SECONDS_LONG": seconds, "LATENESS": "8s"}
        with example("factory-floor", tmp_path, **variables) as run:
            await until(lambda: "readings are sent" in run.output or not run.runs, 120)
            async with client_of(run.http_port) as rest:

                async def gathered() -> bool:
                    assert run.runs, run.output
                    means, odd = await waiting(rest, "seconds"), await waiting(rest, "anomalies")
                    return means >= 100 * seconds and odd >= 2

                await until(gathered, 120)
            async with in_time():
                while len(alarms) < 2:
                    alarms.append(msgspec.json.decode((await anext(listener.messages)).payload))
    lines = (tmp_path / "data" / "readings.jsonl").read_bytes().splitlines()
    values = defaultdict[tuple[str, int], list[float]](list)
    for reading in map(msgspec.json.decode, lines):
        values[reading["machine"], reading["at"] // 1000 * 1000].append(reading["value"])
    means = jobs(tmp_path / "data" / "hub.db", "seconds")
    assert len(lines) == 10_000 * seconds
    assert sorted((mean["machine"], mean["start_ms"]) for mean in means) == sorted(values)  # a hundredth of them
    for mean in means:
        of = values[mean["machine"], mean["start_ms"]]
        assert (mean["count"], mean["value_min"], mean["value_max"]) == (100, min(of), max(of))
        assert mean["value_mean"] == pytest.approx(fmean(of))
    wild = jobs(tmp_path / "data" / "hub.db", "anomalies")
    assert {each["sensor"]: each["flags"] for each in wild} == {
        "s0017": ["value.zscore"],
        "s0423": ["value.range", "value.zscore"],
    }
    assert sorted(alarm["sensor"] for alarm in alarms) == ["s0017", "s0423"]


async def test_retail_till(tmp_path: Path) -> None:
    with example("retail-till", tmp_path, CENTRAL_PORT=free_port(), RECEIPTS=40) as run:
        await until(lambda: not run.runs, 120)
        assert run.wait(0) == 0, run.output
    assert run.output.splitlines() == [
        "The till is on, the line to the office is down.",
        "40 receipts wait in the till.",
        "The line is back.",
        "40 receipts are in the office, 0 wait in the till.",
    ]
    receipts = jobs(tmp_path / "data" / "central.db", "till-7")
    assert receipts == [{"number": number, "cents": number * 125} for number in range(1, 41)]


async def test_retail_till_and_office_are_killed_while_receipts_go_up(tmp_path: Path) -> None:
    port = free_port()
    environ = {"TILL_TOKEN": "till", "BOOKS_TOKEN": "books", "CENTRAL_URL": f"tcp://127.0.0.1:{port}"}
    folders = {name: tmp_path / name for name in ("till", "central")}
    for folder in folders.values():
        folder.mkdir()

    def hub(name: str, tcp_port: int) -> HubProcess:
        flags = ("--data-path", str(folders[name] / "hub.db"), "--tcp-port", str(tcp_port))
        return HubProcess(folders[name], *flags, config=EXAMPLES / "retail-till" / f"{name}.yaml", environ=environ)

    with hub("till", 0) as till:
        async with hubqueue.Client(till.url) as client:
            for start in range(0, RECEIPTS, 500):
                batch = [("receipt", {"number": number}) for number in range(start, start + 500)]
                await client.queue("receipts").add_many(batch, durable=True)
        with hub("central", port) as central:
            for killed in ((central,), (till,), (till, central)):
                await arrive(central, 200)
                for each in killed:
                    each.kill()
                for each in killed:
                    each.start()
            await arrive(central, RECEIPTS)
    numbers = [each["number"] for each in jobs(folders["central"] / "hub.db", "till-7")]
    assert numbers == list(range(RECEIPTS))


async def arrive(central: HubProcess, count: int) -> None:
    """Until so many more receipts are there than now, or all."""
    async with client_of(central.http_port, "books") as rest:
        wanted = min(RECEIPTS, await waiting(rest, "till-7") + count)

        async def there() -> bool:
            return await waiting(rest, "till-7") >= wanted

        await until(there, 120)


async def waiting(rest: Rest, queue: str) -> int:
    answer = await rest.ask("GET", f"/queues/{queue}")
    return int(answer.body["counts"]["waiting"]) if answer.status == 200 else 0


def jobs(file: Path, queue: str) -> list[Any]:
    """The data of all jobs of a queue, in their order, read from the file of a hub that has ended."""
    with closing(sqlite3.connect(file)) as db:
        sql = "SELECT data FROM job JOIN queue ON queue.id = job.queue WHERE queue.name = ? ORDER BY job.seq"
        return [msgspec.msgpack.decode(data) for (data,) in db.execute(sql, (queue,))]


def test_a_pipeline_of_an_example_is_tried_with_its_samples() -> None:
    folder = EXAMPLES / "water-pumps"
    shell = Shell(folder)
    tried = shell("pipeline", "try", "pipelines/from-http.yaml", "--sample", "pumps.jsonl")
    assert "2.999" in tried.stdout
