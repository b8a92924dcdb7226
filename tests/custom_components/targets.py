"""run_action for several entities, two lamps to try it with, and what the hub says of a call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from automations import until_job
from custom_components.hubqueue import trying
from custom_components.hubqueue.const import DOMAIN
from homeassistant.core import HomeAssistant
from lamps import Lamps

from conftest import Call


async def two_lamps(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> Lamps:
    """`light.one` and `light.two`, which is away."""
    monkeypatch.setattr(trying, "FIRST", timedelta(minutes=20))  # nothing is tried again before the test wants it
    made = Lamps(hass)
    await made.make("one", "two")
    await made.be("unavailable", "two")
    return made


async def run(hass: HomeAssistant, target: Mapping[str, Any], action: str = "light.turn_on", **fields: Any) -> str:
    given = {"action": action, "target": dict(target), **fields}
    answer = await hass.services.async_call(DOMAIN, "run_action", given, blocking=True, return_response=True)
    assert answer is not None
    return str(answer["id"])


async def failed(call: Call, id: str, attempts: int = 1) -> str:
    """Why it has failed, once it has."""
    job = await until_job(call, id, state="delayed", attempts=attempts)
    return str(job["timeline"][-1]["error"])


async def progress(call: Call, id: str) -> dict[str, str]:
    found: dict[str, str] = (await call("GetJob", id=id))["job"]["data"].get("progress", {})
    return found
