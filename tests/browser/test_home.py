"""Home and packs in a real browser: the steps to a first flow, live figures, and deletion of a pack."""

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.browsing import look_at, sign_in, strict_context
from tests.browser.conftest import OpenAs
from tests.browser.people import PASSWORD, make_people
from tests.server import Server, StartServer

pytestmark = pytest.mark.browser

STEP = {"id": "ask", "event": {"packName": "First", "name": "Go"}, "command": {"packName": "Gone", "name": "Do"}}


def test_the_steps_to_a_first_flow_are_checked_live(chromium: Browser, start_server: StartServer) -> None:
    server = start_server()
    make_people(server)
    with (
        strict_context(chromium, server.url) as (context, _),
        httpx.Client(base_url=server.url, timeout=60, trust_env=False) as api,
    ):
        page = context.new_page()
        sign_in(page, "some-admin", PASSWORD)
        done = page.locator(".onboarding li.done")
        expect(page.locator("#line-shell")).to_have_text(
            f"FLYTE_API={server.url} .venv/bin/python -m flyte_client.packs.shell"
        )
        expect(done).to_have_count(0)
        look_at(page, "home-empty")
        for count, (path, body) in enumerate(
            [
                ("/v1/packs", {"name": "First", "commands": [], "events": [{"name": "Go"}]}),
                ("/v1/flows", {"name": "first", "steps": [STEP]}),
                ("/v1/packs/First/events", {"event": "Go"}),
            ],
            start=1,
        ):
            assert api.post(path, json=body).is_success
            expect(done).to_have_count(count)
        expect(page.get_by_text("Your first flow has run")).to_be_visible()
        look_at(page, "home-first-flow")
        page.reload()
        expect(page.get_by_text("in three steps")).to_have_count(0)
        expect(page.locator("#tile-orphaned .number")).to_have_text("1")
        look_at(page, "home-orphaned")


@pytest.fixture
def two_packs(console: Server) -> None:
    """Create two packs with unique names, and a waiting action for the first."""
    flow = {**STEP, "event": {"packName": "Asks", "name": "Go"}, "command": {"packName": "Deleted", "name": "Do"}}
    link = {"rel": "help", "href": "https://example.org/help"}
    with httpx.Client(base_url=console.url, timeout=60, trust_env=False) as api:
        for path, body in (
            ("/v1/packs", {"name": "Asks", "commands": [], "events": []}),
            ("/v1/packs", {"name": "Deleted", "commands": [{"name": "Do"}], "events": [], "links": [link]}),
            ("/v1/flows", {"name": "asks", "steps": [flow]}),
            ("/v1/packs/Asks/events", {"event": "Go"}),
        ):
            assert api.post(path, json=body).is_success


@pytest.mark.usefixtures("two_packs")
def test_an_operator_deletes_a_pack_after_a_warning_of_orphaned_actions(open_as: OpenAs) -> None:
    page = open_as("operator")
    page.locator("#tile-live").click()
    page.get_by_label("Name or label").fill("delet")
    page.get_by_role("button", name="Search").click()
    look_at(page, "packs")
    page.get_by_role("link", name="Deleted", exact=True).click()
    expect(page.get_by_text("1 queued action that this pack can run")).to_be_visible()
    look_at(page, "pack")
    page.get_by_role("button", name="Delete").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("1 action becomes orphaned until a pack")
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    page.get_by_role("button", name="Delete").click()
    question.get_by_role("button", name="Delete").click()
    expect(page.locator(".messagelist")).to_contain_text("Pack Deleted deleted.")
    expect(page.get_by_label("Orphaned actions")).to_contain_text("1 action for Deleted")
    look_at(page, "packs-orphaned")


@pytest.mark.usefixtures("two_packs")
def test_live_figures_keep_the_focus_and_open_details(open_as: OpenAs) -> None:
    page = open_as("viewer")
    page.locator("#tile-live").focus()
    with page.expect_response("**/admin/now"):
        pass
    expect(page.locator("#tile-live")).to_be_focused()
