"""Pages of each role, and refusal of the URLs of other pages."""

import re

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.browsing import Faults, look_at, sign_in, strict_context
from tests.browser.conftest import OpenAs
from tests.browser.people import ROLES
from tests.server import Server

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("role", ROLES)
def test_home_looks_right_for_every_role(open_as: OpenAs, role: str) -> None:
    page = open_as(role)
    expect(page.get_by_role("link", name="Home").first).to_be_visible()
    look_at(page, f"home-{role}")


def test_a_user_without_a_role_gets_instructions(open_as: OpenAs) -> None:
    page = open_as("")
    expect(page.get_by_text("no role", exact=False).first).to_be_visible()
    look_at(page, "home-nobody")


@pytest.mark.parametrize("role", ["viewer", "editor", "operator"])
def test_only_admins_manage_users(open_as: OpenAs, faults: dict[Page, Faults], role: str) -> None:
    page = open_as(role)
    expect(page.get_by_role("link", name="Users")).to_have_count(0)
    faults[page].expected.add(403)
    for path in ("/admin/auth/user/", "/admin/auth/user/add/", "/admin/auth/user/1/change/", "/admin/auth/group/"):
        answer = page.goto(path)
        assert answer
        assert answer.status == 403, path
    expect(page.get_by_text("not allowed to do this")).to_be_visible()
    look_at(page, "refused")


def test_an_admin_creates_a_user_with_a_role(open_as: OpenAs, chromium: Browser, console: Server) -> None:
    page = open_as("admin")
    page.get_by_role("link", name="Users").click()
    look_at(page, "people")
    page.goto("/admin/auth/user/add/")
    look_at(page, "person-add")
    page.get_by_label("Username").fill("newcomer")
    page.get_by_label("viewer").check()
    page.locator("[name=_save]").click()
    password = page.locator("#one-time-password").inner_text()
    look_at(page, "person-password")
    page.get_by_role("link", name="Back to newcomer").click()
    expect(page.locator("#content")).to_contain_text("one-time password, not used yet")
    look_at(page, "person")
    page.get_by_role("link", name="Create a one-time password").click()
    look_at(page, "person-password-ask")
    page.get_by_role("button", name="Create one-time password").click()
    expect(page.locator("#one-time-password")).not_to_have_text(password)
    second = page.locator("#one-time-password").inner_text()
    with strict_context(chromium, console.url) as (context, _):
        other = context.new_page()
        sign_in(other, "newcomer", second)
        expect(other).to_have_url(re.compile("/admin/password_change/"))


def test_a_role_looks_right(open_as: OpenAs) -> None:
    page = open_as("admin")
    page.goto("/admin/auth/group/")
    look_at(page, "roles")
    page.get_by_role("link", name="editor").click()
    look_at(page, "role")


def test_every_role_sees_the_activity_log(open_as: OpenAs, console: Server) -> None:
    step = {"event": {"packName": "Src", "name": "Go"}, "command": {"packName": "Wrk", "name": "Do"}}
    flow = {"name": "seen-in-changes", "steps": [step]}
    assert httpx.post(f"{console.url}/v1/flows", json=flow, trust_env=False).status_code == 201
    page = open_as("viewer")
    page.get_by_role("link", name="Activity").click()
    row = page.locator("tr", has_text="seen-in-changes")
    for word in ("anonymous", "api", "saved", "flow"):
        expect(row).to_contain_text(word)
    look_at(page, "changes")
