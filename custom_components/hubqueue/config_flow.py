"""Setting a hub up: by address and token, found by zeroconf, or told by the app; and changing it later.

An entry is a hub, known by its id, wherever it is reached. The update listener of the entry reloads: no step here does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, override

import probatio as vol
from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    OptionsFlow,
)
from homeassistant.const import CONF_TOKEN, CONF_URL
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.helpers.service_info.hassio import HassioServiceInfo
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from yarl import URL

from .connection import Connection, HubInfo
from .const import (
    CONF_DEAD_LETTERS,
    CONF_OUTBOX_MB,
    CONF_QUEUES,
    DEFAULT_DEAD_LETTERS,
    DEFAULT_OUTBOX_MB,
    DEFAULT_URL,
    DOMAIN,
)
from .errors import ApiMismatchError, AuthError, HubError, IncompatibleError
from .feed_rule import SUBENTRY_FEED
from .flow_feed import FeedFlow
from .flow_uplink import UplinkFlow
from .flow_worker import WorkerFlow
from .subentry_worker import SUBENTRY_WORKER
from .uplink import SUBENTRY_UPLINK

TOKEN: Final = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD))
ADDRESS: Final = vol.Schema(
    {
        vol.Required(CONF_URL, default=DEFAULT_URL): TextSelector(TextSelectorConfig(type=TextSelectorType.URL)),
        vol.Optional(CONF_TOKEN): TOKEN,
    }
)
ONLY_TOKEN: Final = vol.Schema({vol.Optional(CONF_TOKEN): TOKEN})

type Input = dict[str, Any] | None


class HubqueueConfigFlow(ConfigFlow, domain=DOMAIN):
    """Makes and changes entries."""

    VERSION = 1

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}
        self._name = ""

    @override
    async def async_step_user(self, user_input: Input = None) -> ConfigFlowResult:
        """By hand."""
        errors: dict[str, str] = {}
        if user_input is not None:
            data, info, errors = await _try(self.hass, user_input)
            if info is not None:
                await self.async_set_unique_id(info.hub_id, raise_on_progress=False)
                self._abort_if_unique_id_configured(updates=data, reload_on_update=False)
                return self.async_create_entry(title=self._title(data), data=data)
        return self.async_show_form(
            step_id="user", data_schema=self.add_suggested_values_to_schema(ADDRESS, user_input), errors=errors
        )

    @override
    async def async_step_hassio(self, discovery_info: HassioServiceInfo) -> ConfigFlowResult:
        """The app tells where it is, and a token of its own."""
        config = discovery_info.config
        found = {CONF_URL: f"http://{config['host']}:{config['port']}", CONF_TOKEN: config["token"]}
        data, info, errors = await _try(self.hass, found)
        if info is None:
            return self.async_abort(reason=errors["base"])
        await self.async_set_unique_id(info.hub_id)
        self._abort_if_unique_id_configured(updates=data, reload_on_update=False)
        self._found, self._name = data, discovery_info.name
        self.context["title_placeholders"] = {"name": discovery_info.name}
        return await self.async_step_hassio_confirm()

    async def async_step_hassio_confirm(self, user_input: Input = None) -> ConfigFlowResult:
        """Nothing is set up without a person."""
        if user_input is not None:
            return self.async_create_entry(title=self._name, data=self._found)
        self._set_confirm_only()
        return self.async_show_form(step_id="hassio_confirm", description_placeholders={"name": self._name})

    @override
    async def async_step_zeroconf(self, discovery_info: ZeroconfServiceInfo) -> ConfigFlowResult:
        """A hub announces itself; one that runs as the app is told of by the Supervisor."""
        told = discovery_info.properties
        if not (hub_id := told.get("hub_id")):
            return self.async_abort(reason="incompatible")
        if told.get("app") == "1":
            return self.async_abort(reason="is_app")
        scheme = "https" if told.get("tls") == "1" else "http"
        host = f"[{discovery_info.host}]" if ":" in discovery_info.host else discovery_info.host
        url = f"{scheme}://{host}:{discovery_info.port}"
        await self.async_set_unique_id(hub_id)
        self._abort_if_unique_id_configured(updates={CONF_URL: url}, reload_on_update=False)
        self._found, self._name = {CONF_URL: url}, discovery_info.name.removesuffix(f".{discovery_info.type}")
        self.context["title_placeholders"] = {"name": self._name}
        return await self.async_step_zeroconf_confirm()

    async def async_step_zeroconf_confirm(self, user_input: Input = None) -> ConfigFlowResult:
        """It wants a token, most likely."""
        errors: dict[str, str] = {}
        if user_input is not None:
            data, info, errors = await _try(self.hass, {**self._found, **user_input})
            if info is not None:
                await self.async_set_unique_id(info.hub_id, raise_on_progress=False)
                self._abort_if_unique_id_configured(updates=data, reload_on_update=False)
                return self.async_create_entry(title=self._name, data=data)
        return self.async_show_form(
            step_id="zeroconf_confirm",
            data_schema=ONLY_TOKEN,
            errors=errors,
            description_placeholders={"name": self._name, "address": self._found[CONF_URL]},
        )

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """The hub refused the token."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: Input = None) -> ConfigFlowResult:
        """Another token for the same hub."""
        entry = self._get_reauth_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            data, info, errors = await _try(self.hass, {CONF_URL: entry.data[CONF_URL], **user_input})
            if info is not None:
                await self.async_set_unique_id(info.hub_id)
                self._abort_if_unique_id_mismatch(reason="another_hub")
                return self._changed(entry, data, "reauth_successful")
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=ONLY_TOKEN,
            errors=errors,
            description_placeholders={"name": entry.title},
        )

    async def async_step_reconfigure(self, user_input: Input = None) -> ConfigFlowResult:
        """The same hub has another address or token."""
        entry = self._get_reconfigure_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            data, info, errors = await _try(self.hass, user_input)
            if info is not None:
                await self.async_set_unique_id(info.hub_id)
                self._abort_if_unique_id_mismatch(reason="another_hub")
                return self._changed(entry, data, "reconfigure_successful")
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(ADDRESS, user_input or entry.data),
            errors=errors,
        )

    def _title(self, data: Mapping[str, Any]) -> str:
        """A hub has no name of its own: where it is; with the port too where there is another on that machine."""
        url = URL(data[CONF_URL])
        taken = {each.title for each in self._async_current_entries()}
        title = f"{DOMAIN} ({url.host})"
        return title if title not in taken else f"{DOMAIN} ({url.host}:{url.port})"

    def _changed(self, entry: ConfigEntry[Any], data: dict[str, Any], reason: str) -> ConfigFlowResult:
        """An entry that is loaded reloads by its listener; one that is not has none yet."""
        result = self.async_update_and_abort(entry, data=data, reason=reason)
        if not entry.update_listeners:
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return result

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry[Any]) -> OptionsFlow:
        return HubqueueOptionsFlow()

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(cls, config_entry: ConfigEntry[Any]) -> dict[str, type[ConfigSubentryFlow]]:
        return {SUBENTRY_FEED: FeedFlow, SUBENTRY_WORKER: WorkerFlow, SUBENTRY_UPLINK: UplinkFlow}


