"""Error responses of all routes: one shape, the right status, and no internal details."""

import json
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client

from packs.models import Pack
from tests.site.shape import paths_of_errors, problem, register_pack, routes

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
NAMED = [route for route in routes() if "/x" in route]
SAME_REQUEST_ID = {"X-Request-ID": "of each request its own"}
EVERYWHERE = "GET, HEAD, PATCH, CONNECT, DELETE, POST, PUT"

# The value of `Allow` for each route, in the original's order.
ALLOWED = {
    "/": "GET, HEAD",
    "/v1": "GET, HEAD",
    "/health": "GET, HEAD",
    "/health/ready": "GET, HEAD",
    "/metrics": "GET, HEAD",
    "/v1/packs": "GET, HEAD, POST",
    "/v1/packs/x": "GET, HEAD, DELETE",
    "/v1/packs/x/events": "POST",
    "/v1/packs/x/actions/take": "POST",
    "/v1/packs/x/actions/x/result": "POST",
    "/v1/packs/x/actions/x/heartbeat": "POST",
    "/v1/flows": "GET, HEAD, POST",
    "/v1/flows/dry-run": "GET, HEAD, POST, DELETE",
    "/v1/flows/x": "GET, HEAD, DELETE",
    "/v1/flows/x/enable": "POST",
    "/v1/flows/x/disable": "POST",
    "/v1/flows/x/versions": "GET, HEAD",
    "/v1/flows/x/versions/x": "GET, HEAD",
    "/v1/flows/x/versions/x/restore": "POST",
    "/v1/datastore": "GET, HEAD",
    "/v1/datastore/x": "GET, HEAD, PUT, DELETE",
    "/v1/approvals": "GET, HEAD",
    "/v1/approvals/x": "GET, HEAD, POST",
    "/v1/audit/flows": "GET, HEAD",
    "/v1/audit/flows/x": "GET, HEAD",
    "/v1/audit/flows/x/cancel": "POST",
    "/v1/audit/flows/x/replay": "POST",
    "/v1/audit/flows/x/steps/x/retry": "POST",
    "/v1/audit/events": "GET, HEAD",
    "/v1/audit/events/x": "GET, HEAD",
    "/v1/swagger": "GET, HEAD",
    "/swagger": "GET, HEAD",
    "/swagger/index.html": "GET, HEAD",
    "/swagger-config/v1.yml": "GET, HEAD",
}


def test_the_table_of_methods_has_every_route() -> None:
    assert set(ALLOWED) == set(routes())


@pytest.mark.parametrize(
    ("method", "route"),
    [(method, route) for method in METHODS for route in routes() if method not in ALLOWED[route].split(", ")],
)
def test_a_method_that_a_route_lacks_is_405_with_the_allowed_methods(client: Client, method: str, route: str) -> None:
    response = client.generic(method, route)
    assert response.headers["Allow"] == ALLOWED[route]
    if method != "HEAD":
        problem(response, 405)
    assert response.status_code == 405


@pytest.mark.parametrize("route", routes())
def test_options_lists_the_methods_of_the_route(client: Client, route: str) -> None:
    response = client.options(route)
    assert (response.status_code, response.content, response.headers["Allow"]) == (200, b"", ALLOWED[route])


@pytest.mark.parametrize("path", ["/v1/nowhere", "/admin/"])
def test_options_lists_all_methods_where_they_are_unknown(client: Client, path: str) -> None:
    response = client.options(path)
    assert (response.status_code, response.headers["Allow"]) == (200, EVERYWHERE)


@pytest.mark.parametrize("method", ["TRACE", "BREW"])
def test_other_methods_are_405(client: Client, method: str) -> None:
    response = client.generic(method, "/v1/packs")
    problem(response, 405)
    assert response.headers["Allow"] == (EVERYWHERE if method == "TRACE" else "")


@pytest.mark.parametrize("route", [route for route in routes() if "GET" in ALLOWED[route]])
def test_head_responds_like_get_without_a_body(client: Client, route: str) -> None:
    got, head = client.get(route), client.head(route)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert dict(head.headers) | SAME_REQUEST_ID == dict(got.headers) | SAME_REQUEST_ID


