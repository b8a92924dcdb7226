"""Loaded before the test helper, which then works with a Home Assistant that is newer than its own."""

from __future__ import annotations

import homeassistant  # noqa: F401  before respx imports httpx: it puts another library in its place
from homeassistant.components import logger
from homeassistant.components.logger import helpers

if not hasattr(logger, "_clear_logger_overwrites"):
    logger._clear_logger_overwrites = helpers._clear_logger_overwrites
