"""A hub that speaks another API: it is said whom to update, nothing is lost, and it goes on by itself then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from custom_components.hubqueue.connection import Connection
from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.table import API
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from seen import until, until_async

from conftest import hub_process, url_of
from support.hub_process import HubProcess
from support.ports import free_port

SIDES = pytest.mark.parametrize(("api", "key"), [(API - 1, "update_hub"), (API + 1, "update_integration")])

type Start = Callable[[int | None], HubProcess]


@pytest.fixture
def start(tmp_path: Path, ours: None) -> Iterator[Start]:
    """Starts a hub of this API (None: ours) at one address, in the place of the one before: as an update does."""
    port = free_port()
    running = ExitStack()

    def begin(api: int | None) -> HubProcess:
        running.close()
        return running.enter_context(hub_process(tmp_path, http_port=port, api=api))

    yield begin
    running.close()


def entry_of(hass: HomeAssistant, hub: HubProcess) -> MockConfigEntry:
    entry = MockConfigEntry(domain=DOMAIN, title="Home", unique_id=hub.hub_id, data={"url": url_of(hub)})
    entry.add_to_hass(hass)
    return entry


def asked_for(hass: HomeAssistant) -> list[str | None]:
    return [issue.translation_key for issue in ir.async_get(hass).issues.values()]


async def enqueue(hass: HomeAssistant, data: int) -> bool:
    """Whether it is kept in Home Assistant."""
    given = {"queue": "mail", "create": True, "data": data}
    answer = await hass.services.async_call(DOMAIN, "enqueue", given, blocking=True, return_response=True)
    assert answer is not None
    return bool(answer.get("kept"))


async def until_healed(hass: HomeAssistant, entry: MockConfigEntry, hub: HubProcess, data: list[int]) -> None:
    """Nobody does anything but wait: the entry is there, nothing is asked for, and the hub has what was enqueued."""
    assert entry.state is ConfigEntryState.SETUP_RETRY
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=5))
    await until(lambda: entry.state is ConfigEntryState.LOADED, "the entry is there")
    assert asked_for(hass) == []
    async with aiohttp.ClientSession() as session:
        link = await Connection.open(session, url_of(hub), None, lambda _: None)

        async def there() -> bool:
            jobs = (await link.call("GetJobs", queue="mail", limit=100))["jobs"]
            return sorted(job["data"] for job in jobs) == data

        await until_async(there, "jobs at the hub")
        await link.close()
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()


@SIDES
async def test_an_entry_waits_for_the_update(hass: HomeAssistant, start: Start, api: int, key: str) -> None:
    entry = entry_of(hass, start(api))
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == key
    assert asked_for(hass) == [key]
    assert await enqueue(hass, 1)
    with pytest.raises(HomeAssistantError) as refused:
        await hass.services.async_call(DOMAIN, "get_job", {"id": "x"}, blocking=True, return_response=True)
    assert refused.value.translation_key == key
    await until_healed(hass, entry, start(None), [1])


@SIDES
async def test_a_hub_that_comes_back_with_another_number_is_waited_for(
    hass: HomeAssistant, start: Start, api: int, key: str
) -> None:
    entry = entry_of(hass, start(None))
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert not await enqueue(hass, 1)
    start(api)
    await until(lambda: asked_for(hass) == [key], "asked for")
    await until(lambda: entry.state is ConfigEntryState.SETUP_RETRY, "tried again later")
    assert await enqueue(hass, 2)
    await until_healed(hass, entry, start(None), [1, 2])


async def test_one_update_too_many_asks_for_the_other_one(hass: HomeAssistant, start: Start) -> None:
    entry = entry_of(hass, start(API - 1))
    await hass.config_entries.async_setup(entry.entry_id)
    assert asked_for(hass) == ["update_hub"]
    start(API + 1)
    await hass.config_entries.async_reload(entry.entry_id)
    assert asked_for(hass) == ["update_integration"]
    await hass.config_entries.async_remove(entry.entry_id)
    assert asked_for(hass) == []


@SIDES
async def test_the_dialog_says_it_before_anything_is_set_up(
    hass: HomeAssistant, start: Start, api: int, key: str
) -> None:
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    given = {"url": url_of(start(api))}
    assert (await hass.config_entries.flow.async_configure(flow["flow_id"], given))["errors"] == {"base": key}
