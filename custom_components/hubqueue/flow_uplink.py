"""The dialog of a subentry "Uplink": the hub makes the forwarder first, so that what is wrong is said in the
dialog: the other side is tried before anything is kept."""

from __future__ import annotations

from typing import Any, Final

import probatio as vol
from homeassistant.config_entries import ConfigEntry, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_TOKEN
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from .const import ACTIONS_QUEUE, ATTR_QUEUE
from .errors import HubError
from .flow_fields import Input, queue_error, queue_field
from .uplink import (
    CONF_CA,
    CONF_CERTIFICATE,
    CONF_DURABLE,
    CONF_FORGET,
    CONF_RATE,
    CONF_SERVER_NAME,
    CONF_TARGET_QUEUE,
    CONF_TEST,
    CONF_TIMEZONE,
    CONF_TO,
    CONF_VERIFY,
    CONF_WINDOWS,
    SECTION_MORE,
    SECTION_SCHEDULE,
    put_fields,
    uplinks_of,
    without_secrets,
)

MORE: Final = vol.Schema(
    {
        vol.Required(CONF_TEST, default=True): BooleanSelector(),
        vol.Required(CONF_DURABLE, default=True): BooleanSelector(),
        vol.Optional(CONF_RATE): NumberSelector(
            NumberSelectorConfig(min=1, max=1_000_000, step=1, mode=NumberSelectorMode.BOX)
        ),
        vol.Optional(CONF_CA): TextSelector(TextSelectorConfig(multiline=True)),
        vol.Optional(CONF_CERTIFICATE): TextSelector(TextSelectorConfig(multiline=True)),
        vol.Optional(CONF_SERVER_NAME): TextSelector(),
        vol.Required(CONF_VERIFY, default=True): BooleanSelector(),
    }
)
KEPT: Final = MORE.extend({vol.Required(CONF_FORGET, default=False): BooleanSelector()})  # of one that is changed
EXAMPLE: Final = "tls://central.example.org:6789"  # translations hold no addresses
# code of the hub: text of the dialog
TOLD: Final = {"duplicate": "has_forwarder", "wrong_state": "declared", "link_down": "cannot_connect"}
# why the other side is not ready: text of the dialog
TRIED: Final = {
    "auth": "other_refuses",
    "tls": "not_trusted",
    "unreachable": "no_answer",
    "timeout": "no_answer",
    "protocol": "no_hub",
}


class UplinkFlow(ConfigSubentryFlow):
    """Makes and changes a forwarder of the hub."""

    async def async_step_user(self, user_input: Input = None) -> SubentryFlowResult:
        """A new one."""
        entry = self._get_entry()
        errors: dict[str, str] = {}
        why: dict[str, str] = {}
        if user_input is not None:
            queue = user_input[ATTR_QUEUE]
            errors = queue_error(queue, ATTR_QUEUE)
            if queue == ACTIONS_QUEUE:
                errors = {ATTR_QUEUE: "queue_of_actions"}
            if queue in uplinks_of(entry).values():
                errors = {ATTR_QUEUE: "has_forwarder"}
            if not errors:
                errors, why = await _put(entry, user_input, new=True)
            if not errors:
                title = f"{queue} → {user_input[CONF_TO].strip()}"
                return self.async_create_entry(title=title, data=without_secrets(user_input), unique_id=queue)
        schema = vol.Schema({**queue_field(entry, {ACTIONS_QUEUE}), **self._fields(MORE)})
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            errors=errors,
            description_placeholders={"example": EXAMPLE, **why},
        )

    async def async_step_reconfigure(self, user_input: Input = None) -> SubentryFlowResult:
        """All but the queue; secrets that are left empty stay."""
        entry, subentry = self._get_entry(), self._get_reconfigure_subentry()
        errors: dict[str, str] = {}
        why: dict[str, str] = {}
        queue = subentry.data[ATTR_QUEUE]
        if user_input is not None:
            data = {**user_input, ATTR_QUEUE: queue}
            errors, why = await _put(entry, data, new=False)
            if not errors:
                title = f"{queue} → {user_input[CONF_TO].strip()}"
                return self.async_update_and_abort(entry, subentry, title=title, data=without_secrets(data))
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema(self._fields(KEPT)), user_input or subentry.data
            ),
            errors=errors,
            description_placeholders={"example": EXAMPLE, "queue": queue, **why},
        )

    def _fields(self, more: vol.Schema) -> dict[Any, Any]:
        schedule = vol.Schema(
            {
                vol.Optional(CONF_WINDOWS): TextSelector(TextSelectorConfig(multiple=True)),
                vol.Optional(CONF_TIMEZONE, default=self.hass.config.time_zone): TextSelector(),
            }
        )
        return {
            vol.Required(CONF_TO): TextSelector(),
            vol.Optional(CONF_TOKEN): TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD)),
            vol.Optional(CONF_TARGET_QUEUE): TextSelector(),
            vol.Required(SECTION_SCHEDULE): section(schedule, {"collapsed": True}),
            vol.Required(SECTION_MORE): section(more, {"collapsed": True}),
        }


async def _put(entry: ConfigEntry[Any], data: dict[str, Any], *, new: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Let the hub try the other side, then make it; what is wrong, and what the hub says of it."""
    async with entry.setup_lock:  # it may be reloading, for the subentry before
        runtime = getattr(entry, "runtime_data", None)
    if runtime is None:
        return {"base": "cannot_connect"}, {}
    fields = put_fields(data)
    try:
        if new and any(
            told["name"] == fields["name"] for told in (await runtime.client.call("Forwarders"))["forwarders"]
        ):
            return {ATTR_QUEUE: "has_forwarder"}, {}
        if data[SECTION_MORE][CONF_TEST]:
            tried = (await runtime.client.call("ForwarderPut", **fields, test=True))["test"]
            if tried is not None:
                return {"base": TRIED.get(tried["reason"], "not_ready")}, {"error": tried["error"]}
        await runtime.client.call("ForwarderPut", **fields)
    except HubError as error:
        said = f"{error.message} ({error.hint})" if error.hint else error.message
        return {"base": TOLD.get(error.code, "refused")}, {"error": said}
    return {}, {}
