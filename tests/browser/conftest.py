"""Chromium, signed-in users, and pages whose errors fail the test."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, StorageState, sync_playwright

from tests.browser.browsing import Faults, sign_in, strict_context
from tests.browser.people import PASSWORD, make_people
from tests.server import Server

OpenAs = Callable[[str], Page]
"""The type of the fixture `open_as`: it opens the home page for a role, or for a user without a role for ''."""


def chromium_path() -> str | None:
    """Return the path of the Chromium of the system, or None."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start the Chromium of the system in headless mode."""
    path = chromium_path()
    if path is None:
        pytest.fail("there is no Chromium: install it (Debian: apt-get install chromium), or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        # As root and in containers, the sandbox of Chromium does not start. Only pages of this server are opened.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def console(server: Server) -> Server:
    """Create a user for each role on the shared server, and return the server."""
    make_people(server)
    return server


@pytest.fixture(scope="session")
def signed_in(chromium: Browser, console: Server) -> Callable[[str], StorageState]:
    """Return a function that signs a user in once a run, and returns the cookies."""
    states: dict[str, StorageState] = {}

    def state(role: str) -> StorageState:
        name = f"some-{role}" if role else "nobody"
        if name not in states:
            with strict_context(chromium, console.url) as (context, _):
                sign_in(context.new_page(), name, PASSWORD)
                states[name] = context.storage_state()
        return states[name]

    return state


@pytest.fixture
def faults() -> dict[Page, Faults]:
    """Return the faults by page; a test that causes an error adds its status to `expected`."""
    return {}


@pytest.fixture
def open_as(
    chromium: Browser, console: Server, signed_in: Callable[[str], StorageState], faults: dict[Page, Faults]
) -> Iterator[OpenAs]:
    """Return a function that opens the console for a role; fail at the end if there were errors in any page."""
    with ExitStack() as stack:

        def opened(role: str) -> Page:
            context, page_faults = stack.enter_context(
                strict_context(chromium, console.url, storage_state=signed_in(role))
            )
            page = context.new_page()
            faults[page] = page_faults
            page.goto("/admin/")
            return page

        yield opened