@pytest.mark.parametrize("path", ["/nowhere", "/v2", "/v1/", "/v1/packs/", "/v1/packs/a/b", "/v1/audit"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_path_is_404(client: Client, path: str, method: str) -> None:
    problem(client.generic(method, path), 404)


@pytest.mark.parametrize(
    ("method", "route"),
    [(method, route) for route in NAMED for method in ALLOWED[route].split(", ") if method not in ("HEAD", "PUT")],
)
def test_an_unknown_name_is_404(client: Client, method: str, route: str) -> None:
    body = problem(client.generic(method, route, b'{"event": "x"}', content_type="application/json"), 404)
    assert "'x'" in body["detail"]


@pytest.mark.parametrize("name", ["%00", "%ff%fe", "%E2%82", "a%00b", "x" * 3000, "%0d%0aX-Injected:1", "%F0%9F%98%80"])
@pytest.mark.parametrize("route", NAMED)
def test_no_name_causes_a_server_error(client: Client, route: str, name: str) -> None:
    path = route.replace("/x", f"/{name}")
    for method in ALLOWED[route].split(", "):
        response = client.generic(method, path, b'{"event": "x"}', content_type="application/json")
        assert response.status_code in (400, 404), (method, path, response.content)
        assert "X-Injected" not in response.headers


JSON_ROUTES = ["/v1/packs", "/v1/flows", "/v1/packs/x/events", "/v1/packs/x/actions/x/result"]
BROKEN = [
    ("application/json", b""),
    ("application/json", b"{"),
    ("application/json", b"\xff"),
    ("application/json", b"[" * 100_000),
    ("application/json", b'{"name": NaN}'),
    ("application/json", b"5"),
    ("application/json", b"[]"),
    ("application/json", b"null"),
    ("application/json; charset=klingon", b"{}"),
    ("application/json; charset=utf-7", b'{"name": "+2AA-"}'),
    ("application/x-yaml", b"a: ["),
    ("application/x-yaml", b"a: !!bool maybe"),
    ("text/yaml; charset=utf-8", b"&a [*a]"),
    ("", b"not json"),
    ("multipart/form-data", b"x"),
    ("multipart/form-data; boundary=x", b"--x\r\n\r\nx"),
    ("application/x-www-form-urlencoded", b"name=x"),
]


@pytest.mark.parametrize("route", [*JSON_ROUTES, "/v1/flows/dry-run"])
@pytest.mark.parametrize(("content_type", "body"), BROKEN)
def test_an_invalid_body_is_400(client: Client, route: str, content_type: str, body: bytes) -> None:
    register_pack("x")
    paths_of_errors(client.generic("POST", route, body, content_type=content_type))


def test_a_syntax_error_is_reported_with_line_and_column(client: Client) -> None:
    for kind, body in (("application/json", '{\n "name": }'), ("application/x-yaml", "a: 1\nb: ]")):
        (error,) = problem(client.post("/v1/packs", body, content_type=kind), 400)["errors"]
        assert error["line"] == 2
        assert error["column"] >= 4


@pytest.mark.parametrize("error", [OperationalError("server closed"), InterfaceError("connection already closed")])
@pytest.mark.parametrize("route", [*JSON_ROUTES, "/v1/datastore", "/v1/audit/flows", "/v1/audit/events", "/v1/flows/x"])
def test_an_unavailable_database_is_503_with_retry_after(
    client: Client, route: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", fail)
    monkeypatch.setattr("django.db.transaction.Atomic.__enter__", fail)
    method = "POST" if route in JSON_ROUTES else "GET"
    body = json.dumps({"event": "x"} if "/packs/x" in route else {"name": "x", "steps": []})
    response = client.generic(method, route, body, content_type="application/json")
    assert problem(response, 503)["detail"] == "the database is unavailable"
    assert response.headers["Retry-After"] == "5"
    problem(client.get("/health"), 500)


@pytest.mark.parametrize("route", ["/v1/packs", "/v1/packs/x"])
def test_a_defect_is_500_in_the_same_shape_without_internal_details(
    route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(_: object) -> str:
        raise ZeroDivisionError("secret of the inside")

    register_pack("x")
    monkeypatch.setattr(Pack, "status", property(defect))
    client = Client(raise_request_exception=False)
    response = client.get(route)
    assert "secret" not in json.dumps(problem(response, 500))


@pytest.mark.parametrize("host", ["bad host", "a/b", "a?b", "", "a..b:x"])
def test_an_invalid_host_is_400(client: Client, host: str) -> None:
    problem(client.get("/v1/packs", headers={"host": host}), 400)


def test_all_errors_are_reported_at_once_with_their_paths(client: Client) -> None:
    pack = {"name": "", "labels": {"a": 1}, "commands": [{"events": [5]}], "links": "x"}
    response = client.post("/v1/packs", json.dumps(pack), content_type="application/json")
    paths = set(paths_of_errors(response))
    assert paths == {"name", "labels.a", "commands[0].name", "commands[0].events[0]", "links"}
    assert problem(response, 400)["detail"].endswith("(and 4 more)")
