"""A real hub process with something in it, and a real browser that looks at its dashboard.

Tests here are plain functions on Playwright's synchronous interface. A page that logs an error fails its test: that
is how a broken script or a refused inline style shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from support.browser import ACTION_MS, ARGUMENTS, CHROMIUM, DESKTOP, Visit
from support.dashboard import Dashboard, Serve, seed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith("tests/e2e/dashboard/"):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for a file of tests: while it is there, no asynchronous test can run in this process."""
    expect.set_options(timeout=ACTION_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(Dashboard(tmp_path))`: started now, ended after the pages that look at it."""
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def dashboard(tmp_path: Path, serve: Serve) -> Dashboard:
    """A hub with something of everything in it."""
    dashboard = serve(Dashboard(tmp_path))
    seed(dashboard.ask)
    return dashboard


@pytest.fixture
def visit(browser: Browser, serve: Serve) -> Iterator[Visit]:
    """`visit(url, **DARK)`: a page in a browser of its own. allow: words of console errors that are expected."""
    contexts, errors, allowed = [], [], []

    def open_page(url: str, *, allow: tuple[str, ...] = (), **options: Any) -> Page:
        allowed.extend(allow)
        context = browser.new_context(**{**DESKTOP, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(ACTION_MS)
        page.on("console", note)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        return page

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(f"{message.text} ({message.location.get('url')})")

    yield open_page
    for context in contexts:
        context.close()
    assert [error for error in errors if not any(word in error for word in allowed)] == []
