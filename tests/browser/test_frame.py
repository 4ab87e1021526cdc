"""The frame of every page: keyboard, themes, errors, and the page of the API."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from flyte_site.core.timestamps import format_rfc3339, humanize_age, parse_rfc3339
from tests.browser.browsing import Faults, look_at
from tests.browser.conftest import OpenAs

pytestmark = pytest.mark.browser


def test_the_api_page_works_under_the_same_policy(open_as: OpenAs) -> None:
    page = open_as("viewer")
    page.goto("/swagger")
    expect(page.get_by_text("/v1/flows", exact=True).first).to_be_visible()
    page.get_by_text("/v1/flows", exact=True).first.click()
    expect(page.get_by_role("button", name="Try it out").first).to_be_visible()


def test_an_unknown_page_says_so_and_links_back(open_as: OpenAs, faults: dict[Page, Faults]) -> None:
    page = open_as("viewer")
    faults[page].expected.add(404)
    page.goto("/admin/nothing/")
    look_at(page, "not-found")
    page.get_by_role("link", name="Back").click()
    expect(page).to_have_title("Home · Flyte")


def test_the_toggle_changes_the_theme_and_it_stays(open_as: OpenAs) -> None:
    page = open_as("viewer")
    page.emulate_media(color_scheme="light")
    toggle = page.locator(".theme-toggle").first
    for theme in ("light", "dark", "auto"):
        for _ in range(3):
            if page.evaluate("document.documentElement.dataset.theme") == theme:
                break
            toggle.click()
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == theme


def test_the_keyboard_reaches_the_content_first_and_the_navigation_next(open_as: OpenAs) -> None:
    page = open_as("viewer")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to main content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content-start"


def test_scripts_cannot_read_the_session_cookie(open_as: OpenAs) -> None:
    page = open_as("viewer")
    assert "session" not in page.evaluate("document.cookie")
    session = next(cookie for cookie in page.context.cookies() if "session" in cookie.get("name", ""))
    assert (session.get("httpOnly"), session.get("sameSite")) == (True, "Lax")


LIVE_PART = """
Object.defineProperty(document, "hidden", {get: () => window.away, configurable: true});
window.away = true;
window.asked = 0;
document.addEventListener("htmx:beforeRequest", () => { document.body.dataset.asked = (window.asked += 1); });
const part = document.createElement("div");
part.id = "part";
for (const [name, value] of [["get", "/admin/"], ["select", "#footer"], ["trigger", "every 100ms"]])
  part.setAttribute(`hx-${name}`, value);
document.getElementById("content").append(part);
htmx.process(part);
"""


def test_a_live_part_pauses_while_the_page_is_hidden(open_as: OpenAs) -> None:
    page = open_as("viewer")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.evaluate(LIVE_PART)
    expect(page.locator("body")).to_have_attribute("data-asked", re.compile(r"[3-9]|\d\d+"))
    assert not [url for url in requests if url.endswith("/admin/")]
    with page.expect_response("**/admin/"):
        page.evaluate("window.away = false")
    expect(page.locator("#part")).to_contain_text("Flyte")


LENGTHS = (
    *(timedelta(milliseconds=ms) for ms in (-999, 0, 1000, 1049, 1051, 9949, 9951, 10_499, 59_499, 59_501, -20_000)),
    *(timedelta(seconds=s) for s in (60, 61, 119, 3599, 3600, 3605, 3660, 86_399, 86_400, 86_430, 90_000, -90_061)),
    timedelta(days=400, hours=5, minutes=3),
)
ADD_TIMES = """(all) => all.forEach((one) => {
  const time = document.createElement("time");
  time.dateTime = one;
  document.getElementById("content").append(time);
})"""


def test_times_on_an_open_page_are_updated_in_the_servers_format(open_as: OpenAs) -> None:
    page = open_as("viewer")
    page.clock.set_fixed_time(0)  # the clock of a browser can be wrong by any amount
    page.goto("/admin/")
    made = parse_rfc3339(str(page.locator("meta[name=server-time]").get_attribute("content")))
    page.clock.set_fixed_time(3)
    now = made + timedelta(seconds=3)
    page.evaluate(ADD_TIMES, [format_rfc3339(now - length) for length in LENGTHS])
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    ages = page.locator("#content > time").all_inner_texts()
    assert ages == [humanize_age(length) for length in LENGTHS]


def test_a_live_part_shows_the_sign_in_page_after_the_session_ended(open_as: OpenAs) -> None:
    page = open_as("viewer")
    page.context.clear_cookies()
    page.evaluate(LIVE_PART)
    page.evaluate("window.away = false")
    expect(page.get_by_label("Password")).to_be_visible()


def test_long_words_make_no_page_wider_than_its_window(open_as: OpenAs) -> None:
    page = open_as("admin")
    page.goto("/admin/flows/flow/?q=" + "a" * 3000)
    look_at(page, "flows-long-search")
    page.goto("/admin/auth/user/add/")
    page.get_by_label("Username").fill("x" * 150)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#one-time-password")).to_be_visible()
    look_at(page, "one-time-password-long-name")
