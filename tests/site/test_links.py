"""Links: the host that the caller sees, and escaped names."""

import json

import pytest
from django.test import Client

from flyte_site.http.output.links import build_path
from flyte_site.http.paths import NameConverter

pytestmark = pytest.mark.unit


def base(client: Client, **headers: str) -> str:
    """Return the base URL of the links in the response to a request with these headers."""
    response = client.get("/", headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert response.status_code == 200
    href: str = json.loads(response.content)["links"][0]["href"]
    return href.removesuffix("/")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "http://testserver"),
        ({"host": "flyte.localhost:1234"}, "http://flyte.localhost:1234"),
        ({"host": "[::1]:8080"}, "http://[::1]:8080"),
        ({"x_forwarded_host": "api.example.org:8443"}, "http://api.example.org:8443"),
        ({"x_forwarded_host": "a.example.org, b.example.org"}, "http://a.example.org"),
        ({"x_forwarded_host": " a.example.org "}, "http://a.example.org"),
        ({"x_flyte_host": "flyte.example.org", "x_forwarded_host": "other"}, "http://flyte.example.org"),
        ({"x_flyte_host": "[2001:db8::1]:80"}, "http://[2001:db8::1]:80"),
        ({"x_flyte_host": "bad host", "x_forwarded_host": "good"}, "http://good"),
        ({"x_flyte_host": "evil/path?x", "x_forwarded_host": "user@evil"}, "http://testserver"),
        ({"x_flyte_host": "", "x_forwarded_host": ""}, "http://testserver"),
        ({"x_forwarded_host": "<script>"}, "http://testserver"),
        ({"x_forwarded_proto": "https"}, "https://testserver"),
        ({"x_forwarded_proto": "HTTPS"}, "https://testserver"),
        ({"x_forwarded_proto": "https, http"}, "https://testserver"),
        ({"x_forwarded_proto": "weird"}, "http://testserver"),
        ({"x_forwarded_proto": "javascript"}, "http://testserver"),
        ({"x_forwarded_proto": "https", "x_forwarded_host": "a:443"}, "https://a:443"),
        ({"x_forwarded_port": "9"}, "http://testserver"),
    ],
)
def test_links_begin_with_the_callers_address(client: Client, headers: dict[str, str], expected: str) -> None:
    assert base(client, **headers) == expected


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ((), ""),
        (("v1", "packs", "Slack.env.prod"), "/v1/packs/Slack.env.prod"),
        (("a/b", "50%", "a%2Fb"), "/a%2Fb/50%25/a%252Fb"),
        (("ä b", "日本"), "/%C3%A4%20b/%E6%97%A5%E6%9C%AC"),
        (("a?b#c", "!$&'()*+,;=:@~-._"), "/a%3Fb%23c/!$&'()*+,;=:@~-._"),
        (("\r\nX: y", '"<>\\^`{|}'), "/%0D%0AX:%20y/%22%3C%3E%5C%5E%60%7B%7C%7D"),
    ],
)
def test_segments_are_escaped(segments: tuple[str, ...], expected: str) -> None:
    assert build_path(*segments) == expected


@pytest.mark.parametrize("name", ["a/b", "50%", "a%2Fb", "%252F", "%25", "%"])
def test_a_name_in_a_path_comes_back_as_it_was(name: str) -> None:
    escaped = name.replace("%", "%25").replace("/", "%2F")
    assert NameConverter().to_python(escaped) == name


def test_the_first_page_has_the_links_that_clients_look_for(client: Client) -> None:
    rels = [link["rel"] for link in json.loads(client.get("/v1").content)["links"]]
    for ending in ("self", "up", "help", "info/health", "pack/listPacks", "flow/listFlows", "flowAudit/findFlows"):
        assert sum(rel.endswith(ending) for rel in rels) == 1, ending
