"""Tools for language models, through Home Assistant's own API for them."""

from __future__ import annotations

from typing import Any

import pytest
from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.llm import MANAGING
from homeassistant.components.llm import async_get_tools
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import llm
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until_async, until_state

from conftest import Call

CONTEXT = llm.LLMContext(platform="test", context=Context(), language="en", assistant=None, device_id=None)


async def tools_of(hass: HomeAssistant, api: str = MANAGING) -> dict[str, llm.Tool]:
    """What an assistant of this kind gets of us."""
    assert await async_setup_component(hass, "llm", {})
    found = (await async_get_tools(hass, CONTEXT, api)).tools
    return {tool.name.removeprefix("hubqueue__"): tool for tool in found if tool.name.startswith("hubqueue__")}


async def ask(hass: HomeAssistant, name: str, **given: Any) -> Any:
    tool = (await tools_of(hass))[name]
    answer = await tool.async_call(hass, llm.ToolInput(tool_name=tool.name, tool_args=given), CONTEXT)
    return getattr(answer, "data", answer)


async def dead_letter(call: Call, queue: str) -> str:
    """A job that has failed for good, with a secret in it; its id."""
    pushed = await call("PUSH", queue=queue, name="send", data="secret payload", maxAttempts=1)
    pulled = await call("PULL", queue=queue, owner="test")
    await call("FAIL", id=pulled["job"]["id"], token=pulled["token"], error="no route")
    return str(pushed["id"])


async def test_dead_letters_are_found_and_run_again(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    job_id = await dead_letter(call, "mail")
    await call("PUSH", queue="other", data=1)
    await until_state(hass, "sensor.mail_dead_letters", "1")
    await until_state(hass, "sensor.other_waiting", "1")
    status = await ask(hass, "queue_status")
    assert status["connected"]
    assert [(each["queue"], each["waiting"], each["failed"]) for each in status["queues"]] == [
        ("mail", 0, 1),
        ("other", 1, 0),
    ]
    assert [each["queue"] for each in (await ask(hass, "queue_status", queue="other"))["queues"]] == ["other"]
    listed = await ask(hass, "list_dead_letters", queue="mail")
    assert listed["total"] == 1
    assert (listed["dead_letters"][0]["id"], listed["dead_letters"][0]["error"]) == (job_id, "no route")
    assert "secret payload" not in str((status, listed))
    assert await ask(hass, "retry_dead_letters", queue="mail", id=job_id) == {"retried": 1}

    async def waits() -> bool:
        return bool((await call("GetJob", id=job_id))["job"]["state"] == "waiting")

    await until_async(waits, "the job waits again")
    assert await ask(hass, "retry_dead_letters", queue="mail") == {"retried": 0}


async def test_the_hub_is_asked_for_where_there_are_several(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    twin = MockConfigEntry(domain=DOMAIN, title="Cabin", unique_id=loaded.unique_id, data=dict(loaded.data))
    twin.add_to_hass(hass)
    assert await hass.config_entries.async_setup(twin.entry_id)
    assert (await ask(hass, "queue_status", hub="Cabin"))["connected"]
    await hass.config_entries.async_unload(twin.entry_id)
    await hass.async_block_till_done()


async def test_what_the_hub_refuses_is_told(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    with pytest.raises(HomeAssistantError):
        await ask(hass, "queue_status", queue="none")


async def test_only_those_who_manage_home_assistant_get_them(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    assert not await tools_of(hass, llm.LLM_API_ASSIST)
    tools = await tools_of(hass)
    assert len(tools) == 3
    for tool in tools.values():
        assert tool.title
        assert tool.description
        assert tool.integration == DOMAIN
    if hasattr(llm, "ToolAnnotations"):
        assert [tool.annotations.read_only for tool in tools.values()] == [True, True, False]
    await hass.config_entries.async_unload(loaded.entry_id)
    assert not await tools_of(hass)


def test_the_kind_of_assistant_is_called_so() -> None:
    assert getattr(llm, "LLM_API_HOME_ASSISTANT", MANAGING) == MANAGING  # since 2026.11
