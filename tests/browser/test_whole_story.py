"""A complete story: an admin signs in, writes, tries, saves, runs, changes and restores a flow with real packs.

A viewer can only read it.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests import processes
from tests.browser.browsing import PATIENCE_MS, Faults, look_at, sign_in, strict_context
from tests.browser.test_first_sign_on import one_time_password
from tests.browser.test_flows import agree, saved, write
from tests.server import ROOT, Server, StartServer

pytestmark = pytest.mark.browser

CHOSEN = "the-first-morning-9"
STOP_SECONDS = 30

FLOW = """\
name: said-and-done
steps:
  - id: asked
    event: {{packName: Console, name: ReceivedMessage}}
    context:
      Message: "{{{{ Event.Payload.message }}}}"
    criteria: "{{{{ Event.Payload.message|match:'^flyte ' }}}}"
    command:
      packName: Shell
      name: Shell
      input: "until [ -e {gate} ]; do sleep 0.1; done; echo done"
  - id: told
    dependsOn: [asked]
    event: {{packName: Shell, name: Output}}
    command:
      packName: Console
      name: SendMessage
      input:
        channelId: general
        message: "{{{{ Context.Message }}}}: {{{{ Event.Payload.stdout }}}}"
"""


@contextmanager
def pack_process(server: Server, name: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a pack of the client library, and wait until it is registered."""
    environment = {**server.environment, "FLYTE_API": server.url}
    command = [sys.executable, "-m", f"flyte_client.packs.{name.lower()}"]
    with processes.start(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE) as process:
        try:
            wait_for_pack(server, name)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            finally:
                process.kill()


def wait_for_pack(server: Server, name: str) -> None:
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while httpx.get(f"{server.url}/v1/packs/{name}", trust_env=False, timeout=60).status_code != 200:
        assert time.monotonic() < deadline, f"{name} has not registered"
        time.sleep(0.1)


def say(chat: "subprocess.Popen[bytes]", line: str) -> None:
    """Type a line into the Console pack's terminal."""
    assert chat.stdin
    chat.stdin.write(f"{line}\n".encode())
    chat.stdin.flush()


def come_in(page: Page, name: str, password: str) -> None:
    """Sign in for the first time, and choose a password."""
    sign_in(page, name, password)
    expect(page).to_have_url(re.compile("/admin/password_change/"))
    page.locator("[name=new_password1]").fill(CHOSEN)
    page.locator("[name=new_password2]").fill(CHOSEN)
    page.get_by_role("button", name="Change").click()
    expect(page).to_have_url(re.compile("/admin/$"))


def write_with_mistakes(page: Page, flow: str) -> None:
    """Enter mistakes, which are marked in their lines with suggestions, and prevent saving."""
    write(page, flow.replace("criteria:", "critera:"))
    expect(page.locator("#findings li.error")).to_contain_text("line 7")
    expect(page.locator("#findings li.error")).to_contain_text("did you mean criteria?")
    page.keyboard.press("Control+s")
    expect(page.locator("#not-saved")).to_contain_text("Not saved. Line 7, steps[0].critera")
    look_at(page, "story-not-saved")
    write(page, flow.replace("ReceivedMessage", "RecievedMessage").replace("Context.Message", "Context.Mesage"))
    expect(page.locator("#not-saved")).to_be_hidden()
    for meant in ("did you mean 'ReceivedMessage'?", "did you mean Message?"):
        expect(page.locator("#findings li.warning", has_text=meant)).to_have_count(1)
    look_at(page, "story-warnings")
    write(page, flow)
    expect(page.locator("#verdict")).to_have_text("no errors")


def try_on_what_was_said(page: Page) -> None:
    """Try the flow on the stored event that was sent before the flow existed."""
    page.get_by_role("button", name="Refresh events").click()
    stored_event = page.locator("#try-events [name=try-event-id]")
    expect(stored_event).to_have_count(1)
    expect(stored_event).to_be_checked()
    expect(page.locator("#try-with")).to_contain_text("with the stored event Console.ReceivedMessage from")
    page.locator("#try-run").click()
    expect(page.locator("#try-outcome")).to_contain_text("An execution would start")
    look_at(page, "story-tried")


