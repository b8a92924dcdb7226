"""How the real browser is started for tests, and the screens that pages are looked at on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from playwright.sync_api import Page

CHROMIUM: Final = "/usr/bin/chromium"  # of Debian: script/setup --tests
ARGUMENTS: Final = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
ACTION_MS: Final = 15_000.0

DESKTOP: Final[dict[str, Any]] = {
    "viewport": {"width": 1280, "height": 900},
    "locale": "en-US",
    "color_scheme": "light",
}
DARK: Final = {**DESKTOP, "color_scheme": "dark"}
PHONE: Final = {**DESKTOP, "viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
GERMAN: Final = {**DESKTOP, "locale": "de-DE"}
LOOKS: Final = {"light": DESKTOP, "dark": DARK, "phone": PHONE}

Visit = Callable[..., Page]
