"""The Bitbucket pack with a local stub of Bitbucket."""

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

SITE = "/rest/api/1.0/projects/WEB/repos/site"
REQUESTS = f"{SITE}/pull-requests"
WHERE = {"project": "WEB", "name": "site"}
REFUSAL = {"errors": [{"message": "It has conflicts."}, {"message": "Ann has vetoed it."}]}


def links(address: str) -> dict[str, Any]:
    return {"links": {"self": [{"href": f"https://bitbucket.example.com/{address}"}]}}


class Bitbucket:
    """The pull requests of one repository, newest first."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.web: Counterpart

    def put(self, number: int, state: str = "OPEN", **more: Any) -> None:
        request = {
            "id": number,
            "state": state,
            "version": 4,
            "title": "Faster",
            "author": {"user": {"name": "ann", "emailAddress": "ann@example.com", "displayName": "Ann Lee"}},
            "fromRef": {"id": "refs/heads/faster", "displayId": "faster"},
            "toRef": {"id": "refs/heads/main", "displayId": "main"},
        }
        others = [pull_request for pull_request in self.requests if pull_request["id"] != number]
        made = request | links(f"pr/{number}") | more
        self.requests = sorted([*others, made], key=lambda pull_request: -int(str(pull_request["id"])))

    def routes(self, request: RecordedRequest) -> StubResponse:
        if request.headers.get("Authorization") != "Bearer t0ken":
            return StubResponse(401, {"errors": [{"message": "Who are you?"}]})
        responses = {
            f"GET {REQUESTS}": StubResponse(200, {"values": self.requests, "isLastPage": True}),
            f"POST {REQUESTS}": StubResponse(201, {"id": 8} | links("pr/8")),
            f"POST {REQUESTS}/7/comments": StubResponse(201, {"id": 1}),
            f"GET {REQUESTS}/7": StubResponse(200, {"id": 7, "version": 4}),
            f"POST {REQUESTS}/7/merge": StubResponse(200, {"state": "MERGED"} | links("pr/7")),
            f"GET {REQUESTS}/9": StubResponse(200, {"id": 9, "version": 0}),
            f"POST {REQUESTS}/9/merge": StubResponse(409, REFUSAL),
            "POST /rest/api/1.0/projects/WEB/repos": StubResponse(201, links("projects/WEB/repos/site/browse")),
        }
        return responses.get(
            f"{request.method} {request.path}", StubResponse(404, {"errors": [{"message": "Not there."}]})
        )


@pytest.fixture
def bitbucket() -> Iterator[Bitbucket]:
    service = Bitbucket()
    with counterpart(service.routes) as web:
        service.web = web
        yield service


def wait_for_polls(bitbucket: Bitbucket) -> None:
    """Wait for two polls of the repository: then the result of the first one is stored."""
    bitbucket.web.wait_for(REQUESTS, len(bitbucket.web.of(REQUESTS)) + 2)


@pytest.mark.acceptance
def test_a_merge_starts_a_build(
    world: ExampleClient, packs_server: Server, start_pack: StartPack, bitbucket: Bitbucket, tmp_path: Path
) -> None:
    bamboo = world.pack("Bamboo", {"TriggerPlan": ["PlanTriggered"]})
    world.load("merged.yaml")
    bitbucket.put(7)
    program = start_pack(
        "bitbucket", packs_server.url, **variables("bitbucket", bitbucket.web, tmp_path, REPOSITORIES="WEB/site")
    )
    wait_for_polls(bitbucket)
    bitbucket.put(7, "MERGED", closedDate=1)
    taken = eventually(bamboo.poll)
    assert taken is not None
    assert taken.input == {"plan": "WEB-MAIN"}
    taken.send_result("PlanTriggered")
    program.signal()
    assert program.exit_code() == 0
    assert "t0ken" not in "".join(program.log)


def test_each_state_of_a_pull_request_is_sent_once(
    stub: StubServer, start_pack: StartPack, bitbucket: Bitbucket, tmp_path: Path
) -> None:
    bitbucket.put(6)
    settings = variables("bitbucket", bitbucket.web, tmp_path, REPOSITORIES="WEB/site")
    program = start_pack("bitbucket", stub.url, **settings)
    wait_for_polls(bitbucket)
    bitbucket.put(5, title="half \ud800 a pair")
    stub.wait_for("event", event="PullRequestOpened")
    bitbucket.put(7)
    damaged, opened = stub.wait_for("event", 2, event="PullRequestOpened")
    assert damaged.body["payload"]["title"] == "half \ufffd a pair"
    assert opened.body["payload"] == WHERE | {
        "id": 7,
        "title": "Faster",
        "description": "",
        "author": {"name": "ann", "email": "ann@example.com", "displayName": "Ann Lee"},
        "from": "faster",
        "to": "main",
        "url": "https://bitbucket.example.com/pr/7",
    }
    wait_for_polls(bitbucket)
    program.kill()
    bitbucket.put(6, "DECLINED", closedDate=1)
    start_pack("bitbucket", stub.url, **settings)
    stub.wait_for("event", event="PullRequestDeclined")
    bitbucket.put(6)
    wait_for_polls(bitbucket)
    bitbucket.put(6, "DECLINED", closedDate=2)
    stub.wait_for("event", 2, event="PullRequestDeclined")
    assert [call.body["payload"]["id"] for call in stub.of("event")] == [5, 7, 6, 6]
    assert bitbucket.web.of(REQUESTS)[0].query == {"state": "ALL", "order": "NEWEST", "limit": "100"}


def test_an_unreadable_repository_is_reported(
    stub: StubServer, start_pack: StartPack, bitbucket: Bitbucket, tmp_path: Path
) -> None:
    start_pack("bitbucket", stub.url, **variables("bitbucket", bitbucket.web, tmp_path, REPOSITORIES="WEB/none"))
    (call,) = stub.wait_for("event", event="BitbucketUnreachable")
    assert call.body["payload"] == {"list": "WEB/none", "error": "status 404: Not there."}


@pytest.mark.parametrize(
    ("command", "action_input", "event", "more", "path", "body"),
    [
        (
            "createRepo",
            WHERE,
            "createRepo",
            {"url": "https://bitbucket.example.com/projects/WEB/repos/site/browse"},
            "/rest/api/1.0/projects/WEB/repos",
            {"name": "site", "scmId": "git"},
        ),
        (
            "CreatePullRequest",
            WHERE | {"title": "Faster", "from": "faster", "to": "refs/heads/main"},
            "CreatePullRequestDone",
            {"id": 8, "url": "https://bitbucket.example.com/pr/8"},
            REQUESTS,
            {
                "title": "Faster",
                "description": "",
                "fromRef": {"id": "refs/heads/faster", "repository": {"slug": "site", "project": {"key": "WEB"}}},
                "toRef": {"id": "refs/heads/main", "repository": {"slug": "site", "project": {"key": "WEB"}}},
            },
        ),
        (
            "CommentPullRequest",
            WHERE | {"id": "7", "comment": "Yes"},
            "CommentPullRequestDone",
            {},
            f"{REQUESTS}/7/comments",
            {"text": "Yes"},
        ),
        (
            "MergePullRequest",
            WHERE | {"id": 7},
            "MergePullRequestDone",
            {"state": "MERGED", "url": "https://bitbucket.example.com/pr/7"},
            f"{REQUESTS}/7/merge",
            None,
        ),
    ],
)
def test_a_success_is_reported(
    run_command: RunCommand,
    bitbucket: Bitbucket,
    command: str,
    action_input: Any,
    event: str,
    more: Any,
    path: str,
    body: Any,
) -> None:
    assert run_command("bitbucket", bitbucket.web, command, action_input, event) == action_input | more
    (request,) = bitbucket.web.of(path, "POST")
    assert request.body == body
    if command == "MergePullRequest":
        assert request.query == {"version": "4"}


@pytest.mark.parametrize(
    ("command", "action_input", "event", "words"),
    [
        ("createRepo", {"project": "../x", "name": "site"}, "createRepoFailure", "invalid project key '../x'"),
        ("createRepo", "text", "createRepoFailure", "project: must be a non-empty string"),
        ("CreatePullRequest", WHERE | {"title": "x"}, "CreatePullRequestFailed", "from: must be a non-empty string"),
        (
            "CommentPullRequest",
            WHERE | {"id": "x", "comment": "y"},
            "CommentPullRequestFailed",
            "id: must be a whole number from 1",
        ),
        (
            "MergePullRequest",
            {"project": "WEB", "name": "..", "id": 7},
            "MergePullRequestFailed",
            "invalid repository: project 'WEB', name '..'",
        ),
        ("MergePullRequest", WHERE | {"id": 404}, "MergePullRequestFailed", "Bitbucket: status 404: Not there."),
        (
            "MergePullRequest",
            WHERE | {"id": 9},
            "MergePullRequestFailed",
            "Bitbucket: status 409: It has conflicts.; Ann has vetoed it.",
        ),
    ],
)
def test_a_failure_is_reported(
    run_command: RunCommand,
    bitbucket: Bitbucket,
    command: str,
    action_input: Any,
    event: str,
    words: str,
) -> None:
    assert_refused(run_command("bitbucket", bitbucket.web, command, action_input, event), words)


def test_invalid_repositories_are_reported_in_one_line(
    stub: StubServer, start_pack: StartPack, bitbucket: Bitbucket, tmp_path: Path
) -> None:
    program = start_pack(
        "bitbucket", stub.url, **variables("bitbucket", bitbucket.web, tmp_path, REPOSITORIES="WEB/site,site")
    )
    assert program.exit_code() == 2
    (line,) = program.log
    assert line.startswith("Bitbucket: FLYTE_BITBUCKET_REPOSITORIES: must be up to 200 repositories")
