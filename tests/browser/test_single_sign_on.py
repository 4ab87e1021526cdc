"""Single sign-on in a real browser with a provider of another project."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from oidc_provider_mock import User, run_server_in_thread  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from tests.browser.browsing import PATIENCE_MS, WIDTHS, look_at
from tests.browser.conftest import OpenAs
from tests.server import Server, StartServer

pytestmark = pytest.mark.browser

PEOPLE = {"lea": ["leads"], "dev": ["developers"], "guest": []}


@pytest.fixture
def issuer() -> Iterator[str]:
    """Run a provider on loopback with users in groups."""
    people = [User(sub=name, claims={"preferred_username": name, "groups": PEOPLE[name]}) for name in PEOPLE]
    with run_server_in_thread(port=0, user_claims=people) as running:
        yield f"http://localhost:{running.server_port}"


@pytest.fixture
def server_with_provider(start_server: StartServer, issuer: str) -> Server:
    """Start a server on which only the provider signs users in."""
    started: Server = start_server(
        {
            "FLYTE_AUTH": "tokens",
            "FLYTE_OIDC_ISSUER_URL": issuer,
            "FLYTE_CONSOLE_CLIENT_ID": "flyte-console",
            "FLYTE_CONSOLE_CLIENT_SECRET": "secret",
            "FLYTE_CONSOLE_ROLES": "groups:leads=admin,groups:developers=editor",
            "FLYTE_LOCAL_ACCOUNTS": "false",
            "NO_PROXY": "localhost,127.0.0.1",
        }
    )
    return started


@pytest.fixture
def page(chromium: Browser, server_with_provider: Server) -> Iterator[Page]:
    """Open a page without checks for errors, because the pages of the provider are not checked."""
    size: Any = {"width": WIDTHS[0], "height": 900}
    context = chromium.new_context(base_url=server_with_provider.url, viewport=size)
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def sign_on(page: Page, name: str) -> None:
    page.get_by_role("link", name="Sign in with localhost").click()
    page.locator("[name=sub]").first.fill(name)
    page.locator("form").filter(has=page.locator("input[name=sub]:not([type=hidden])")).get_by_role(
        "button"
    ).first.click()


def test_users_sign_on_with_the_roles_of_their_groups(page: Page, server_with_provider: Server) -> None:
    page.goto("/admin/flyte_site/change/")
    expect(page.get_by_label("Password")).to_have_count(0)
    look_at(page, "login-provider")
    sign_on(page, "lea")
    expect(page).to_have_url(f"{server_with_provider.url}/admin/flyte_site/change/")
    expect(page.get_by_role("link", name="Users")).to_be_visible()
    page.get_by_role("button", name=re.compile("sign out", re.IGNORECASE)).click()
    page.goto("/admin/")
    sign_on(page, "dev")
    expect(page.get_by_role("link", name="Datastore")).to_be_visible()
    expect(page.get_by_role("link", name="Users")).to_have_count(0)
    page.get_by_role("button", name=re.compile("sign out", re.IGNORECASE)).click()
    page.goto("/admin/")
    sign_on(page, "guest")
    expect(page.get_by_text("have no role on this server")).to_be_visible()
    look_at(page, "login-refused-by-role")
    assert "password:" not in server_with_provider.logs()


def test_an_admin_creates_and_revokes_a_token(open_as: OpenAs) -> None:
    page = open_as("admin")
    page.get_by_role("link", name="Tokens").click()
    page.get_by_role("link", name="New token").click()
    look_at(page, "token-add")
    page.get_by_label("Name").fill("from-the-browser")
    page.get_by_label("read datastore items").check()
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_text(re.compile("^flyte_.{43}$"))).to_be_visible()
    look_at(page, "token-made")
    page.get_by_role("link", name="Tokens").first.click()
    row = page.locator("tr", has_text="from-the-browser")
    row.get_by_role("button", name="Revoke").first.click()
    page.locator("dialog[open]").get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked")
    look_at(page, "tokens")
