"""Content negotiation: media types of responses, and YAML in requests and responses."""

import json
from typing import Any

import pytest
import yaml
from django.test import Client

from flyte_site.http.content_types import get_preferred_type, to_yaml
from tests.site.shape import problem, register_pack

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

JSON = "application/json"
YAML = "application/x-yaml"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (YAML, YAML),
        ("application/yaml", "application/yaml"),
        ("text/yaml", "text/yaml"),
        ("APPLICATION/X-YAML", YAML),
        ("application/x-yaml; charset=utf-8", YAML),
        ("application/json;charset=UTF-8", JSON),
        ("application/x-yaml;q=0.5, application/json", JSON),
        ("application/x-yaml, application/json;q=0.5", YAML),
        ("application/x-yaml, */*;q=0.1", YAML),
        ("*/*, application/x-yaml;q=0.9", JSON),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
        ("text/html", JSON),
        ("application/json;q=0", JSON),
        ("application/json;q=0, application/x-yaml", YAML),
        ("application/json;q=0, application/x-yaml;q=0", JSON),
        ("application/x-yaml;q=x", YAML),
        ("nonsense", JSON),
        (",,;;", JSON),
        ("/", JSON),
        ("a" * 10_000, JSON),
    ],
)
def test_the_media_type_follows_accept_and_is_json_by_default(client: Client, accept: str, expected: str) -> None:
    assert get_preferred_type(accept) == expected
    response = client.get("/v1/packs", headers={"accept": accept})
    assert (response.status_code, response.headers["Content-Type"]) == (200, f"{expected}; charset=utf-8")
    assert "Accept" in response.headers["Vary"]


def test_without_an_accept_header_the_response_is_json(client: Client) -> None:
    assert client.get("/v1/packs").headers["Content-Type"] == "application/json; charset=utf-8"


def test_yaml_and_json_have_the_same_content(client: Client) -> None:
    register_pack("Yaml", a="yes", b="010", c="two\nlines", d="ä: #")
    for path in ("/", "/v1", "/v1/packs", "/v1/packs/Yaml.a.yes.b.010.c.two%0Alines.d.ä: %23"):
        in_json, in_yaml = client.get(path), client.get(path, headers={"accept": YAML})
        assert in_json.status_code == 200, path
        assert yaml.safe_load(in_yaml.content) == json.loads(in_json.content)


def test_yaml_keeps_the_order_of_keys_and_has_no_aliases() -> None:
    same = [1]
    assert to_yaml({"b": same, "a": same, "é": "x\ny\n"}) == "b:\n- 1\na:\n- 1\né: |\n  x\n  y\n"


@pytest.mark.parametrize(
    "text", ["yes", "010", "1.0", "null", "~", "", " x ", "a: b", "2020-01-01", "\0\x1b", "\u2028", "- "]
)
def test_any_text_survives_yaml(text: str) -> None:
    assert yaml.safe_load(to_yaml({"text": text, text: 1})) == {"text": text, text: 1}


@pytest.mark.parametrize(
    "content_type",
    [YAML, "application/yaml", "text/yaml", "application/x-yaml; charset=utf-8", "Application/X-YAML", "text/yaml;a=b"],
)
def test_yaml_is_parsed_by_its_content_type(client: Client, content_type: str) -> None:
    response = client.generic("POST", "/v1/packs", b"name: no\nlabels: {n: 010}", content_type=content_type)
    assert (response.status_code, json.loads(response.content)["id"]) == (201, "no.n.010")
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("content_type", [JSON, "", "text/plain", "application/octet-stream", "application/yaml-not"])
def test_other_content_types_are_parsed_as_json(client: Client, content_type: str) -> None:
    assert client.generic("POST", "/v1/packs", b'{"name": "J"}', content_type=content_type).status_code == 201
    problem(client.generic("POST", "/v1/packs", b"name: J", content_type=content_type), 400)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'\xef\xbb\xbf{"name": "\xc3\xa9"}', JSON),
        (b"\xef\xbb\xbfname: \xc3\xa9", YAML),
        (b'{"name": "\xe9"}', "application/json; charset=iso-8859-1"),
        ('{"name": "é"}'.encode("utf-16"), "application/json; charset=utf-16"),
        (b'{"name": "\\u00e9"}', 'application/json; charset="US-ASCII"'),
    ],
)
def test_a_body_is_decoded_by_its_charset_with_or_without_a_byte_order_mark(
    client: Client, body: bytes, content_type: str
) -> None:
    response = client.generic("POST", "/v1/packs", body, content_type=content_type)
    assert json.loads(response.content)["name"] == "é"


def test_json_responses_contain_unescaped_text(client: Client) -> None:
    register_pack("日本\u2028")
    assert "日本\u2028".encode() in client.get("/v1/packs").content


@pytest.mark.parametrize("accept", ["text/html", YAML, "image/png"])
def test_an_error_is_a_problem_for_every_accept_header(client: Client, accept: str) -> None:
    problem(client.get("/v1/packs/none", headers={"accept": accept}), 404)


def test_keys_are_case_insensitive_as_in_the_original(client: Client) -> None:
    pack: dict[str, Any] = {"NAME": "Case", "Labels": {"A": "b"}, "COMMANDS": [{"Name": "Do", "EVENTS": ["Done"]}]}
    response = client.post("/v1/packs", json.dumps(pack), content_type=JSON)
    body = json.loads(response.content)
    assert (body["id"], body["commands"][0]["name"]) == ("Case.A.b", "Do")
