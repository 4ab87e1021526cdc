"""A real browser that looks at the console as strictly as it can: nothing may go wrong unseen."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, expect

from tests.server import ROOT

SCREENSHOTS = ROOT / "screenshots"
PATIENCE_MS = 60_000.0
WIDTHS = (1280, 1920)
HEIGHT = 900
expect.set_options(timeout=PATIENCE_MS)

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

# Playwright puts this into every document before its own scripts; what the policy forbids is told as an error.
TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""
# Chromium says this of every answer that is an error; `Faults` judges the answers themselves.
_RESOURCE_FAILED = "Failed to load resource: the server responded with a status of"
# Without `preload`, by which axe would put styles of its own into the page, against the policy.
_RUN_AXE = "axe.run(document, {resultTypes: ['violations'], preload: false}).then((told) => told.violations)"


@dataclass
class Faults:
    """What went wrong in a browser. `origin` is the server's; `expected` are the statuses that a test asks for."""

    origin: str
    found: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)

    def watch(self, context: BrowserContext) -> None:
        """Hears of everything in the context's pages, pop-ups among them."""
        context.on("console", self._console)
        context.on("weberror", lambda error: self.found.append(f"script failed: {error.error}"))
        context.on("request", self._request)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(_RESOURCE_FAILED):
            self.found.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.found.append(f"request to another host: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.found.append(f"{response.status}: {response.url}")


@contextmanager
def strict_context(browser: Browser, origin: str, **options: Any) -> Iterator[tuple[BrowserContext, Faults]]:
    """A browser window of its own, `origin` the server's URL; at its end nothing may have gone wrong in it."""
    viewport = {"width": WIDTHS[0], "height": HEIGHT}
    context = browser.new_context(base_url=origin, viewport=viewport, **options)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(TELL_VIOLATIONS)
    faults = Faults(origin)
    faults.watch(context)
    try:
        yield context, faults
        for page in context.pages:
            page.wait_for_load_state()
    finally:
        context.close()
    assert not faults.found, "\n".join(faults.found)


def sign_in(page: Page, name: str, password: str) -> None:
    """Fill in the sign-in form of the page that is open, or of the front door where none is."""
    if page.url == "about:blank":
        page.goto("/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_load_state()


def look_at(page: Page, name: str) -> None:
    """Judge the page in light and dark at both widths, and keep a picture of each in `SCREENSHOTS`.

    Nobody may be kept out by how it looks (axe), and no page is wider than its window.
    """
    SCREENSHOTS.mkdir(exist_ok=True)
    found = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            picture = SCREENSHOTS / f"{name}-{scheme}-{width}.png"
            page.screenshot(path=picture, full_page=True, animations="disabled")
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                found.append(f"{width}: the page is wider than its window")
        found += [f"{scheme}: {barrier}" for barrier in barriers(page)]
    page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})
    assert not found, "\n".join([f"{name} ({page.url})", *found])


def barriers(page: Page) -> list[str]:
    """What axe finds that is serious or worse: the rule, where, and why."""
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(AXE_SCRIPT)
    violations = page.evaluate(_RUN_AXE)
    return [
        f"{one['id']}: {node['target']} {' '.join(node['failureSummary'].split())}"
        for one in violations
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
