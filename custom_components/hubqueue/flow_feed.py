"""The dialog of a subentry "Entities to queue"."""

from __future__ import annotations

import probatio as vol
from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    DurationSelector,
    DurationSelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TargetSelector,
    TemplateSelector,
    TextSelector,
    TextSelectorConfig,
)

from .const import ATTR_QUEUE
from .feed_rule import (
    ALL_ATTRIBUTES,
    CONF_ATTRIBUTE_CHANGES,
    CONF_ATTRIBUTES,
    CONF_CONDITION,
    CONF_EVENT_TYPES,
    CONF_JOB_NAME,
    CONF_KEEP_TRYING,
    CONF_LATEST,
    CONF_PRIORITY,
    CONF_TARGET,
    CONF_THROTTLE,
    CONF_TTL,
    CONF_UNAVAILABLE,
    SECTION_FILTER,
    SECTION_JOB,
)
from .flow_fields import Input, queue_error, queue_field

DAYS = DurationSelector(DurationSelectorConfig(enable_day=True))
FILTER = vol.Schema(
    {
        vol.Optional(CONF_THROTTLE): DurationSelector(),
        vol.Required(CONF_ATTRIBUTE_CHANGES, default=False): BooleanSelector(),
        vol.Required(CONF_UNAVAILABLE, default=False): BooleanSelector(),
        vol.Optional(CONF_CONDITION): TemplateSelector(),
    }
)
JOB = vol.Schema(
    {
        vol.Optional(CONF_ATTRIBUTES): SelectSelector(
            SelectSelectorConfig(
                options=[ALL_ATTRIBUTES, "unit_of_measurement", "device_class", "friendly_name"],
                multiple=True,
                custom_value=True,
                mode=SelectSelectorMode.DROPDOWN,
                translation_key="attributes",
            )
        ),
        vol.Optional(CONF_JOB_NAME): TextSelector(),
        vol.Required(CONF_LATEST, default=False): BooleanSelector(),
        vol.Optional(CONF_KEEP_TRYING): DAYS,
        vol.Optional(CONF_TTL): DAYS,
        vol.Optional(CONF_PRIORITY, default=0): NumberSelector(
            NumberSelectorConfig(min=-1_000_000, max=1_000_000, step=1, mode=NumberSelectorMode.BOX)
        ),
    }
)


class FeedFlow(ConfigSubentryFlow):
    """Makes and changes a feed."""

    async def async_step_user(self, user_input: Input = None) -> SubentryFlowResult:
        """A new one."""
        errors = {} if user_input is None else _errors(user_input)
        if user_input is not None and not errors:
            return self.async_create_entry(title=user_input[CONF_NAME], data=user_input)
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(self._schema(), user_input),
            errors=errors,
        )

    async def async_step_reconfigure(self, user_input: Input = None) -> SubentryFlowResult:
        """Another rule for what happens from now on."""
        entry, subentry = self._get_entry(), self._get_reconfigure_subentry()
        errors = {} if user_input is None else _errors(user_input)
        if user_input is not None and not errors:
            return self.async_update_and_abort(entry, subentry, title=user_input[CONF_NAME], data=user_input)
        shown = user_input or {**subentry.data, CONF_NAME: subentry.title}
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(self._schema(), shown),
            errors=errors,
        )

    def _schema(self) -> vol.Schema:
        return vol.Schema(
            {
                vol.Required(CONF_NAME): TextSelector(),
                **queue_field(self._get_entry()),
                vol.Optional(CONF_TARGET): TargetSelector(),
                vol.Optional(CONF_EVENT_TYPES): TextSelector(TextSelectorConfig(multiple=True)),
                vol.Required(SECTION_FILTER): section(FILTER, {"collapsed": True}),
                vol.Required(SECTION_JOB): section(JOB, {"collapsed": True}),
            }
        )


def _errors(given: dict[str, object]) -> dict[str, str]:
    errors = queue_error(str(given[ATTR_QUEUE]), ATTR_QUEUE)
    if not given.get(CONF_TARGET) and not given.get(CONF_EVENT_TYPES):
        errors["base"] = "nothing_chosen"
    return errors
