"""The README's screenshots, taken from a real server with real packs: `make pictures` writes them into `docs/`."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests import processes
from tests.browser.browsing import sign_in
from tests.browser.conftest import chromium_path
from tests.browser.people import PASSWORD, make_people
from tests.docs.pages import wait_for
from tests.docs.running import running
from tests.server import ROOT, Server, running_server

FOLDER = ROOT / "docs"
FLOW = ROOT / "examples" / "quickstart.yaml"
MAX_BYTES = 150 * 1024
SIZE: ViewportSize = {"width": 1280, "height": 760}


def run_the_quickstart(server: Server, folder: Path) -> str:
    """Run the quickstart's flow once and post one message that it ignores; return the execution's id."""
    environment = {**server.environment, "FLYTE_API": server.url, "FLYTE_POLL_INTERVAL": "0.1"}
    shell, console = ([sys.executable, "-m", f"flyte_client.packs.{name}"] for name in ("shell", "console"))
    with (
        running(shell, ROOT, environment),
        processes.start(console, cwd=ROOT, env=environment, stdin=subprocess.PIPE, text=True) as chat,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        assert chat.stdin
        wait_for(lambda: len(client.get("/v1/packs").json()["packs"]) >= len(("Shell", "Console")))
        headers = {"content-type": "application/x-yaml"}
        client.post("/v1/flows", content=FLOW.read_bytes(), headers=headers).raise_for_status()
        for message in ("flyte date", "flyte time"):
            chat.stdin.write(f"{message}\n")
            chat.stdin.flush()
        wait_for(lambda: "value: SUCCESS" in client.get("/v1/audit/flows", headers={"accept": "application/yaml"}).text)
        wait_for(lambda: "flyte time" in client.get("/v1/audit/events").text)
        wait_for(lambda: client.get("/v1/audit/flows?state=running").json()["flows"] == [])
        chat.terminate()
        (execution,) = client.get("/v1/audit/flows").json()["flows"]
    return str(execution["correlationId"])


def take(page: Page, name: str) -> None:
    """Write a screenshot of the open page. Raise AssertionError if it is too large for the README."""
    page.wait_for_load_state("networkidle")
    picture = FOLDER / name
    page.screenshot(path=picture, animations="disabled")
    assert picture.stat().st_size < MAX_BYTES, f"{picture} has {picture.stat().st_size:,} bytes"


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        with running_server(folder) as server, sync_playwright() as playwright:
            make_people(server)
            execution = run_the_quickstart(server, folder)
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
            page = browser.new_page(base_url=server.url, viewport=SIZE, color_scheme="light")
            sign_in(page, "some-admin", PASSWORD)
            page.goto(f"/admin/flows/execution/{execution}/")
            take(page, "run.png")
            page.goto("/admin/flows/flow/")
            page.get_by_role("link", name="date").first.click()
            page.get_by_role("link", name="Why didn't it run?").click()
            page.set_viewport_size({"width": SIZE["width"], "height": 580})
            take(page, "why-not.png")
            browser.close()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
