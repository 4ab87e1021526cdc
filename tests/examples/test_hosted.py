"""The example with hosted packs: one process runs all of them."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.hosted.web_service import WebService, web_service
from tests.jobs.processes import running
from tests.server import ROOT, running_server

from .world import MEDIA_TYPES, SECONDS, ExampleClient, ScriptedPack, link, states

pytestmark = pytest.mark.acceptance

FOLDER = ROOT / "examples" / "hosted"
PATIENCE = 60.0


class Services:
    """A stub of the CI service and the hook."""

    def __init__(self, web: WebService) -> None:
        self.web = web
        self.run = {"id": 7, "state": "succeeded", "artifact": "app-1.2.0"}
        web.respond = self._answer

    def _answer(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        document = {"deployed": True} if path == "/deploy" else {"run": self.run if method == "GET" else {"id": 7}}
        return 200, {"content-type": "application/json"}, json.dumps(document).encode()

    def deployed(self) -> list[Any]:
        return [json.loads(request.body) for request in self.web.requests if request.path == "/deploy"]


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ExampleClient, Services]]:
    folder = tmp_path_factory.mktemp("hosted")
    with ExitStack() as stack:
        web = stack.enter_context(web_service())
        text = (FOLDER / "webapi.conf").read_text().replace("https://ci.example.org", web.url)
        (folder / "webapi.conf").write_text(text.replace("resyncInterval=10s", "resyncInterval=200ms"))
        variables = {
            "FLYTE_WEBAPI_PLUGINS": "WaitUntil,Approval,HttpRequest,HttpJob",
            "FLYTE_WEBAPI_ALLOWED_HOSTS": "127.0.0.0/8",
            "FLYTE_WEBAPI_CONFIG": str(folder / "webapi.conf"),
        }
        server = stack.enter_context(running_server(folder, variables))
        stack.enter_context(running(folder, server.environment, "jobs"))
        http = stack.enter_context(httpx.Client(trust_env=False, timeout=SECONDS))
        world = ExampleClient(http, server.url)
        hooks = {"value": ("hooks.json", json.dumps({"deploy": f"{web.url}/deploy"}), "application/json")}
        http.put(f"{server.url}/v1/datastore/hooks", files=hooks).raise_for_status()
        wait_for(lambda: len(world.get(f"{server.url}/v1/packs")["packs"]) == 4)
        yield world, Services(web)


def wait_for(read: Any) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (result := read()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert result
    return result


def request_promotion(world: ExampleClient, chat: ScriptedPack) -> str:
    """Request a promotion; return the address of its approval."""
    chat.send_event("ReceivedMessage", {"message": "promote 1.2.0"})
    approvals = link(world.links, "self") + "/approvals"
    (question,) = wait_for(lambda: world.get(approvals)["approvals"])
    assert (question["question"], question["details"]) == ("Deploy 1.2.0 to production?", "built as app-1.2.0")
    return link(question["links"], "self")


def chat_of(world: ExampleClient) -> ScriptedPack:
    chat = world.pack("Chat", {"SendMessage": ["MessageSent"]})
    path = FOLDER / "promote.yaml"
    flow = world.http.post(
        link(world.links, "/listFlows"), content=path.read_bytes(), headers={"content-type": MEDIA_TYPES[path.suffix]}
    )
    assert flow.status_code == 201
    # No warning is about a hosted pack; the chat of this test declares no events.
    warning = flow.headers.get("x-flyte-warning", "")
    assert [name for name in ("HttpJob", "Approval", "WaitUntil", "HttpRequest") if name in warning] == []
    return chat


def test_an_approved_promotion_is_deployed(hosted: tuple[ExampleClient, Services]) -> None:
    world, services = hosted
    chat = chat_of(world)
    decision = request_promotion(world, chat)
    answer = world.http.post(decision, json={"approved": True, "by": "Ana"})
    assert (answer.status_code, answer.json()["by"]) == (200, "anonymous (Ana)")
    announcement = wait_for(chat.poll)
    assert announcement.input == "1.2.0 runs, anonymous (Ana) approved"
    announcement.send_result("MessageSent")
    assert services.deployed() == [{"version": "1.2.0", "approvedBy": "anonymous (Ana)"}]
    assert states(world.executions("promote")[0]) == dict.fromkeys(
        ("build", "ask", "grace_period", "deploy", "announce"), "SUCCESS"
    )


def test_a_rejected_promotion_is_not_deployed(hosted: tuple[ExampleClient, Services]) -> None:
    world, services = hosted
    before = services.deployed()
    chat = chat_of(world)
    decision = request_promotion(world, chat)
    world.http.post(decision, json={"approved": False, "comment": "on a Friday?"}).raise_for_status()
    assert wait_for(chat.poll).input == "1.2.0 stays: on a Friday?"
    assert services.deployed() == before


def test_a_failed_build_needs_no_approval(hosted: tuple[ExampleClient, Services]) -> None:
    world, services = hosted
    services.run = {"id": 7, "state": "failed", "log": "no space left"}
    chat = chat_of(world)
    chat.send_event("ReceivedMessage", {"message": "promote 1.3.0"})
    assert wait_for(chat.poll).input == "1.3.0 is broken: no space left"


def test_the_page_names_the_example() -> None:
    assert "hosted/promote.yaml" in (ROOT / "examples" / "README.md").read_text()
    assert Path(FOLDER / "webapi.conf").exists()
