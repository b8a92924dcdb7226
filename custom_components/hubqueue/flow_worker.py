"""The dialog of a subentry "Worker"."""

from __future__ import annotations

from typing import Any

import probatio as vol
from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME, CONF_SEQUENCE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.selector import (
    ActionSelector,
    DurationSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TextSelectorConfig,
)

from .const import ATTR_QUEUE
from .flow_fields import Input, queue_error, queue_field
from .run_options import ATTR_SUCCESS, ATTR_SUCCESS_WITHIN, ATTR_UNAVAILABLE, FAIL, IGNORE, RunOptions
from .said import said
from .subentry_worker import CONF_CONCURRENCY, CONF_NAMES, MOST_AT_ONCE, async_actions


class WorkerFlow(ConfigSubentryFlow):
    """Makes and changes a worker."""

    async def async_step_user(self, user_input: Input = None) -> SubentryFlowResult:
        """A new one."""
        errors, why = await _errors(self.hass, user_input)
        if user_input is not None and not errors:
            return self.async_create_entry(title=user_input[CONF_NAME], data=user_input)
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(self._schema(), user_input),
            errors=errors,
            description_placeholders=why,
        )

    async def async_step_reconfigure(self, user_input: Input = None) -> SubentryFlowResult:
        """Other actions; a run goes on to its end if that is soon, else its job runs again."""
        entry, subentry = self._get_entry(), self._get_reconfigure_subentry()
        errors, why = await _errors(self.hass, user_input)
        if user_input is not None and not errors:
            return self.async_update_and_abort(entry, subentry, title=user_input[CONF_NAME], data=user_input)
        shown = user_input or {**subentry.data, CONF_NAME: subentry.title}
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(self._schema(), shown),
            errors=errors,
            description_placeholders=why,
        )

    def _schema(self) -> vol.Schema:
        return vol.Schema(
            {
                vol.Required(CONF_NAME): TextSelector(),
                **queue_field(self._get_entry()),
                vol.Required(CONF_SEQUENCE): ActionSelector(),
                vol.Required(CONF_CONCURRENCY, default=1): NumberSelector(
                    NumberSelectorConfig(min=1, max=MOST_AT_ONCE, step=1, mode=NumberSelectorMode.BOX)
                ),
                vol.Optional(CONF_NAMES): TextSelector(TextSelectorConfig(multiple=True)),
                vol.Required(ATTR_UNAVAILABLE, default=FAIL): SelectSelector(
                    SelectSelectorConfig(options=[FAIL, IGNORE], translation_key=ATTR_UNAVAILABLE)
                ),
                vol.Optional(ATTR_SUCCESS): TextSelector(),
                vol.Optional(ATTR_SUCCESS_WITHIN): DurationSelector(),
            }
        )


async def _errors(hass: HomeAssistant, given: Input) -> tuple[dict[str, str], dict[str, str]]:
    """What is wrong, and what the actions say of it."""
    if given is None:
        return {}, {}
    errors, why = queue_error(given[ATTR_QUEUE], ATTR_QUEUE), dict[str, Any]()
    if not given[CONF_SEQUENCE]:
        errors[CONF_SEQUENCE] = "no_actions"
        return errors, why
    try:
        RunOptions.of(given)
    except vol.Invalid as error:
        errors[str(error.path[0])] = "invalid_option"
        why["error"] = said(error)
        return errors, why
    try:
        await async_actions(hass, given[CONF_SEQUENCE])
    except (vol.Invalid, HomeAssistantError) as error:
        errors["base"] = "invalid_actions"
        why["error"] = said(error)
    return errors, why
