"""The HTTP client of `flyte`: responses that are only a part of what was asked for."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from flyte_client.cli import audit, server_api
from flyte_client.cli.server_api import ServerApi
from flyte_client.errors import RefusedError

pytestmark = pytest.mark.unit

REAL_CLIENT = httpx.Client
URL = httpx.URL("http://flyte.test/v1/flows")


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[httpx.Request], httpx.Response]], ServerApi]:
    """Return a function that builds the client of a server with these responses."""

    def build(respond: Callable[[httpx.Request], httpx.Response]) -> ServerApi:
        monkeypatch.setattr(httpx, "Client", lambda **options: REAL_CLIENT(transport=httpx.MockTransport(respond)))
        return ServerApi("http://flyte.test", None, 5.0)

    return build


Connect = Callable[[Callable[[httpx.Request], httpx.Response]], ServerApi]


def test_a_warning_of_the_server_is_an_error_for_a_read(connect: Connect) -> None:
    api = connect(lambda request: httpx.Response(200, json={}, headers={"X-Flyte-Warning": "flow: unknown filter"}))
    with pytest.raises(RefusedError, match="flow: unknown filter"):
        api.get_json(URL)


@pytest.mark.parametrize("body", [{}, {"flows": "x"}, {"flows": ["x"]}, {"packs": []}])
def test_a_response_without_the_list_is_an_error(connect: Connect, body: object) -> None:
    api = connect(lambda request: httpx.Response(200, json=body))
    with pytest.raises(RefusedError, match="list 'flows' not found at "):
        list(api.iter_items(URL, "flows"))


def test_null_is_the_original_servers_empty_list(connect: Connect) -> None:
    assert list(connect(lambda request: httpx.Response(200, json={"flows": None})).iter_items(URL, "flows")) == []


def test_a_page_that_leads_to_itself_is_an_error(connect: Connect) -> None:
    body = {"flows": [{"name": "a"}], "links": [{"rel": "next", "href": str(URL)}]}
    with pytest.raises(RefusedError, match="is the same page"):
        list(connect(lambda request: httpx.Response(200, json=body)).iter_items(URL, "flows"))


def audit_pages(number: int) -> Callable[[httpx.Request], httpx.Response]:
    """Return the responses of a server with this many executions, two on each page, newest first."""

    def respond(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("start", 0))
        flows = [execution(index) for index in range(number - start, max(number - start - 2, 0), -1)]
        following = request.url.copy_set_param("start", start + 2)
        headers = {"Link": f'<{following}>; rel="next"'} if start + 2 < number else {}
        return httpx.Response(200, json={"flows": flows}, headers=headers)

    return respond


def execution(index: int) -> dict[str, Any]:
    action = {"id": f"{index}", "stepId": "s", "packName": "P", "name": "C"}
    states = [{"value": "NEW", "time": f"2026-01-01T00:00:{index:02}Z"}]
    return {"name": "flow", "correlationId": f"{index}", "actions": {"s": {**action, "states": states}}}


def test_past_changes_are_read_from_as_many_pages_as_needed(connect: Connect) -> None:
    changes = audit._fetch_past_changes(connect(audit_pages(9)), URL, 5)
    assert [change.action for change in changes] == ["4", "5", "6", "7", "8", "9"]
    assert len(audit._fetch_past_changes(connect(audit_pages(9)), URL, 100)) == 9


def test_recent_changes_are_read_back_to_the_last_printed_one(
    connect: Connect, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = audit._PrintedChanges()
    printed.take_new(audit._fetch_past_changes(connect(audit_pages(3)), URL, 3))
    new = printed.take_new(audit._fetch_recent_changes(connect(audit_pages(9)), URL, printed))
    assert [change.action for change in new] == ["4", "5", "6", "7", "8", "9"]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(audit, "MAX_PAGES_PER_POLL", 2)
    audit._fetch_recent_changes(connect(audit_pages(40)), URL, printed)
    assert "too many changes since the last poll" in capsys.readouterr().err


def test_more_pages_than_the_limit_are_an_error(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_api, "MAX_PAGES", 3)

    def respond(request: httpx.Request) -> httpx.Response:
        following = str(request.url.copy_merge_params({"after": request.url.query.decode() + "x"}))
        return httpx.Response(200, json={"flows": [], "links": [{"rel": "next", "href": following}]})

    with pytest.raises(RefusedError, match="more than 3 pages"):
        list(connect(respond).iter_items(URL, "flows"))
