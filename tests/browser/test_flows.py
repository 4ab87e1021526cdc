"""The flow editor in a real browser: errors, dry runs, versions, restoring and disabling."""

import time

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.browsing import PATIENCE_MS, SCREENSHOTS, look_at, strict_context
from tests.browser.conftest import OpenAs
from tests.server import Server

pytestmark = pytest.mark.browser

FLOW = """\
name: browser-flow
steps:
  - id: greet
    event:
      packName: Src
      name: Go
    criteria: "{{ Event.Payload.word == 'go' }}"
    command:
      packName: Wrk
      name: Do
      input:
        word: "{{ Event.Payload.word }}"
"""


def write(page: Page, text: str) -> None:
    """Replace the text of the editor, as pasting does."""
    page.evaluate(
        "text => { const editor = ace.edit('ace'); editor.focus(); editor.session.doc.setValue(text); }", text
    )


def saved(page: Page, name: str = "browser-flow") -> None:
    expect(page.locator(".messagelist")).to_contain_text(f"{name} was saved")


def wait_for(page: Page, condition: str) -> None:
    """Wait until a condition in the page is true. Playwright's own function needs `eval`, which the policy forbids."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not (result := page.evaluate(condition)) and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert result, condition


def agree(page: Page, label: str) -> None:
    page.get_by_role("button", name=label, exact=True).first.click()
    page.locator("dialog[open]").get_by_role("button", name=label, exact=True).click()


def test_only_the_outcome_of_the_last_save_is_on_the_page(open_as: OpenAs) -> None:
    page = open_as("admin")
    page.goto("/admin/flows/flow/add/")
    write(page, FLOW.replace("browser-flow", "saved-twice"))
    page.get_by_role("button", name="Save", exact=True).click()
    saved(page, "saved-twice")
    write(page, "name: saved-twice\nsteps: 1\n")
    expect(page.locator("#findings li.error")).to_have_count(1)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#not-saved")).to_contain_text("Not saved. Line 2, steps")
    expect(page.locator(".messagelist")).to_have_count(0)
    write(page, FLOW.replace("browser-flow", "saved-twice").replace("id: greet", "id: wave"))
    expect(page.locator("#not-saved")).to_be_hidden()
    page.get_by_role("button", name="Save", exact=True).click()
    saved(page, "saved-twice")


def test_the_diagram_of_an_earlier_text_is_labeled(open_as: OpenAs) -> None:
    page = open_as("editor")
    page.goto("/admin/flows/flow/add/")
    title = page.locator("#diagram-title")
    expect(page.locator("#verdict")).to_contain_text("no errors")
    expect(title).to_have_text("Diagram")
    write(page, "name: [\n")
    expect(title).to_have_text("Diagram of the last valid text")
    expect(page.locator("#diagram svg")).to_be_visible()
    look_at(page, "flow-outdated-diagram")
    write(page, FLOW)
    expect(title).to_have_text("Diagram")
    page.evaluate("localStorage.clear()")


def test_a_flow_is_written_corrected_tried_saved_compared_restored_and_disabled(open_as: OpenAs) -> None:
    page = open_as("admin")
    page.goto("/admin/flows/flow/add/")
    look_at(page, "flow-new")
    write(page, FLOW.replace("packName: Wrk", "pakName: Wrk"))
    finding = page.locator("#findings li.error", has_text="did you mean packName?")
    expect(finding).to_contain_text("line 9")
    expect(page.locator(".ace_gutter-cell.ace_error")).to_have_count(1)
    look_at(page, "flow-error")
    finding.get_by_role("button").click()
    assert page.evaluate("ace.edit('ace').getCursorPosition().row") == 8

    write(page, FLOW)
    expect(page.locator("#findings li.error")).to_have_count(0)
    expect(page.locator("#diagram svg")).to_contain_text("greet")
    page.get_by_label("Custom event").check()
    page.locator("#try-event").fill('{"event": "Go", "payload": {"word": "go"}}')
    page.locator("#try-run").click()
    expect(page.locator("#try-outcome")).to_contain_text("An execution would start")
    expect(page.locator("#try-outcome .pill.fired")).to_be_visible()
    look_at(page, "flow-tried")
    page.keyboard.press("Control+s")
    saved(page)

    write(page, FLOW.replace("== 'go'", "== 'start'"))
    page.get_by_placeholder("Note: reason for the change").fill("another word")
    page.get_by_role("button", name="Save", exact=True).click()
    saved(page)
    page.get_by_role("link", name="Versions").click()
    expect(page.locator("table.difference del")).to_have_text("go")
    expect(page.locator("table.difference ins")).to_have_text("start")
    look_at(page, "flow-versions")
    agree(page, "Restore old version")
    expect(page.locator(".messagelist")).to_contain_text("restored")
    agree(page, "Disable")
    expect(page.locator(".messagelist")).to_contain_text("is disabled")
    expect(page.locator(".flow-head .pill.disabled")).to_be_visible()
    page.get_by_role("link", name="Why didn't it run?").click()
    expect(page.get_by_text("The flow is disabled")).to_be_visible()
    look_at(page, "flow-why")


def test_unsaved_text_survives_a_closed_tab(open_as: OpenAs) -> None:
    page = open_as("editor")
    page.goto("/admin/flows/flow/add/")
    write(page, FLOW.replace("browser-flow", "draft-flow"))
    wait_for(page, "Object.values(localStorage).some((kept) => kept.includes('draft-flow'))")
    again = page.context.new_page()
    page.close()
    again.goto("/admin/flows/flow/add/")
    expect(again.get_by_text("This browser has an unsaved draft")).to_be_visible()
    look_at(again, "flow-draft")
    again.get_by_role("button", name="Restore").click()
    assert "draft-flow" in again.evaluate("ace.edit('ace').getValue()")
    again.get_by_role("button", name="Save", exact=True).click()
    saved(again, "draft-flow")
    assert again.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('flyte.draft')).length") == 0


def test_a_loss_of_comments_must_be_confirmed(open_as: OpenAs) -> None:
    page = open_as("editor")
    page.goto("/admin/flows/flow/add/")
    page.get_by_role("button", name="Convert to JSON").click()
    expect(page.get_by_text("Delete comments?")).to_be_visible()
    look_at(page, "flow-comments")
    page.get_by_role("button", name="Convert and delete comments").click()
    expect(page.locator("#language")).to_have_text("JSON")
    page.get_by_role("button", name="Convert to YAML").click()
    expect(page.locator("#language")).to_have_text("YAML")
    page.evaluate("localStorage.clear()")


def test_the_editor_offers_filters_and_packs(open_as: OpenAs) -> None:
    page = open_as("editor")
    page.goto("/admin/flows/flow/add/")
    expect(page.locator("#verdict")).not_to_have_text("checking…")
    page.evaluate("(() => { const e = ace.edit('ace'); e.gotoLine(9, 38); e.focus(); })()")
    page.keyboard.type("|upp")
    expect(page.locator(".ace_autocomplete")).to_contain_text("upper")
    page.keyboard.press("Escape")


def test_a_viewer_reads_a_flow(open_as: OpenAs) -> None:
    editor = open_as("editor")
    editor.goto("/admin/flows/flow/add/")
    write(editor, FLOW.replace("browser-flow", "read-flow"))
    editor.get_by_role("button", name="Save", exact=True).click()
    saved(editor, "read-flow")
    page = open_as("viewer")
    page.goto("/admin/flows/flow/")
    look_at(page, "flow-list")
    page.get_by_role("link", name="read-flow").click()
    expect(page.locator(".ace_line").first).to_contain_text("read-flow")
    assert page.evaluate("ace.edit('ace').getReadOnly()")
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
    page.locator("#diagram svg a").click()
    assert page.evaluate("ace.edit('ace').getCursorPosition().row") == 2
    look_at(page, "flow-viewer")


def test_the_second_of_two_editors_sees_both_texts_and_can_overwrite(open_as: OpenAs) -> None:
    page = open_as("editor")
    page.goto("/admin/flows/flow/add/")
    write(page, FLOW.replace("browser-flow", "shared-flow"))
    page.get_by_role("button", name="Save", exact=True).click()
    saved(page, "shared-flow")
    other = open_as("admin")
    other.goto(page.url)
    write(other, FLOW.replace("browser-flow", "shared-flow").replace("'go'", "'theirs'"))
    other.get_by_role("button", name="Save", exact=True).click()
    saved(other, "shared-flow")
    write(page, FLOW.replace("browser-flow", "shared-flow").replace("'go'", "'mine'"))
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("The flow has changed since you opened it")).to_be_visible()
    expect(page.locator("table.difference del")).to_have_text("theirs")
    look_at(page, "flow-conflict")
    page.get_by_role("button", name="Overwrite with my version").click()
    saved(page, "shared-flow")
    assert "'mine'" in page.evaluate("ace.edit('ace').getValue()")


def test_a_changed_name_must_be_confirmed(open_as: OpenAs) -> None:
    page = open_as("editor")
    page.goto("/admin/flows/flow/add/")
    write(page, FLOW.replace("browser-flow", "old-name"))
    page.get_by_role("button", name="Save", exact=True).click()
    saved(page, "old-name")
    write(page, FLOW.replace("browser-flow", "new-name"))
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Saving creates a new flow new-name")).to_be_visible()
    look_at(page, "flow-renamed")
    page.get_by_role("button", name="Save as flow new-name").click()
    saved(page, "new-name")


def test_without_javascript_the_editor_is_a_plain_field(open_as: OpenAs, chromium: Browser, console: Server) -> None:
    state = open_as("editor").context.storage_state()
    with strict_context(chromium, console.url, storage_state=state, java_script_enabled=False) as (context, _):
        page = context.new_page()
        page.goto("/admin/flows/flow/add/")
        page.get_by_label("Flow document").fill(
            FLOW.replace("browser-flow", "plain-flow").replace("name: Go", "nam: Go")
        )
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#findings")).to_contain_text("line 6")
        page.screenshot(path=SCREENSHOTS / "flow-plain.png", full_page=True)
        page.get_by_label("Flow document").fill(FLOW.replace("browser-flow", "plain-flow"))
        page.get_by_role("button", name="Save", exact=True).click()
        saved(page, "plain-flow")
