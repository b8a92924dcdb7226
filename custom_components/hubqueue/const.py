"""Names that more than one module of the integration needs."""

from __future__ import annotations

import logging
from typing import Final

DOMAIN: Final = "hubqueue"
LOGGER: Final = logging.getLogger(__package__)

CONF_DEAD_LETTERS: Final = "dead_letters"
CONF_OUTBOX_MB: Final = "outbox_mb"
CONF_QUEUES: Final = "queues"
CONF_RATES: Final = "rates"

DEFAULT_URL: Final = "http://localhost:6790"
DEFAULT_DEAD_LETTERS: Final = 1  # a repair is offered from so many in a queue on; 0: never
DEFAULT_OUTBOX_MB: Final = 16  # kept in Home Assistant, and in its memory, while a hub is away: about 30,000 readings

ACTIONS_QUEUE: Final = "ha_actions"  # where run_action puts its calls if it is not told

ATTR_CONFIG_ENTRY_ID: Final = "config_entry_id"
ATTR_CREATE: Final = "create"
ATTR_FORWARDER: Final = "forwarder"
ATTR_QUEUE: Final = "queue"