def watch_it_run(page: Page, gate: Path) -> None:
    """Watch an execution from running to succeeded without reloading the page."""
    first = page.locator("#content table tbody a").first
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not first.count():
        assert time.monotonic() < deadline, "nothing was started"
        page.goto("/admin/flows/execution/")
    first.click()
    expect(page.locator("#state")).to_have_text("running")
    page.evaluate("window.neverLoadedAgain = true")
    look_at(page, "story-running")
    gate.touch()
    expect(page.locator("#state")).to_have_text("succeeded")
    expect(page.locator("#step-told h2 .pill")).to_have_text("succeeded")
    assert page.evaluate("window.neverLoadedAgain")
    look_at(page, "story-succeeded")


def change_and_take_back(page: Page, address: str, flow: str) -> None:
    page.goto(address)
    write(page, flow.replace("'^flyte '", "'^please '"))
    page.get_by_placeholder("Note: reason for the change").fill("be polite")
    page.get_by_role("button", name="Save", exact=True).click()
    saved(page, "said-and-done")
    page.get_by_role("link", name="Versions").click()
    expect(page.locator("table.difference ins")).to_have_text("please")
    look_at(page, "story-difference")
    agree(page, "Restore old version")
    expect(page.locator(".messagelist")).to_contain_text("restored")
    agree(page, "Disable")
    expect(page.locator(".flow-head .pill.disabled")).to_be_visible()
    page.get_by_role("link", name="Activity").first.click()
    for done in ("saved", "restored", "disabled"):
        expect(page.locator("table tbody")).to_contain_text(done)


def make_viewer(page: Page) -> str:
    page.goto("/admin/auth/user/add/")
    page.get_by_label("Username").fill("onlooker")
    page.get_by_label("viewer").check()
    page.get_by_role("button", name="Save").click()
    return page.locator("#one-time-password").inner_text()


def see_no_buttons_and_be_refused(page: Page, faults: Faults, address: str) -> None:
    for path in (address, f"{address}../versions/", "/admin/flows/flow/"):
        page.goto(path)
        for label in ("Save", "Restore old version", "Disable", "Enable", "Delete", "New flow", "Start dry run"):
            expect(page.get_by_role("button", name=label, exact=True)).to_have_count(0)
        expect(page.get_by_role("link", name="New flow")).to_have_count(0)
    faults.expected.add(403)
    token = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "flyte_csrf")
    headers = {"X-CSRFToken": token, "Referer": page.url}
    for what in ("change", "enable", "disable", "delete"):
        answer = page.request.post(f"{address}../{what}/", headers=headers, form={"text": "name: x"})
        assert (answer.status, "You are not allowed to do this" in answer.text()) == (403, True), what
    refused = page.goto("/admin/flows/flow/add/")
    assert refused
    assert refused.status == 403
    expect(page.get_by_text("You are not allowed to do this")).to_be_visible()
    look_at(page, "story-refused")


def enter(stack: ExitStack, chromium: Browser, server: Server) -> tuple[BrowserContext, Faults]:
    return stack.enter_context(strict_context(chromium, server.url))


def test_a_flow_is_written_run_and_restored_and_a_viewer_can_only_read_it(
    chromium: Browser, start_server: StartServer, tmp_path: Path
) -> None:
    server, gate = start_server(), tmp_path / "gate"
    flow = FLOW.format(gate=gate)
    with ExitStack() as stack:
        chat = stack.enter_context(pack_process(server, "Console"))
        stack.enter_context(pack_process(server, "Shell"))
        say(chat, "flyte hello")
        context, _ = enter(stack, chromium, server)
        page = context.new_page()
        come_in(page, "admin", one_time_password(server))
        page.goto("/admin/flows/flow/add/")
        write_with_mistakes(page, flow)
        try_on_what_was_said(page)
        page.keyboard.press("Control+s")
        saved(page, "said-and-done")
        address = page.url
        say(chat, "flyte go")
        watch_it_run(page, gate)
        change_and_take_back(page, address, flow)
        password = make_viewer(page)
        other, faults = enter(stack, chromium, server)
        onlooker = other.new_page()
        come_in(onlooker, "onlooker", password)
        see_no_buttons_and_be_refused(onlooker, faults, address)
