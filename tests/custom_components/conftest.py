"""Fixtures of the tests in Home Assistant: a real hub beside it, and an entry that is set up.

These run in the environments that script/home-assistant makes, see script/test.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from custom_components.hubqueue import trying
from custom_components.hubqueue.connection import Connection
from custom_components.hubqueue.const import DOMAIN
from homeassistant.config_entries import ConfigEntryState, ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity import Entity
from lamps import Garden
from pytest_homeassistant_custom_component.common import MockConfigEntry

import custom_components  # noqa: F401  ours, before the test helper's own package of that name
from support.child import ENGINE_PATH
from support.hub_process import HubProcess
from support.other_api import program
from support.ports import free_port

ROOT = Path(__file__).parents[2]
PYTHON = str(ROOT / ".venv" / "bin" / "python")
ENGINE = {"PYTHONPATH": ENGINE_PATH}  # this checkout's, whatever that Python has installed

type Call = Callable[..., Awaitable[dict[str, Any]]]


def hub_process(
    folder: Path, *arguments: str, config: Path | None = None, http_port: int = 0, api: int | None = None
) -> HubProcess:
    """A hub of the engine's own Python; the port stays the same over restarts when it is given. api: if another one."""
    environ = {**ENGINE, "HUBQUEUE_HTTP_PORT": str(http_port)}
    command = ("-m", "hubqueue") if api is None else program(api)
    return HubProcess(folder, *arguments, config=config, environ=environ, python=PYTHON, program=command)


def url_of(hub: HubProcess) -> str:
    return f"http://127.0.0.1:{hub.http_port}"


@pytest.fixture
def hass_config_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of its own: the integration keeps a file there that is none of Home Assistant's stores."""
    return str(tmp_path_factory.mktemp("config"))


@pytest.fixture(autouse=True)
def ours(enable_custom_integrations: None, socket_enabled: None) -> None:
    """The integration is found, and may talk to a hub on this machine."""


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with hub_process(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture
async def hub(shared: HubProcess, ours: None) -> AsyncIterator[HubProcess]:
    """A running hub without tokens and without queues."""
    yield shared
    async with aiohttp.ClientSession() as session:
        connection = await Connection.open(session, url_of(shared), None, lambda _: None)
        for each in (await connection.call("Forwarders"))["forwarders"]:
            await connection.call("ForwarderDelete", name=each["name"])
        for queue in (await connection.call("ListQueues"))["queues"]:
            await connection.call("Obliterate", queue=queue)
        await connection.close()


@pytest.fixture
async def call(hub: HubProcess) -> AsyncIterator[Call]:
    """Commands to the hub, past the integration."""
    async with aiohttp.ClientSession() as session:
        connection = await Connection.open(session, url_of(hub), None, lambda _: None)
        yield connection.call
        await connection.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[HubProcess]:
    """A hub that wants the token "boss"."""
    config = tmp_path / "hubqueue.yaml"
    config.write_text(f"data_path: {tmp_path}/hub.db\ntcp: {{port: {free_port()}, tokens: [boss]}}\n")
    with hub_process(tmp_path, config=config) as hub:
        yield hub


@pytest.fixture
async def boss(guarded: HubProcess, ours: None) -> AsyncIterator[Connection]:
    async with aiohttp.ClientSession() as session:
        made = await Connection.open(session, url_of(guarded), "boss", lambda _: None)
        yield made
        await made.close()


@pytest.fixture
def all_entities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are off at first are on."""
    monkeypatch.setattr(Entity, "entity_registry_enabled_default", property(lambda _: True))


@pytest.fixture
def entry(hass: HomeAssistant, hub: HubProcess) -> MockConfigEntry:
    """An entry of the hub, not set up yet."""
    made = MockConfigEntry(domain=DOMAIN, title="Home", unique_id=hub.hub_id, data={"url": url_of(hub), "token": None})
    made.add_to_hass(hass)
    return made


@pytest.fixture
async def loaded(hass: HomeAssistant, entry: MockConfigEntry) -> AsyncIterator[MockConfigEntry]:
    """The entry, set up."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    yield entry
    if entry.state.recoverable:
        await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()


@pytest.fixture
def own(tmp_path: Path, ours: None) -> Iterator[HubProcess]:
    """A hub of the test's own, at a port that stays the same; it runs."""
    folder = tmp_path / "hub"
    folder.mkdir()
    with hub_process(folder, http_port=free_port()) as hub:
        yield hub


@pytest.fixture
async def home(hass: HomeAssistant, own: HubProcess) -> AsyncIterator[MockConfigEntry]:
    """An entry of that hub with a feed of sensor.t; not set up."""
    data = {"name": "Readings", "queue": "readings", "target": {"entity_id": ["sensor.t"]}, "filter": {}, "job": {}}
    feed = ConfigSubentryData(data=data, subentry_type="feed", title="Readings", unique_id=None)
    entry = MockConfigEntry(
        domain=DOMAIN, title="Home", unique_id=own.hub_id, data={"url": url_of(own)}, subentries_data=[feed]
    )
    entry.add_to_hass(hass)
    yield entry
    if entry.state.recoverable and entry.state is not ConfigEntryState.NOT_LOADED:
        await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()


@pytest.fixture
async def lamp(hass: HomeAssistant, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch) -> Garden:
    monkeypatch.setattr(trying, "FIRST", timedelta(minutes=20))  # nothing is tried again before the test wants it
    made = Garden(hass)
    await made.make("garden")
    return made


assert sys.version_info >= (3, 14), "these tests run in the environments of script/home-assistant"
