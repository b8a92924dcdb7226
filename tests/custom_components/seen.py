"""Wait until Home Assistant shows something; tests never sleep and hope."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from homeassistant.core import HomeAssistant

from support.waiting import PATIENCE_S, in_time


async def until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with in_time():
            while not condition():  # noqa: ASYNC110  what is looked at tells nobody
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not seen within {PATIENCE_S:g} s: {what}") from None


async def until_async(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """The same, of somebody who must be asked."""
    try:
        async with in_time():
            while not await condition():  # noqa: ASYNC110  what is asked tells nobody
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not seen within {PATIENCE_S:g} s: {what}") from None


async def until_state(hass: HomeAssistant, entity_id: str, wanted: str | None) -> None:
    """Return once an entity has a state; None: once there is no such entity."""

    def shown() -> str | None:
        state = hass.states.get(entity_id)
        return None if state is None else state.state

    try:
        await until(lambda: shown() == wanted, f"{entity_id} {wanted}")
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {shown()}, there are {sorted(hass.states.async_entity_ids())}") from None
