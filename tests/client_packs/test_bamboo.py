"""The Bamboo pack with a local stub of Bamboo."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.stub_server import StubResponse, StubServer
from tests.examples.world import ExampleClient
from tests.server import Server

from .conftest import StartPack
from .event_watcher import eventually
from .http_stub import Counterpart, RecordedRequest, counterpart
from .pack_commands import RunCommand, assert_refused, variables

pytestmark = pytest.mark.integration

API = "/rest/api/latest"


class Bamboo:
    """The builds of one plan, newest first."""

    def __init__(self) -> None:
        self.builds: list[dict[str, Any]] = []
        self.web: Counterpart

    def end(self, number: int, state: str = "Successful", completed: str = "2026-11-21T10:00:00Z") -> None:
        self.builds = [build for build in self.builds if build["buildNumber"] != number]
        life = "Finished" if state != "Unknown" else "InProgress"
        build = {"buildResultKey": f"WEB-MAIN-{number}", "buildNumber": number, "state": state, "lifeCycleState": life}
        self.builds.insert(0, build | {"buildCompletedTime": completed, "buildDurationInSeconds": 95})

    def routes(self, request: RecordedRequest) -> StubResponse:
        if request.headers.get("Authorization") != "Bearer t0ken" or request.headers["X-Atlassian-Token"] != "no-check":
            return StubResponse(401, {"message": "You must be authenticated", "status-code": 401})
        responses = {
            f"GET {API}/result/WEB-MAIN": StubResponse(200, {"results": {"result": self.builds}}),
            f"POST {API}/queue/WEB-MAIN": StubResponse(200, {"buildResultKey": "WEB-MAIN-13", "buildNumber": 13}),
            f"POST {API}/result/WEB-MAIN-12/label": StubResponse(204),
            f"DELETE {API}/result/WEB-MAIN-12/label/a%2Fb": StubResponse(204),
            f"POST {API}/result/WEB-MAIN-12/comment": StubResponse(204),
        }
        return responses.get(
            f"{request.method} {request.path}", StubResponse(404, {"message": "Plan not found.", "status-code": 404})
        )


@pytest.fixture
def bamboo() -> Iterator[Bamboo]:
    service = Bamboo()
    with counterpart(service.routes) as web:
        service.web = web
        yield service


def wait_for_polls(bamboo: Bamboo) -> None:
    """Wait for two polls of the plan: then the result of the first one is stored."""
    bamboo.web.wait_for(f"{API}/result/WEB-MAIN", len(bamboo.web.of(f"{API}/result/WEB-MAIN")) + 2)


@pytest.mark.acceptance
def test_a_build_that_succeeds_gets_its_label(
    world: ExampleClient, packs_server: Server, start_pack: StartPack, bamboo: Bamboo, tmp_path: Path
) -> None:
    world.load("built.yaml")
    program = start_pack("bamboo", packs_server.url, **variables("bamboo", bamboo.web, tmp_path, PLANS="WEB-MAIN"))
    wait_for_polls(bamboo)
    bamboo.end(12)
    eventually(lambda: world.executions("built", state="succeeded"))
    (request,) = bamboo.web.of(f"{API}/result/WEB-MAIN-12/label")
    assert request.body == {"name": "good"}
    program.signal()
    assert program.exit_code() == 0
    assert "t0ken" not in "".join(program.log)


def test_each_finished_build_is_sent_once_without_history(
    stub: StubServer, start_pack: StartPack, bamboo: Bamboo, tmp_path: Path
) -> None:
    bamboo.end(10)
    settings = variables("bamboo", bamboo.web, tmp_path, PLANS="WEB-MAIN")
    program = start_pack("bamboo", stub.url, **settings)
    wait_for_polls(bamboo)
    bamboo.end(11, "Failed")
    bamboo.end(12)
    bamboo.end(13, "Unknown")
    first, second = stub.wait_for("event", 2)
    assert (first.body["event"], second.body["event"]) == ("BuildFailed", "BuildSuccessful")
    assert first.body["payload"] == {
        "build": "WEB-MAIN-11",
        "plan": "WEB-MAIN",
        "number": 11,
        "state": "Failed",
        "reason": "",
        "completed": "2026-11-21T10:00:00Z",
        "seconds": 95,
        "url": f"{bamboo.web.url}/browse/WEB-MAIN-11",
    }
    wait_for_polls(bamboo)
    program.kill()
    bamboo.end(14)
    start_pack("bamboo", stub.url, **settings)
    stub.wait_for("event", 3)
    bamboo.end(11, "Successful", "2026-11-21T11:00:00Z")
    stub.wait_for("event", 4)
    wait_for_polls(bamboo)
    builds = [call.body["payload"]["build"] for call in stub.of("event")]
    assert builds == ["WEB-MAIN-11", "WEB-MAIN-12", "WEB-MAIN-14", "WEB-MAIN-11"]


def test_an_event_that_was_pending_in_a_crash_is_sent_again_with_its_key(
    stub: StubServer, start_pack: StartPack, bamboo: Bamboo, tmp_path: Path
) -> None:
    settings = variables("bamboo", bamboo.web, tmp_path, PLANS="WEB-MAIN")
    program = start_pack("bamboo", stub.url, **settings)
    wait_for_polls(bamboo)
    stub.script("event", StubResponse(503, headers={"Retry-After": "3600"}))
    bamboo.end(12)
    program.wait_for_log("server_away")
    program.kill()
    start_pack("bamboo", stub.url, **settings)
    first, second = stub.wait_for("event", 2)
    assert first.body == second.body
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


def test_an_expired_token_of_flytes_loses_no_build(
    stub: StubServer, start_pack: StartPack, bamboo: Bamboo, tmp_path: Path
) -> None:
    start_pack("bamboo", stub.url, **variables("bamboo", bamboo.web, tmp_path, PLANS="WEB-MAIN"))
    wait_for_polls(bamboo)
    stub.script("event", StubResponse(401))
    bamboo.end(12)
    first, second = stub.wait_for("event", 2)
    assert first.body == second.body


def test_an_unreadable_plan_is_reported_once_and_does_not_block_others(
    stub: StubServer, start_pack: StartPack, bamboo: Bamboo, tmp_path: Path
) -> None:
    start_pack("bamboo", stub.url, **variables("bamboo", bamboo.web, tmp_path, PLANS="NO-SUCH,WEB-MAIN"))
    (call,) = stub.wait_for("event", event="BambooUnreachable")
    assert call.body["payload"] == {"list": "NO-SUCH", "error": "status 404: Plan not found."}
    wait_for_polls(bamboo)
    bamboo.end(12)
    stub.wait_for("event", event="BuildSuccessful")
    bamboo.web.script(f"{API}/result/NO-SUCH", StubResponse(200, {"results": {"result": []}}))
    stub.wait_for("event", event="BambooReachable")


@pytest.mark.parametrize(
    ("command", "action_input", "event", "more"),
    [
        ("TriggerPlan", {"plan": "WEB-MAIN"}, "PlanTriggered", {"build": "WEB-MAIN-13", "number": 13}),
        ("AddLabel", {"build": "WEB-MAIN-12", "label": "good"}, "LabelAdded", {}),
        ("AddComment", {"build": "WEB-MAIN-12", "comment": "Yes"}, "CommentAdded", {}),
    ],
)
def test_a_success_is_reported(
    run_command: RunCommand,
    bamboo: Bamboo,
    command: str,
    action_input: Any,
    event: str,
    more: Any,
) -> None:
    assert run_command("bamboo", bamboo.web, command, action_input, event) == action_input | more


def test_a_plan_is_triggered_with_its_variables(run_command: RunCommand, bamboo: Bamboo) -> None:
    action_input = {"plan": "WEB-MAIN", "vars": {"target": "a&b=c"}}
    run_command("bamboo", bamboo.web, "TriggerPlan", action_input, "PlanTriggered")
    (request,) = bamboo.web.of(f"{API}/queue/WEB-MAIN")
    assert request.query == {"bamboo.variable.target": "a&b=c"}


def test_a_slash_in_a_label_is_encoded(run_command: RunCommand, bamboo: Bamboo) -> None:
    action_input = {"build": "WEB-MAIN-12", "label": "a/b"}
    assert run_command("bamboo", bamboo.web, "DeleteLabel", action_input, "LabelDeleted") == action_input


@pytest.mark.parametrize(
    ("command", "action_input", "event", "words"),
    [
        ("TriggerPlan", {"plan": "NO-SUCH"}, "FailedToTriggerPlan", "Bamboo: status 404: Plan not found."),
        ("TriggerPlan", {"plan": "../x"}, "FailedToTriggerPlan", "'../x' is not a plan"),
        ("TriggerPlan", {"plan": "WEB-MAIN", "vars": {"a": 1}}, "FailedToTriggerPlan", "vars.a: must be a string"),
        ("AddLabel", {"build": "WEB-MAIN-12", "label": ""}, "FailedToAddLabel", "label: must be a non-empty string"),
        (
            "AddLabel",
            {"build": "WEB-MAIN-12", "label": "a b"},
            "FailedToAddLabel",
            "label: must have at most 255 characters and no spaces",
        ),
        ("DeleteLabel", {"build": "WEB-MAIN-12", "label": ".."}, "FailedToDeleteLabel", "invalid name '..'"),
        ("AddComment", "text", "FailedToAddComment", "comment: must be a non-empty string"),
    ],
)
def test_a_failure_is_reported(
    run_command: RunCommand,
    bamboo: Bamboo,
    command: str,
    action_input: Any,
    event: str,
    words: str,
) -> None:
    assert_refused(run_command("bamboo", bamboo.web, command, action_input, event), words)


def test_invalid_plans_are_reported_in_one_line(
    stub: StubServer, start_pack: StartPack, bamboo: Bamboo, tmp_path: Path
) -> None:
    program = start_pack("bamboo", stub.url, **variables("bamboo", bamboo.web, tmp_path, PLANS="WEB-MAIN, web"))
    assert program.exit_code() == 2
    (line,) = program.log
    assert line.startswith("Bamboo: FLYTE_BAMBOO_PLANS: must be up to 200 plan keys")
