"""A hub that says where it is, heard by a browser of such services on this machine."""

from __future__ import annotations

from pathlib import Path

from zeroconf.asyncio import AsyncZeroconf

from hubqueue.announce import SERVICE, Announcement
from hubqueue.app import App
from hubqueue.config.settings import Config, HttpDoor, TcpDoor
from support.waiting import until


async def heard(hub_id: str) -> dict[str, str | None] | None:
    """What is told of that hub now; None: nothing."""
    found: list[str] = []
    listener = AsyncZeroconf(interfaces=["127.0.0.1"])
    try:
        await listener.async_add_service_listener(SERVICE, Listener(found))
        try:
            await until(lambda: any(hub_id in name for name in found))
        except TimeoutError:
            return None
        (name,) = (name for name in found if hub_id in name)
        info = await listener.async_get_service_info(SERVICE, name, 3000)
        assert info is not None
        return {**info.decoded_properties, "port": str(info.port), "address": info.parsed_addresses()[0]}
    finally:
        await listener.async_close()


class Listener:
    def __init__(self, found: list[str]) -> None:
        self.found = found

    def add_service(self, zc: object, type_: str, name: str) -> None:
        self.found.append(name)

    def update_service(self, zc: object, type_: str, name: str) -> None:
        pass

    def remove_service(self, zc: object, type_: str, name: str) -> None:
        pass


async def test_a_hub_is_found_while_it_runs(tmp_path: Path) -> None:
    config = Config(
        data_path=tmp_path / "hub.db", tcp=TcpDoor(port=0), http=HttpDoor(port=0), zeroconf=True, drain_s=0.5
    )
    async with App(config) as app:
        assert app.doors.http is not None
        told = await heard(app.hub.hub_id)
        assert told is not None
        assert told["hub_id"] == app.hub.hub_id
        assert (told["address"], told["port"]) == ("127.0.0.1", str(app.doors.http.port))
        assert (told["api"], told["tls"]) == ("1", "0")
    assert await heard(app.hub.hub_id) is None


async def test_a_hub_that_need_not_be_found_says_nothing(tmp_path: Path) -> None:
    config = Config(data_path=tmp_path / "hub.db", tcp=TcpDoor(port=0), http=HttpDoor(port=0), drain_s=0.5)
    async with App(config) as app:
        assert await heard(app.hub.hub_id) is None


def test_every_address_of_the_machine_is_told_when_all_are_served() -> None:
    addresses, everywhere = Announcement("x", "0", "0.0.0.0", 1, tls=False)._addresses()
    assert everywhere
    assert addresses
    assert Announcement("x", "0", "localhost", 1, tls=False)._addresses() == (["127.0.0.1"], False)
