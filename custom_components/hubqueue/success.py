"""What must be so after something was done: an expression, looked at until it is true or the time for it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import probatio as vol
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import TemplateError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.template import Template, result_as_boolean

LOOK_S: Final = 0.1


def expression(value: Any) -> str:
    """A condition as it stands between the braces of a template: with them, it may have been rendered already."""
    text = cv.string(value).strip()
    if isinstance(value, bool) or text.lower() in ("true", "false"):
        raise vol.Invalid("write the expression without {{ }}: it is looked at later, after the action")
    if text.startswith("{{") and text.endswith("}}"):
        text = text[2:-2].strip()
    cv.template("{{ " + text + " }}")
    return text


def not_so(hass: HomeAssistant, success: str, variables: Mapping[str, Any] | None = None) -> str | None:
    """What is wrong now; None: nothing."""
    try:
        so = Template("{{ " + success + " }}", hass).async_render(dict(variables or {}), parse_result=False)
    except TemplateError as error:
        return f"success cannot be told: {error}"
    return None if result_as_boolean(so) else f"not so: {success}"


async def async_not_so(
    hass: HomeAssistant, success: str, within_s: float, variables: Mapping[str, Any] | None = None
) -> str | None:
    """What is still wrong when the time is over."""
    deadline = hass.loop.time() + within_s
    while (problem := not_so(hass, success, variables)) is not None:
        if hass.loop.time() >= deadline:
            return problem
        await asyncio.sleep(LOOK_S)
    return None
