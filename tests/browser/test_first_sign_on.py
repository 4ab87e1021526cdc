"""The first sign-in on a new server: the password from the terminal, and the choice of another one."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.browsing import look_at, sign_in, strict_context
from tests.server import Server, StartServer

pytestmark = pytest.mark.browser

CHOSEN = "the-first-morning-9"


def one_time_password(server: Server) -> str:
    """Return the password of the first account, which the server printed to its terminal."""
    passwords = re.findall(r"^\s*password:\s+(\S+)$", server.logs(), re.MULTILINE)
    assert len(passwords) == 1, "it is printed once"
    return str(passwords[0])


def test_the_one_time_password_allows_only_the_choice_of_another(chromium: Browser, start_server: StartServer) -> None:
    server = start_server()
    first = one_time_password(server)
    with strict_context(chromium, server.url) as (context, _):
        page = context.new_page()
        page.goto("/")
        expect(page).to_have_url(re.compile("/admin/login/"))
        look_at(page, "login")
        sign_in(page, "admin", "not-the-password")
        expect(page.locator(".errornote")).to_contain_text("Wrong username or password")
        look_at(page, "login-refused")
        sign_in(page, "admin", first)
        for path in ("/admin/", "/admin/auth/user/"):
            page.goto(path)
            expect(page).to_have_url(re.compile("/admin/password_change/"))
        look_at(page, "password-one-time")
        expect(page.get_by_label("Old password")).to_have_count(0)
        page.get_by_label("New password", exact=False).first.fill(CHOSEN)
        page.locator("[name=new_password2]").fill(CHOSEN)
        page.get_by_role("button", name="Change").click()
        expect(page).to_have_url(re.compile("/admin/auth/user/$"))  # the last requested page
        expect(page.locator("#result_list").get_by_role("link", name="admin")).to_be_visible()
    with strict_context(chromium, server.url) as (context, _):
        page = context.new_page()
        sign_in(page, "admin", first)
        expect(page.locator(".errornote")).to_be_visible()
        sign_in(page, "admin", CHOSEN)
        expect(page).to_have_url(re.compile("/admin/$"))
    assert first not in server.start_again().logs().split("serving on")[-1]
