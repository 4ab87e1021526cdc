"""Approvals and hosted packs in a real browser: a flow waits, a user approves on the home page, the flow continues."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.browsing import PATIENCE_MS, look_at, sign_in, strict_context
from tests.browser.people import PASSWORD, make_people
from tests.jobs.processes import running
from tests.server import Server, running_server

pytestmark = pytest.mark.browser

LIST = "/admin/packs/approval/"
FLOW = {
    "name": "ship",
    "steps": [
        {
            "id": "ask",
            "event": {"packName": "Ci", "name": "Built"},
            "command": {
                "packName": "Approval",
                "name": "Ask",
                "input": {
                    "question": "Ship {{ Event.Payload.version }} to production?",
                    "details": {"version": "{{ Event.Payload.version }}", "risk": "low"},
                },
            },
        },
        {
            "id": "ship",
            "dependsOn": ["ask"],
            "event": {"packName": "Approval", "name": "Approved"},
            "command": {
                "packName": "Shipper",
                "name": "Ship",
                "input": "{{ Event.Payload.by }}: {{ Event.Payload.comment }}",
            },
        },
    ],
}


class ApprovalServer:
    """A server with all processes of `manage.py run`, a flow with an approval, and the pack of its next step."""

    def __init__(self, server: Server, stack: ExitStack, chromium: Browser) -> None:
        self.server, self._stack, self._chromium = server, stack, chromium
        self.api = stack.enter_context(httpx.Client(base_url=server.url, timeout=60, trust_env=False))
        for path, body in (
            ("/v1/packs", {"name": "Ci", "events": [{"name": "Built"}]}),
            ("/v1/packs", {"name": "Shipper", "commands": [{"name": "Ship"}]}),
            ("/v1/flows", FLOW),
        ):
            assert self.api.post(path, json=body).is_success

    def ask(self, version: str) -> str:
        """Start the flow; return the id of the approval."""
        built = {"event": "Built", "payload": {"version": version}}
        assert self.api.post("/v1/packs/Ci/events", json=built).is_success
        return self.soon(
            lambda: next((approval["id"] for approval in self.open() if version in approval["question"]), "")
        )

    def open(self) -> list[Any]:
        return list(self.api.get("/v1/approvals").json()["approvals"])

    def shipped(self) -> str:
        """Take the next action of the shipping pack, send its result, and return its input."""
        taken = self.soon(lambda: self.api.post("/v1/packs/Shipper/actions/take").text)
        assert self.api.post(httpx.Response(200, text=taken).json()["links"][0]["href"], json={"event": "Shipped"})
        return str(httpx.Response(200, text=taken).json()["input"])

    def soon(self, what: Any) -> str:
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not (result := what()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return str(result)

    def page_of(self, role: str, *expected: int) -> Page:
        """Open the home page for a role; responses with the expected error statuses are allowed."""
        context, faults = self._stack.enter_context(strict_context(self._chromium, self.server.url))
        faults.expected.update(expected)
        page = context.new_page()
        sign_in(page, f"some-{role}", PASSWORD)
        return page


@pytest.fixture
def world(tmp_path: Path, chromium: Browser) -> Iterator[ApprovalServer]:
    with ExitStack() as stack:
        server = stack.enter_context(running_server(tmp_path))
        make_people(server)
        stack.enter_context(running(tmp_path, server.environment, "jobs"))
        yield ApprovalServer(server, stack, chromium)


def question_in(page: Page) -> Any:
    return page.get_by_role("dialog")


def test_an_operator_approves_on_the_home_page_and_the_flow_continues(world: ApprovalServer) -> None:
    page = world.page_of("operator")
    page.goto(LIST)
    look_at(page, "approvals-empty")
    page.goto("/admin/")
    world.ask("1.2.0")
    expect(page.get_by_label("Approvals").get_by_text("Ship 1.2.0 to production?").first).to_be_visible()
    look_at(page, "home-approvals")
    page.get_by_role("button", name="Decide: Ship 1.2.0").click()
    page.get_by_text("Details", exact=True).last.click()
    look_at(page, "approval-dialog")
    comment = question_in(page).get_by_label("Comment")
    comment.fill("after lunch")
    # An update of the page must not delete text that a user is entering.
    page.evaluate("htmx.ajax('GET', '/admin/now', {target: '#figures', swap: 'innerHTML'})")
    expect(comment).to_have_value("after lunch")
    question_in(page).get_by_role("button", name="Approve").click()
    expect(page.locator(".messagelist")).to_contain_text("Approved; the flow continues. Ship 1.2.0 to production?")
    expect(page.get_by_label("Approvals")).to_have_count(0)
    assert world.shipped() == "some-operator: after lunch"
    page.goto(f"{LIST}?show=all")
    look_at(page, "approvals-history")
    page.get_by_role("link", name="Ship 1.2.0 to production?").click()
    expect(page.get_by_text("by some-operator")).to_be_visible()
    look_at(page, "approval-decided")
    page.get_by_role("link", name="ship", exact=True).click()
    expect(page.locator("#state")).to_contain_text("succeeded")
    page.goto("/admin/flyte_site/change/?kind=approval")
    expect(page.get_by_role("row").nth(1)).to_contain_text("some-operator")
    page.goto("/admin/packs/pack/")
    look_at(page, "packs-hosted")
    page.get_by_role("link", name="Approval", exact=True).click()
    look_at(page, "pack-hosted")


def test_the_second_of_two_deciders_sees_the_first_decision(world: ApprovalServer) -> None:
    first, second = world.page_of("operator"), world.page_of("admin")
    for number in range(7):
        world.ask(f"2.{number}")
    for page in (first, second):
        page.goto(LIST)
        page.get_by_role("button", name="Decide: Ship 2.0").click()
    look_at(first, "approvals-dialog")
    question_in(first).get_by_role("button", name="Reject").click()
    expect(first.locator(".messagelist")).to_contain_text("Rejected; the flow continues.")
    question_in(second).get_by_role("button", name="Approve").click()
    expect(second.locator(".messagelist")).to_contain_text("Not decided: already rejected by some-operator.")
    look_at(second, "approvals-many")
    second.goto("/admin/")
    look_at(second, "home-approvals-many")
    expect(second.get_by_label("Approvals").get_by_role("button", name="Decide")).to_have_count(5)
    second.goto("/admin/packs/pack/")
    second.get_by_role("link", name="Approval", exact=True).click()
    look_at(second, "pack-hosted-busy")
    second.get_by_role("link", name="live").click()
    expect(second.get_by_text("waiting for a decision").first).to_be_visible()
    look_at(second, "pack-resources")
    second.get_by_role("link", name="Execution", exact=True).first.click()
    expect(second.get_by_role("link", name="Decide")).to_be_visible()
    look_at(second, "execution-approval")


def test_a_viewer_sees_the_question_without_buttons_and_is_refused_by_its_address(world: ApprovalServer) -> None:
    page = world.page_of("viewer", 403)
    action_id = world.ask("3.0")
    for path in ("/admin/", LIST, f"{LIST}{action_id}/"):
        page.goto(path)
        expect(page.get_by_text("Ship 3.0 to production?").first).to_be_visible()
        expect(page.get_by_role("button", name="Decide")).to_have_count(0)
        expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    look_at(page, "approval-viewer")
    token = page.locator("input[name=csrfmiddlewaretoken]").first.get_attribute("value") or ""
    answer = page.request.post(
        f"{LIST}{action_id}/decide",
        form={"approved": "true", "csrfmiddlewaretoken": token},
        headers={"Referer": world.server.url},
    )
    assert answer.status == 403
    assert [approval["id"] for approval in world.open()] == [action_id]
