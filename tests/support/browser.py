"""How the real browser is started for tests, and the screens that pages are looked at on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from playwright.sync_api import Page

from support.waiting import PATIENCE_S

CHROMIUM: Final = "/usr/bin/chromium"  # of Debian: script/setup --tests
ARGUMENTS: Final = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
ACTION_MS: Final = PATIENCE_S * 1000

DESKTOP: Final[dict[str, Any]] = {
    "viewport": {"width": 1280, "height": 900},
    "locale": "en-US",
    "color_scheme": "light",
}
DARK: Final = {**DESKTOP, "color_scheme": "dark"}
PHONE: Final = {**DESKTOP, "viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
GERMAN: Final = {**DESKTOP, "locale": "de-DE"}
LOOKS: Final = {"light": DESKTOP, "dark": DARK, "phone": PHONE}

REFUSED: Final = ("422", "htmx:")  # what the browser and htmx write into the console when a form is refused

Visit = Callable[..., Page]