class HubqueueOptionsFlow(OptionsFlow):
    """Which queues are shown, when dead letters become a repair, and how much is kept while the hub is away."""

    async def async_step_init(self, user_input: Input = None) -> ConfigFlowResult:
        if user_input is not None:
            whole = {key: int(user_input[key]) for key in (CONF_DEAD_LETTERS, CONF_OUTBOX_MB)}
            return self.async_create_entry(data={**user_input, **whole})
        schema = vol.Schema(
            {
                vol.Optional(CONF_QUEUES): SelectSelector(
                    SelectSelectorConfig(options=self._queues(), multiple=True, custom_value=True)
                ),
                vol.Required(CONF_DEAD_LETTERS, default=DEFAULT_DEAD_LETTERS): NumberSelector(
                    NumberSelectorConfig(min=0, max=1_000_000, step=1, mode=NumberSelectorMode.BOX)
                ),
                vol.Required(CONF_OUTBOX_MB, default=DEFAULT_OUTBOX_MB): NumberSelector(
                    NumberSelectorConfig(min=1, max=512, step=1, mode=NumberSelectorMode.BOX)
                ),
            }
        )
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(schema, self.config_entry.options),
        )

    def _queues(self) -> list[str]:
        """Those the hub is known to have."""
        data = getattr(self.config_entry, "runtime_data", None)
        known = data.coordinator.data.queues if data is not None else ()
        return sorted({*known, *self.config_entry.options.get(CONF_QUEUES, ())})


async def _try(hass: HomeAssistant, given: Mapping[str, Any]) -> tuple[dict[str, Any], HubInfo | None, dict[str, str]]:
    """The data of the entry that these make, who answers there, and what is wrong."""
    try:
        url = _clean(given[CONF_URL])
    except ValueError:
        return {}, None, {CONF_URL: "invalid_url"}
    token = given.get(CONF_TOKEN) or None
    data = {CONF_URL: url, CONF_TOKEN: token}
    try:
        connection = await Connection.open(async_get_clientsession(hass), url, token, lambda _: None)
    except AuthError:
        return data, None, {"base": "invalid_auth"}
    except ApiMismatchError as error:
        return data, None, {"base": error.key}
    except IncompatibleError:
        return data, None, {"base": "incompatible"}
    except HubError:
        return data, None, {"base": "cannot_connect"}
    await connection.close()
    return data, connection.info, {}


def _clean(given: str) -> str:
    """scheme://host:port of what somebody typed. Errors: ValueError."""
    url = URL(given.strip())
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("not an address of a hub")
    return str(url.origin())
