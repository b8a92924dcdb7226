"""A hub that says where it is, heard by a browser of such services on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from hubqueue.announce import SERVICE, Announcement
from hubqueue.app import App
from hubqueue.config.settings import Config, HttpDoor, TcpDoor
from support.waiting import until


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[AsyncZeroconf, list[str]]]:
    """A listener on this machine, and the names that it has found."""
    found: list[str] = []
    listener = AsyncZeroconf(interfaces=["127.0.0.1"])
    try:
        await listener.async_add_service_listener(SERVICE, Listener(found))
        yield listener, found
    finally:
        await listener.async_close()


async def heard(hub_id: str) -> dict[str, str | None]:
    """What is told of that hub."""
    async with listening() as (listener, found):
        await until(lambda: any(hub_id in name for name in found))
        (name,) = (name for name in found if hub_id in name)
        info = await listener.async_get_service_info(SERVICE, name, 3000)
        assert info is not None
        return {**info.decoded_properties, "port": str(info.port), "address": info.parsed_addresses()[0]}


async def nothing_heard(hub_id: str) -> bool:
    """Whether somebody who comes to be told of after this question was asked is heard, and that hub is not."""
    other = AsyncZeroconf(interfaces=["127.0.0.1"])
    name = f"{uuid4().hex}.{SERVICE}"
    try:
        async with listening() as (_, found):
            await other.async_register_service(AsyncServiceInfo(SERVICE, name, port=1, addresses=[b"\x7f\0\0\1"]))
            await until(lambda: name in found)
            return not any(hub_id in each for each in found)
    finally:
        await other.async_close()


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
        assert told["hub_id"] == app.hub.hub_id
        assert (told["address"], told["port"]) == ("127.0.0.1", str(app.doors.http.port))
        assert (told["api"], told["tls"]) == ("1", "0")
    assert await nothing_heard(app.hub.hub_id)


async def test_a_hub_that_need_not_be_found_says_nothing(tmp_path: Path) -> None:
    config = Config(data_path=tmp_path / "hub.db", tcp=TcpDoor(port=0), http=HttpDoor(port=0), drain_s=0.5)
    async with App(config) as app:
        assert await nothing_heard(app.hub.hub_id)


def test_every_address_of_the_machine_is_told_when_all_are_served() -> None:
    addresses, everywhere = Announcement("x", "0", "0.0.0.0", 1, tls=False)._addresses()
    assert everywhere
    assert addresses
    assert Announcement("x", "0", "localhost", 1, tls=False)._addresses() == (["127.0.0.1"], False)
