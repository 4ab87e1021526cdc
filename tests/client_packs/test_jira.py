"""The Jira pack with a local stub of Jira."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from flyte_client.packs.common.rest_client import RestClient, RestError, RestSettings
from flyte_client.packs.jira.input_fields import build_issue_fields, pick_echoed_fields
from flyte_client.packs.jira.issues import JiraIssues, parse_issue_key
from tests.client.stub_server import StubResponse, StubServer
from tests.examples.world import ExampleClient, states
from tests.server import Server

from .conftest import StartPack
from .event_watcher import eventually
from .http_stub import Counterpart, RecordedRequest, counterpart

pytestmark = pytest.mark.integration

API = "/rest/api/2"
ISSUE = {
    "key": "TEST-1",
    "fields": {
        "summary": "No ink",
        "status": {"name": "Open"},
        "description": "None at all",
        "assignee": {"name": "ann", "emailAddress": "ann@example.com"},
        "reporter": {"name": "bob"},
        "priority": {"name": "Medium"},
        "components": [{"name": "Printer"}],
        "labels": ["office"],
        "issuetype": {"name": "Task"},
    },
}
ISSUE_PAYLOAD = {
    "id": "TEST-1",
    "summary": "No ink",
    "status": "Open",
    "description": "None at all",
    "assignee": "ann@example.com",
    "reporter": "bob",
    "priority": "Medium",
    "components": ["Printer"],
    "labels": ["office"],
    "type": "Task",
}
TRANSITIONS = [
    {"id": "11", "name": "Start work", "to": {"name": "In Progress"}},
    {"id": "21", "name": "Finish", "to": {"name": "Done"}},
    {"id": "31", "name": "Drop", "to": {"name": "Done"}},
]
REFUSAL = {"errorMessages": ["No such thing"], "errors": {"project": "project is required"}}
FLAT = {"project": "HELP", "issuetype": "Task", "summary": "No ink"}
BASIC = "Basic " + base64.b64encode(b"flyte:s3cret").decode()


def routes(request: RecordedRequest) -> StubResponse:
    if request.headers.get("Authorization") not in (BASIC, "Bearer t0ken"):
        return StubResponse(401, b"<html>")
    responses: dict[tuple[str, str], StubResponse] = {
        ("GET", "/issue/TEST-1"): StubResponse(200, ISSUE),
        ("GET", "/issue/TEST-1/transitions"): StubResponse(200, {"transitions": TRANSITIONS}),
        ("GET", "/search"): StubResponse(200, {"total": 85, "issues": [ISSUE]}),
        ("POST", "/issue"): StubResponse(201, {"id": "10000", "key": "HELP-7"}),
        ("POST", "/issue/TEST-1/comment"): StubResponse(201, {"id": "1"}),
        ("POST", "/issue/TEST-1/transitions"): StubResponse(204),
        ("PUT", "/issue/TEST-1/assignee"): StubResponse(204),
    }
    return responses.get((request.method, request.path.removeprefix(API)), StubResponse(404, REFUSAL))


@pytest.fixture
def jira() -> Iterator[Counterpart]:
    with counterpart(routes) as server:
        yield server


@pytest.fixture
def issues(jira: Counterpart) -> JiraIssues:
    return JiraIssues(
        RestClient(RestSettings(jira.url, timeout=5, retry_seconds=5, user="flyte", password="s3cret")), jira.url
    )


def variables(jira: Counterpart) -> dict[str, str]:
    return {"FLYTE_JIRA_URL": jira.url, "FLYTE_JIRA_TOKEN": "t0ken"}


def result(stub: StubServer, event: str) -> Any:
    return stub.wait_for("result", event=event)[0].body["payload"]


@pytest.mark.acceptance
def test_a_chat_message_becomes_an_issue(
    world: ExampleClient, packs_server: Server, start_pack: StartPack, jira: Counterpart
) -> None:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent"]})
    world.load("ticket.yaml")
    program = start_pack("jira", packs_server.url, **variables(jira))
    said = {"channelId": "C1", "user": {"name": "ann"}, "message": "ticket: No ink", "threadTimestamp": "17.5"}
    slack.send_event("ReceivedMessage", said)
    taken = eventually(slack.poll)
    assert taken is not None
    assert taken.input["message"] == f"HELP-7: {jira.url}/browse/HELP-7"
    taken.send_result("MessageSent")
    assert states(world.execution("ticket")) == {"create": "SUCCESS", "reply": "SUCCESS"}
    (request,) = jira.of(f"{API}/issue")
    assert request.headers["Authorization"] == "Bearer t0ken"
    assert request.body["fields"]["summary"] == "No ink"
    program.signal()
    assert program.exit_code() == 0
    assert "t0ken" not in "".join(program.log)


@pytest.mark.parametrize(
    ("command", "action_input", "event", "payload"),
    [
        ("IssueInfo", "TEST-1", "Info", ISSUE_PAYLOAD),
        ("IssueInfo", "<https://jira.example.com/browse/TEST-1>", "Info", ISSUE_PAYLOAD),
        (
            "SearchIssues",
            {"query": "project = TEST", "maxResults": "5"},
            "SearchSuccess",
            {"query": "project = TEST", "startIndex": 0, "maxResults": 5, "total": 85, "issues": [ISSUE_PAYLOAD]},
        ),
        ("CommentIssue", {"id": "TEST-1", "comment": "Yes"}, "Comment", {"id": "TEST-1", "comment": "Yes"}),
        (
            "DoTransition",
            {"issueId": "TEST-1", "transition": "in progress"},
            "DoTransition",
            {"issueId": "TEST-1", "transitionId": "11", "transition": "Start work", "status": "In Progress"},
        ),
        ("IssueAssign", {"issueId": "TEST-1", "username": "ann"}, "Assign", {"issueId": "TEST-1", "username": "ann"}),
        (
            "CreateIssue",
            {"fields": {"project": {"key": "HELP"}, "issuetype": {"name": "Bug"}, "customfield_1": 5}},
            "CreateIssue",
            {"id": "HELP-7", "url": "URL/browse/HELP-7", "project": "HELP", "issuetype": "Bug"},
        ),
    ],
)
def test_a_result_has_the_originals_shape(
    stub: StubServer,
    start_pack: StartPack,
    jira: Counterpart,
    command: str,
    action_input: Any,
    event: str,
    payload: Any,
) -> None:
    stub.queue(command, action_input)
    start_pack("jira", stub.url, **variables(jira))
    expected = {
        name: value.replace("URL", jira.url) if isinstance(value, str) else value for name, value in payload.items()
    }
    assert result(stub, event) == expected


@pytest.mark.parametrize(
    ("command", "action_input", "event", "words"),
    [
        ("IssueInfo", "TEST-404", "InfoFailure", "Jira: status 404: No such thing; project: project is required"),
        ("CommentIssue", {"id": "../../x", "comment": "a"}, "CommentFailure", "invalid issue key '../../x'"),
        ("CreateIssue", {"project": "HELP"}, "CreateIssueFailure", "issuetype: must be a non-empty string"),
        ("SearchIssues", {"query": "x", "maxResults": 1000}, "SearchFailure", "maxResults: must be a whole number"),
        (
            "DoTransition",
            {"issueId": "TEST-1", "transition": "Done"},
            "DoTransitionFailure",
            "transition 'Done' not found or ambiguous",
        ),
        ("IssueAssign", {}, "AssignFailure", "invalid issue key ''"),
    ],
)
def test_a_failure_repeats_the_input(
    stub: StubServer, start_pack: StartPack, jira: Counterpart, command: str, action_input: Any, event: str, words: str
) -> None:
    stub.queue(command, action_input)
    start_pack("jira", stub.url, **variables(jira))
    payload = result(stub, event)
    assert payload["error"].startswith(words)
    assert payload["temporary"] is False
    assert [request for request in jira.requests if request.method != "GET"] == []


def test_requests_have_the_form_that_jira_requires(jira: Counterpart, issues: JiraIssues) -> None:
    issues.search_issues('project = TEST AND text ~ "a&b"', 20, 5)
    issues.add_comment("TEST-1", "Yes")
    issues.assign_issue("TEST-1", "")
    issues.transition_issue("TEST-1", "21")
    search, comment, assign, _, transition = jira.requests
    assert search.headers["Authorization"] == BASIC
    assert (search.query["jql"], search.query["startAt"], search.query["maxResults"]) == (
        'project = TEST AND text ~ "a&b"',
        "20",
        "5",
    )
    assert (comment.body, comment.headers["Content-Type"]) == ({"body": "Yes"}, "application/json")
    assert (assign.method, assign.body) == ("PUT", {"name": None})
    assert transition.body == {"transition": {"id": "21"}}


@pytest.mark.parametrize("answer", [None, StubResponse(503), StubResponse(429, None, {"Retry-After": "0"})])
def test_a_read_is_retried(jira: Counterpart, issues: JiraIssues, answer: StubResponse | None) -> None:
    jira.script(f"{API}/issue/TEST-1", answer)
    assert issues.get_issue("TEST-1")["summary"] == "No ink"
    assert len(jira.requests) == 2


@pytest.mark.parametrize("answer", [None, StubResponse(503, None, {"Retry-After": "0"}), StubResponse(500)])
def test_a_write_is_not_retried(jira: Counterpart, issues: JiraIssues, answer: StubResponse | None) -> None:
    jira.script(f"{API}/issue/TEST-1/comment", answer)
    with pytest.raises(RestError) as caught:
        issues.add_comment("TEST-1", "Yes")
    assert caught.value.temporary
    assert len(jira.requests) == 1


def test_a_write_is_retried_after_the_pause_that_jira_requests(jira: Counterpart, issues: JiraIssues) -> None:
    jira.script(f"{API}/issue/TEST-1/comment", StubResponse(429, None, {"Retry-After": "1"}))
    issues.add_comment("TEST-1", "Yes")
    assert len(jira.requests) == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (StubResponse(200, b"<html>"), "with invalid JSON: check the address of the API"),
        (StubResponse(302, None, {"Location": "https://elsewhere.example.com"}), "status 302"),
        (StubResponse(200, b"x" * (10 * 1024 * 1024 + 1)), "response too large, at most"),
        (StubResponse(200, b"[" * 100_000), "with invalid JSON"),
        (StubResponse(429, None, {"Retry-After": "3600"}), "status 429"),
    ],
)
def test_an_invalid_response_is_reported(
    jira: Counterpart, issues: JiraIssues, answer: StubResponse, words: str
) -> None:
    jira.script(f"{API}/issue/TEST-1", answer)
    with pytest.raises(RestError, match=words.replace("?", r"\?")):
        issues.get_issue("TEST-1")
    assert len(jira.requests) == 1


def test_missing_fields_in_a_response_become_empty(jira: Counterpart, issues: JiraIssues) -> None:
    jira.script(
        f"{API}/issue/TEST-1", StubResponse(200, {"key": "TEST-1", "fields": {"assignee": None, "labels": None}})
    )
    assert issues.get_issue("TEST-1") == {
        **dict.fromkeys(ISSUE_PAYLOAD, ""),
        "id": "TEST-1",
        "components": [],
        "labels": [],
    }


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("TEST-1", "TEST-1"),
        (" 10000 ", "10000"),
        ("http://foo.bar/TEST-123", "TEST-123"),
        ("<https://foo.bar/browse/A_B2-9|A_B2-9>", "A_B2-9"),
        ("https://foo.bar/browse/T-1/?focus=2", "T-1"),
    ],
)
def test_an_issue_can_be_identified_in_several_ways(text: str, key: str) -> None:
    assert parse_issue_key(text) == key


@pytest.mark.parametrize("text", ["", "TEST", "../TEST-1/x", "TEST-1\nx", "T-1#x", None, 5, {}, "T-" + "1" * 99])
def test_an_invalid_issue_key_is_rejected(text: Any) -> None:
    with pytest.raises(ValueError, match="invalid issue key"):
        parse_issue_key(text)


def test_a_new_issue_is_built_from_plain_names() -> None:
    fields = FLAT | {"priority": "High", "labels": ["a"], "description": ""}
    made = {"project": {"key": "HELP"}, "issuetype": {"name": "Task"}, "summary": "No ink", "labels": ["a"]}
    assert build_issue_fields(fields) == made | {"priority": {"name": "High"}}
    assert pick_echoed_fields(fields) == FLAT | {"priority": "High"}


def test_the_fields_of_a_new_issue_are_single_lines() -> None:
    fields = {"project": "HELP\n", "issuetype": " Task", "summary": "No ink\nin printer 3\n", "description": "a\nb\n"}
    assert build_issue_fields(fields) == {
        "project": {"key": "HELP"},
        "issuetype": {"name": "Task"},
        "summary": "No ink in printer 3",
        "description": "a\nb\n",
    }
    assert build_issue_fields({"fields": {"summary": "No ink\n", "x": 1}}) == {"summary": "No ink", "x": 1}


@pytest.mark.parametrize("fields", [None, [], {}, FLAT | {"color": "red"}, FLAT | {"project": {"key": "HELP"}}])
def test_invalid_fields_of_an_issue_are_rejected(fields: Any) -> None:
    with pytest.raises(ValueError, match=r"must be a non-empty string|unknown field"):
        build_issue_fields(fields)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "FLYTE_JIRA_TOKEN: set either this variable, or FLYTE_JIRA_USER and FLYTE_JIRA_PASSWORD"),
        ({"FLYTE_JIRA_TOKEN": "t"}, "FLYTE_JIRA_URL: required"),
        ({"FLYTE_JIRA_USER": "u"}, "FLYTE_JIRA_USER: set both this variable and FLYTE_JIRA_PASSWORD, or neither"),
        (
            {"FLYTE_JIRA_TOKEN": "t", "FLYTE_JIRA_URL": "http://jira.example.com"},
            "FLYTE_JIRA_URL: must start with https",
        ),
        (
            {"FLYTE_JIRA_TOKEN": "t", "FLYTE_JIRA_URL": "https://u:p@x"},
            "FLYTE_JIRA_URL: a user or password is not allowed",
        ),
        ({"FLYTE_JIRA_TOKEN": "t\nt"}, "FLYTE_JIRA_TOKEN: invalid characters"),
    ],
)
def test_invalid_settings_are_reported_in_one_line(
    stub: StubServer, start_pack: StartPack, settings: dict[str, str], words: str
) -> None:
    program = start_pack("jira", stub.url, **settings)
    assert program.exit_code() == 2
    (line,) = program.log
    assert line.startswith(f"Jira: {words}")
