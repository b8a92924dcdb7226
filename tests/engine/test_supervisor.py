"""What the Supervisor says and is told: the broker's login, the announcement, and how it fails."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from hubqueue import supervisor
from hubqueue.client.address import Tls
from hubqueue.errors import LinkDown
from hubqueue.mqttclient.broker import Broker
from hubqueue.supervisor import Announcer, HandedOut, Supervisor
from support.supervisor import TOKEN, FakeSupervisor
from support.waiting import in_time, until

LOGIN = {"host": "core-mosquitto", "port": 1884, "username": "addons", "password": "s3cret"}


@pytest.fixture
def fake() -> Iterator[FakeSupervisor]:
    with FakeSupervisor() as fake:
        yield fake


async def test_the_broker_is_what_it_says_now(fake: FakeSupervisor) -> None:
    handed_out = HandedOut(Supervisor(fake.url, TOKEN), Broker(version="3.1.1"))
    fake.mqtt = LOGIN
    broker = await handed_out()
    assert (broker.host, broker.port, broker.username, broker.password) == ("core-mosquitto", 1884, "addons", "s3cret")
    assert broker.version == "3.1.1"
    assert broker.tls is None
    fake.mqtt = {**LOGIN, "port": 8883, "ssl": True}
    assert (await handed_out()).tls == Tls()


async def test_without_a_broker_the_error_says_what_to_install(fake: FakeSupervisor) -> None:
    with pytest.raises(LinkDown, match="Mosquitto broker"):
        await Supervisor(fake.url, TOKEN).mqtt()


async def test_a_refusal_says_why(fake: FakeSupervisor) -> None:
    with pytest.raises(LinkDown, match="Forbidden"):
        await Supervisor(fake.url, "wrong").mqtt()


async def test_an_answer_that_makes_no_sense_is_named(fake: FakeSupervisor) -> None:
    fake.mqtt = {"host": "core-mosquitto"}
    with pytest.raises(LinkDown, match="cannot be read"):
        await Supervisor(fake.url, TOKEN).mqtt()


async def test_a_supervisor_that_is_not_there_is_named() -> None:
    with pytest.raises(LinkDown, match="does not answer"):
        await Supervisor("http://127.0.0.1:9", TOKEN).mqtt()


async def test_it_is_announced_until_it_was_heard(
    fake: FakeSupervisor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_RETRY_S", 0.01)
    caplog.set_level(logging.INFO)
    fake.refusals = 3
    told = Announcer(Supervisor(fake.url, TOKEN), {"host": "h", "port": 1, "token": "hidden"})
    told.start()
    await until(lambda: len(fake.announced) == 1)
    await until(lambda: "knows of this hub" in caplog.text)
    assert fake.announced[0]["config"]["host"] == "h"
    assert caplog.text.count("trying again") == 1
    assert "hidden" not in caplog.text
    await told.close()


async def test_it_can_be_closed_while_nobody_hears(caplog: pytest.LogCaptureFixture) -> None:
    told = Announcer(Supervisor("http://127.0.0.1:9", TOKEN), {"host": "h", "port": 1})
    told.start()
    await until(lambda: "trying again" in caplog.text)
    async with in_time():
        await told.close()
        await told.close()
