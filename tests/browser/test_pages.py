"""All pages of the navigation, with and without data."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.browsing import look_at
from tests.browser.conftest import OpenAs
from tests.server import Server

pytestmark = pytest.mark.browser

PACK = {"commands": [{"name": "Do", "events": ["Done"]}], "events": [{"name": "Go"}], "links": []}
STEP = {"id": "first", "event": {"packName": "Looked", "name": "Go"}, "command": {"packName": "Looked", "name": "Do"}}


@pytest.fixture(scope="module")
def something(console: Server) -> None:
    """Create a pack, a flow, a waiting execution, and a datastore item."""
    with httpx.Client(base_url=console.url, trust_env=False, timeout=60) as api:
        for path, body in (
            ("/v1/packs", {"name": "Looked", **PACK}),
            ("/v1/flows", {"name": "looked-at", "steps": [STEP]}),
            ("/v1/packs/Looked/events", {"event": "Go", "payload": {"text": "<script>alert(1)</script>"}}),
        ):
            assert api.post(path, json=body).is_success
        assert api.put(
            "/v1/datastore/looked-at", files={"value": ("v.json", b'{"a": 1}', "application/json")}
        ).is_success


@pytest.mark.usefixtures("something")
@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_every_page_of_the_navigation_looks_right(open_as: OpenAs, role: str) -> None:
    page = open_as(role)
    places = [link.get_attribute("href") or "" for link in page.locator("nav.main-nav a").all()]
    assert len(places) > 2
    for path in places:
        page.goto(path)
        expect(page.locator("nav.main-nav [aria-current=page]")).to_have_attribute("href", path)
        look_at(page, f"place-{role}-{path.strip('/').replace('/', '-')}")


def test_a_file_that_is_too_large_is_reported_before_it_is_sent(open_as: OpenAs, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(17 << 20))
    (tmp_path / "small.bin").write_bytes(b"1")
    page = open_as("editor")
    page.goto("/admin/datastore/item/add/")
    page.get_by_label("Key").fill("kept")
    page.get_by_label("Or a file").set_input_files(tmp_path / "large.bin")
    error = page.get_by_text("The file is 17 MiB; values can be at most 16 MiB.")
    expect(error).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(error).to_be_visible()
    expect(page.get_by_label("Key")).to_have_value("kept")
    look_at(page, "datastore-large-file")
    page.get_by_label("Or a file").set_input_files(tmp_path / "small.bin")
    expect(error).to_have_count(0)


@pytest.mark.usefixtures("something")
def test_the_details_of_each_list_look_right(open_as: OpenAs) -> None:
    page = open_as("admin")
    for path in ("flows/execution", "flows/event", "datastore/item"):
        page.goto(f"/admin/{path}/")
        first = page.locator("#content table tbody a").first
        if first.count() == 0:
            continue
        page.goto(first.get_attribute("href") or "")
        look_at(page, f"one-{path.replace('/', '-')}")
