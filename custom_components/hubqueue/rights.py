"""Who may do what: what deletes, stops or slows, and what shows the contents of jobs, is for administrators.

As with the actions of Home Assistant itself, a call without a user is Home Assistant's own (an automation) and may do
everything. The table for people is in docs/home-assistant.md, "Who may do what".
"""

from __future__ import annotations

from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import Unauthorized, UnknownUser

from .const import DOMAIN


class AdminsOnly(Unauthorized):
    """A user who is no administrator has tried what only those may do; said in their language."""

    generate_message = True

    def __init__(self, context: Context, what: str) -> None:
        super().__init__(context=context, permission=what)
        self.translation_domain = DOMAIN
        self.translation_key = "admins_only"
        self.translation_placeholders = {"what": what}


async def async_admins_only(hass: HomeAssistant, context: Context | None, what: str) -> None:
    """Go on for administrators and for Home Assistant itself. what: an action or entity. Errors: AdminsOnly."""
    if context is None or context.user_id is None:
        return
    user = await hass.auth.async_get_user(context.user_id)
    if user is None:
        raise UnknownUser(context=context)
    if not user.is_admin:
        raise AdminsOnly(context, what)
