"""The shape of error responses, and the routes of the API."""

import json
from typing import Any

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from packs.models import Pack
from packs.registry import register


def problem(response: Any, status: int) -> dict[str, Any]:
    """Check that the response is a problem with this status, and return its body."""
    assert response.status_code == status, response.content[:500]
    assert response.headers["Content-Type"] == "application/problem+json; charset=utf-8"
    body: dict[str, Any] = json.loads(response.content)
    assert set(body) - {"errors"} == {"title", "status", "detail"}
    assert (body["status"], type(body["title"]), type(body["detail"])) == (status, str, str)
    assert body["title"]
    assert body["detail"]
    assert "Traceback" not in body["detail"]
    for error in body.get("errors", []):
        assert set(error) - {"line", "column"} == {"path", "message"}
        assert error["message"]
    return body


def paths_of_errors(response: Any, status: int = 400) -> list[str]:
    return [error["path"] for error in problem(response, status)["errors"]]


def routes(name: str = "x") -> list[str]:
    """Return a path for every route of the API; `name` is the value of all path parameters."""
    return ["/" + path.replace("<>", name) for path in _templates(get_resolver())]


def _templates(resolver: URLResolver) -> list[str]:
    templates = []
    for pattern in resolver.url_patterns:
        if str(pattern.pattern).split("/")[0] == "admin":
            continue  # the console's
        if isinstance(pattern, URLResolver):
            templates += [str(pattern.pattern) + inner for inner in _templates(pattern)]
        elif isinstance(pattern, URLPattern):
            templates.append(_without_names(str(pattern.pattern)))
    return templates


def _without_names(route: str) -> str:
    segments = ["<>" if segment.startswith("<") else segment for segment in route.split("/")]
    return "/".join(segments)


def put_value(client: Client, key: str, value: bytes, content_type: str | None = "text/plain", **fields: str) -> Any:
    """Put a datastore value as the original's clients do: in a multipart body with a file part `value`."""
    lines = [b"--edge", b'Content-Disposition: form-data; name="value"; filename="value"']
    lines += [f"Content-Type: {content_type}".encode()] if content_type is not None else []
    lines += [b"", value]
    for name, text in fields.items():
        lines += [b"--edge", f'Content-Disposition: form-data; name="{name}"'.encode(), b"", text.encode()]
    body = b"\r\n".join([*lines, b"--edge--", b""])
    return client.put(f"/v1/datastore/{key}", body, content_type="multipart/form-data; boundary=edge")


def register_pack(name: str, **labels: str) -> Pack:
    return register({"name": name, "labels": labels, "commands": [], "events": [], "links": []})
