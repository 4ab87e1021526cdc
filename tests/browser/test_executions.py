"""Executions and events in a real browser: lists, live updates, cancellation and retries."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.browsing import look_at
from tests.browser.conftest import OpenAs
from tests.server import Server

pytestmark = pytest.mark.browser

LIST = "/admin/flows/execution/"


class ExecutionFlow:
    """A source, a worker and their flow of three steps, with unique names."""

    def __init__(self, server: Server, name: str, branches: int = 1) -> None:
        self.api = httpx.Client(base_url=server.url, timeout=60)
        self.name, self.source, self.worker = name, f"{name}Source", f"{name}Worker"
        for pack in (self.source, self.worker):
            self._post("/v1/packs", {"name": pack, "commands": [], "events": []})
        done = {"packName": self.worker, "name": "Done"}
        command = {"packName": self.worker, "name": "Do", "input": {"who": "{{ Event.Payload }}"}}
        steps = [
            {"id": "asked", "event": {"packName": self.source, "name": "Go"}, "command": command},
            *(
                {"id": f"answer{number or ''}", "dependsOn": ["asked"], "event": done, "command": command}
                for number in range(branches)
            ),
            {"id": "never", "dependsOn": ["asked"], "event": done, "criteria": "{{ 1 == 2 }}", "command": command},
        ]
        self._post("/v1/flows", {"name": name, "steps": steps})

    def _post(self, path: str, body: Any = None) -> httpx.Response:
        answer = self.api.post(path, json=body)
        assert answer.status_code < 300, answer.text
        return answer

    def start(self) -> str:
        """Send the event; return the id of the newest execution."""
        self._post(f"/v1/packs/{self.source}/events", {"event": "Go", "payload": "Ana"})
        listed = self.api.get("/v1/audit/flows", params={"flowName": self.name}).json()
        return str(listed["flows"][0]["correlationId"])

    def work(self, event: str = "Done") -> None:
        """Take an action and end it with this event."""
        taken = self._post(f"/v1/packs/{self.worker}/actions/take").json()
        self._post(taken["links"][0]["href"], {"event": event, "payload": {"why": event}})


def state(page: Page) -> Any:
    return page.locator("#state")


def test_lists_without_anything_say_what_to_do(open_as: OpenAs) -> None:
    page = open_as("viewer")
    page.goto(f"{LIST}?flow=none")
    expect(page.get_by_role("heading", name="No matching executions")).to_be_visible()
    look_at(page, "executions-empty")
    page.goto("/admin/flows/event/?pack=none")
    expect(page.get_by_role("heading", name="No matching events")).to_be_visible()
    look_at(page, "events-empty")


def test_an_execution_is_updated_until_its_end_without_reloading(open_as: OpenAs, console: Server) -> None:
    world = ExecutionFlow(console, "Followed")
    execution = world.start()
    page = open_as("viewer")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if "/now" in request.url else None)
    page.goto(f"{LIST}{execution}/")
    expect(state(page)).to_have_text("running")
    page.locator("#step-asked summary", has_text="Input").click()
    world.work()
    expect(page.locator("#step-asked h2 .pill")).to_have_text("succeeded")
    expect(page.locator("#step-asked details", has_text="Input")).to_have_attribute("open", "")
    look_at(page, "execution-running")
    world.work()
    expect(state(page)).to_have_text("succeeded")
    before = len(requests)
    page.wait_for_timeout(4500)
    assert len(requests) == before
    look_at(page, "execution-succeeded")
    page.get_by_role("link", name=f"{world.source}.Go", exact=True).click()
    expect(page.get_by_text("Outcome by flow")).to_be_visible()
    look_at(page, "event")


def test_an_operator_retries_cancels_and_replays(open_as: OpenAs, console: Server) -> None:
    world = ExecutionFlow(console, "Controlled")
    execution = world.start()
    world.work("FATAL")
    page = open_as("operator")
    page.goto(f"{LIST}{execution}/")
    expect(state(page)).to_have_text("failed")
    page.get_by_role("button", name="Retry").click()
    look_at(page, "execution-retry-dialog")
    page.get_by_role("dialog").get_by_role("button", name="Back").click()
    expect(state(page)).to_have_text("failed")
    page.get_by_role("button", name="Retry").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    expect(page.get_by_text("Step asked is queued again.")).to_be_visible()
    page.get_by_role("button", name="Cancel execution").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel execution").click()
    expect(page.get_by_text("The execution is cancelled.")).to_be_visible()
    expect(state(page)).to_have_text("cancelled")
    page.get_by_role("button", name="Replay").click()
    page.get_by_role("dialog").get_by_role("button", name="Replay").click()
    expect(page.get_by_text("The event was replayed and started this execution.")).to_be_visible()
    assert execution not in page.url


def test_a_large_diagram_starts_at_the_trigger_and_keeps_its_position(open_as: OpenAs, console: Server) -> None:
    world = ExecutionFlow(console, "Large", branches=14)
    execution = world.start()
    page = open_as("viewer")
    page.goto(f"{LIST}{execution}/")
    canvas, first_step = page.locator("#steps .flow-canvas"), page.locator('.flow-canvas a[href="#step-asked"]')
    canvas.scroll_into_view_if_needed()
    expect(first_step).to_be_in_viewport()
    assert canvas.evaluate("one => one.scrollTop") > 100
    look_at(page, "execution-large")
    canvas.evaluate("one => { one.scrollTop = 40; }")
    world.work()
    expect(page.locator("#step-asked h2 .pill")).to_have_text("succeeded")
    assert canvas.evaluate("one => one.scrollTop") == 40


def test_lists_link_to_their_rows(open_as: OpenAs, console: Server) -> None:
    world = ExecutionFlow(console, "Listed")
    for _ in range(27):
        world.start()
    page = open_as("viewer")
    page.goto(LIST)
    page.get_by_label("Flow", exact=True).fill("Listed")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("table tbody tr")).to_have_count(25)
    look_at(page, "executions")
    page.get_by_role("link", name="Older").click()
    expect(page.locator("table tbody tr")).to_have_count(2)
    page.get_by_role("link", name="Listed", exact=True).first.click()
    expect(state(page)).to_have_text("running")
    page.goto("/admin/flows/event/")
    look_at(page, "events")
