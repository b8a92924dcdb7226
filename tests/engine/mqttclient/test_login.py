"""Where the broker is and who may speak to it: addresses, TLS, passwords, and errors that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiomqtt import TLSParameters

from hubqueue.client.address import Tls
from hubqueue.errors import Invalid, NotAuthenticated
from hubqueue.mqttclient.broker import Broker
from support import certificates
from support.mosquitto import Mosquitto
from support.mqtt import Collecting, client, near

ALL = {"s/#": 1}


async def test_tls_and_password_work(tmp_path: Path) -> None:
    files = certificates.make(tmp_path)
    async with Mosquitto(tmp_path, login=("hub", "s3cret"), tls=files) as broker:
        settings = Broker.from_url(f"mqtts://hub:s3cret@localhost:{broker.port}", tls=Tls(str(files.ca)))
        async with Collecting(settings, ALL) as hub:
            await hub.up()
            async with client(
                broker.port, "sender", username="hub", password="s3cret", tls_params=TLSParameters(str(files.ca))
            ) as sender:
                for number in range(10):
                    await sender.publish("s/a", bytes([number]) * 400_000, qos=1)
            assert [m.payload for m in await hub.received(10)] == [bytes([n]) * 400_000 for n in range(10)]


async def test_a_client_certificate_works(tmp_path: Path) -> None:
    files = certificates.make(tmp_path)
    own = Tls(str(files.ca), str(files.cert), str(files.key))
    async with (
        Mosquitto(tmp_path, tls=files, client_certificate=True) as broker,
        Collecting(near(broker.port, tls=own), ALL) as hub,
    ):
        await hub.up()


@pytest.mark.parametrize("version", ["auto", "3.1.1"])
async def test_a_wrong_password_is_named(tmp_path: Path, version: str) -> None:
    async with (
        Mosquitto(tmp_path, login=("hub", "s3cret")) as broker,
        Collecting(near(broker.port, version=version, username="hub", password="wrong"), ALL) as hub,
    ):
        error = (await hub.down()).error
        assert isinstance(error, NotAuthenticated)
        assert "refused the login" in str(error)
        assert "check username and password" in str(error)
        assert "wrong" not in str(error)


async def test_a_broker_that_nobody_trusts_is_named(tmp_path: Path) -> None:
    files = certificates.make(tmp_path)
    async with (
        Mosquitto(tmp_path, tls=files) as broker,
        Collecting(near(broker.port, tls=Tls(str(files.other_ca))), ALL) as hub,
    ):
        assert "give its CA file" in str((await hub.down()).error)


async def test_a_host_name_that_cannot_be_is_named() -> None:
    async with Collecting(near(1883, host="x" * 70 + ".example"), ALL) as hub:
        assert "is not a host name" in str((await hub.down()).error)


async def test_a_port_where_nobody_listens_is_named() -> None:
    async with Collecting(near(1), ALL) as hub:
        assert "is the broker running" in str((await hub.down()).error)


async def test_a_missing_certificate_file_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="CA file"):
        Collecting(near(1, tls=Tls(str(tmp_path / "none.pem"))), ALL)


@pytest.mark.parametrize(
    ("url", "host", "port", "login"),
    [
        ("mqtt://broker", "broker", 1883, (None, None)),
        ("mqtts://broker", "broker", 8883, (None, None)),
        ("mqtt://u:p%40ss@[::1]:99", "::1", 99, ("u", "p@ss")),
    ],
)
def test_an_address_is_read(url: str, host: str, port: int, login: tuple[str | None, str | None]) -> None:
    broker = Broker.from_url(url)
    assert (broker.host, broker.port, (broker.username, broker.password)) == (host, port, login)
    assert "p@ss" not in repr(broker)
    assert "p@ss" not in broker.url


@pytest.mark.parametrize("wrong", [{"receive_maximum": 0}, {"keepalive_s": 0}, {"port": 70_000}])
def test_settings_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(Invalid, match=next(iter(wrong))):
        Broker(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["", "http://x", "mqtt://", "mqtt://x:port", "mqtt://x/topic", "broker:1883"])
def test_a_wrong_address_is_refused_without_repeating_secrets(url: str) -> None:
    with pytest.raises(Invalid, match="address of the MQTT broker"):
        Broker.from_url(url)
