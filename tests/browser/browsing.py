"""A real browser that opens the console and reports every error."""

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

# Playwright runs this in every document before its scripts; violations of the policy become errors in the console.
LOG_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""
# Chromium logs this for every error response; `Faults` checks the responses themselves.
_RESOURCE_FAILED = "Failed to load resource: the server responded with a status of"
# Without `preload`, with which axe would insert styles into the page, which the policy forbids.
_RUN_AXE = "axe.run(document, {resultTypes: ['violations'], preload: false}).then((result) => result.violations)"


@dataclass
class Faults:
    """Errors in a browser. `origin` is the URL of the server; `expected` are the error statuses that a test causes."""

    origin: str
    messages: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)

    def watch(self, context: BrowserContext) -> None:
        """Listen to all pages of the context, including pop-ups."""
        context.on("console", self._console)
        context.on("weberror", lambda error: self.messages.append(f"script failed: {error.error}"))
        context.on("request", self._request)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(_RESOURCE_FAILED):
            self.messages.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.messages.append(f"request to another host: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.messages.append(f"{response.status}: {response.url}")


@contextmanager
def strict_context(browser: Browser, origin: str, **options: Any) -> Iterator[tuple[BrowserContext, Faults]]:
    """Open a new browser context for the server at `origin`; fail at the end of the block if there were errors."""
    viewport = {"width": WIDTHS[0], "height": HEIGHT}
    context = browser.new_context(base_url=origin, viewport=viewport, **options)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(LOG_VIOLATIONS)
    faults = Faults(origin)
    faults.watch(context)
    try:
        yield context, faults
        for page in context.pages:
            page.wait_for_load_state()
    finally:
        context.close()
    assert not faults.messages, "\n".join(faults.messages)


def sign_in(page: Page, name: str, password: str) -> None:
    """Fill in the sign-in form of the open page, or of the sign-in page if no page is open."""
    if page.url == "about:blank":
        page.goto("/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_load_state()


def look_at(page: Page, name: str) -> None:
    """Check the page in light and dark at both widths, and save screenshots in `SCREENSHOTS`.

    The page must be accessible (axe), and not wider than its window.
    """
    SCREENSHOTS.mkdir(exist_ok=True)
    errors = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            picture = SCREENSHOTS / f"{name}-{scheme}-{width}.png"
            page.screenshot(path=picture, full_page=True, animations="disabled")
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                errors.append(f"{width}: the page is wider than its window")
        errors += [f"{scheme}: {barrier}" for barrier in barriers(page)]
    page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})
    assert not errors, "\n".join([f"{name} ({page.url})", *errors])


def barriers(page: Page) -> list[str]:
    """Return the serious and critical violations that axe finds, each with rule, target and summary."""
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(AXE_SCRIPT)
    violations = page.evaluate(_RUN_AXE)
    return [
        f"{violation['id']}: {node['target']} {' '.join(node['failureSummary'].split())}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
