"""Chromium, people who are signed in, and pages in which nothing may go wrong."""

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
"""What the fixture `open_as` gives: called with a role, or '' for none, it gives somebody's page at home."""


def chromium_path() -> str | None:
    """The path of the machine's Chromium, or None."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's own Chromium, without a window."""
    path = chromium_path()
    if path is None:
        pytest.fail("there is no Chromium: install it (Debian: apt-get install chromium), or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        # As root, and in containers, Chromium's own sandbox does not start; it sees this server's pages alone.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def console(server: Server) -> Server:
    """The shared server, with a person for every role."""
    make_people(server)
    return server


@pytest.fixture(scope="session")
def signed_in(chromium: Browser, console: Server) -> Callable[[str], StorageState]:
    """The cookies of somebody who has signed in: each person does so once a run."""
    kept: dict[str, StorageState] = {}

    def state(role: str) -> StorageState:
        name = f"some-{role}" if role else "nobody"
        if name not in kept:
            with strict_context(chromium, console.url) as (context, _):
                sign_in(context.new_page(), name, PASSWORD)
                kept[name] = context.storage_state()
        return kept[name]

    return state


@pytest.fixture
def faults() -> dict[Page, Faults]:
    """What went wrong in each page's window so far; a test that asks for an error adds its status to `expected`."""
    return {}


@pytest.fixture
def open_as(
    chromium: Browser, console: Server, signed_in: Callable[[str], StorageState], faults: dict[Page, Faults]
) -> Iterator[OpenAs]:
    """Opens the console as somebody. When the test is over, nothing may have gone wrong in any of its pages."""
    with ExitStack() as stack:

        def opened(role: str) -> Page:
            context, found = stack.enter_context(strict_context(chromium, console.url, storage_state=signed_in(role)))
            page = context.new_page()
            faults[page] = found
            page.goto("/admin/")
            return page

        yield opened
