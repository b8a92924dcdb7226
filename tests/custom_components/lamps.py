"""Real lights of Home Assistant's template integration, which do what they are told when they can be reached."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from custom_components.hubqueue.const import DOMAIN
from homeassistant.core import Context, HomeAssistant, ServiceCall
from homeassistant.setup import async_setup_component
from seen import until_state


@dataclass
class Told:
    """One thing that a lamp was told."""

    lamp: str
    service: str
    data: dict[str, Any]
    context: Context


@dataclass
class Lamps:
    """`light.<name>` for each name. told: what they were told, in order. errors: what a lamp answers with.

    works: whether they do it. go: they wait for it, all of them or those that hang. breaks: who is
    away before it has answered, without a word.
    """

    hass: HomeAssistant
    told: list[Told] = field(default_factory=list)
    errors: dict[str, Exception] = field(default_factory=dict)
    works: bool = True
    go: asyncio.Event = field(default_factory=asyncio.Event)
    hang: set[str] | None = None
    breaks: dict[str, str] = field(default_factory=dict)

    async def make(self, *names: str, unique: bool = True) -> None:
        """Off, and there."""
        self.go.set()
        self.hass.services.async_register("test", "lamp", self._tell)
        for name in names:
            self.hass.states.async_set(f"test.{name}", "off")
        lights = [self._config(name, unique) for name in names]
        assert await async_setup_component(self.hass, "template", {"template": [{"light": lights}]})
        await self.hass.async_block_till_done()
        for name in names:
            await until_state(self.hass, f"light.{name}", "off")

    async def be(self, state: str, *names: str) -> None:
        """A lamp is now so, or away when it is `unavailable`."""
        for name in names:
            self.hass.states.async_set(f"test.{name}", state)
            await until_state(self.hass, f"light.{name}", state)

    def calls(self, name: str) -> list[str]:
        """What one was told."""
        return [each.service for each in self.told if each.lamp == name]

    def _config(self, name: str, unique: bool) -> dict[str, Any]:
        def tell(service: str, **more: str) -> list[dict[str, Any]]:
            return [{"action": "test.lamp", "data": {"lamp": name, "service": service, **more}}]

        return {
            "name": name,
            **({"unique_id": name} if unique else {}),
            "state": f"{{{{ is_state('test.{name}', 'on') }}}}",
            "availability": f"{{{{ not is_state('test.{name}', 'unavailable') }}}}",
            "turn_on": tell("turn_on"),
            "turn_off": tell("turn_off"),
            "set_level": tell("turn_on", brightness="{{ brightness }}"),
        }

    async def _tell(self, call: ServiceCall) -> None:
        told = dict(call.data)
        name, service = told.pop("lamp"), told.pop("service")
        self.told.append(Told(name, service, told, call.context))
        if self.hang is None or name in self.hang:
            await self.go.wait()
        if name in self.errors:
            raise self.errors[name]
        if name in self.breaks:
            self.hass.states.async_set(f"test.{name}", "unavailable")
            await until_state(self.hass, self.breaks[name], "unavailable")
        elif self.works:
            self.hass.states.async_set(f"test.{name}", service.removeprefix("turn_"))


class Garden(Lamps):
    """One of them, `light.garden`."""

    async def be(self, state: str, *names: str) -> None:
        await super().be(state, *(names or ("garden",)))

    @property
    def error(self) -> Exception | None:
        return self.errors.get("garden")

    @error.setter
    def error(self, error: Exception | None) -> None:
        self.errors = {} if error is None else {"garden": error}


async def run(hass: HomeAssistant, action: str = "light.turn_on", **fields: Any) -> str:
    given = {"action": action, "target": {"entity_id": "light.garden"}, **fields}
    given = {key: value for key, value in given.items() if value is not None}
    answer = await hass.services.async_call(DOMAIN, "run_action", given, blocking=True, return_response=True)
    assert answer is not None
    return str(answer["id"])
