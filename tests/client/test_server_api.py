"""The HTTP client of `flyte`: responses that are only a part of what was asked for."""

from collections.abc import Callable

import httpx
import pytest

from flyte_client.cli import server_api
from flyte_client.cli.server_api import ServerApi
from flyte_client.errors import RefusedError

pytestmark = pytest.mark.unit

URL = httpx.URL("http://flyte.test/v1/flows")


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[httpx.Request], httpx.Response]], ServerApi]:
    """Return a function that builds the client of a server with these responses."""

    def build(respond: Callable[[httpx.Request], httpx.Response]) -> ServerApi:
        client = httpx.Client
        monkeypatch.setattr(httpx, "Client", lambda **options: client(transport=httpx.MockTransport(respond)))
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


def test_more_pages_than_the_limit_are_an_error(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_api, "MAX_PAGES", 3)

    def respond(request: httpx.Request) -> httpx.Response:
        following = str(request.url.copy_merge_params({"after": request.url.query.decode() + "x"}))
        return httpx.Response(200, json={"flows": [], "links": [{"rel": "next", "href": following}]})

    with pytest.raises(RefusedError, match="more than 3 pages"):
        list(connect(respond).iter_items(URL, "flows"))
