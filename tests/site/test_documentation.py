"""The OpenAPI description of the API, and the page that displays it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from drf_spectacular.validation import validate_schema

from tests.site.shape import routes

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PAGES = {"/swagger", "/swagger/index.html", "/swagger-config/v1.yml", "/v1/swagger"}


@pytest.fixture
def document(client: Client) -> dict[str, Any]:
    response = client.get("/v1/swagger")
    assert response.status_code == 200
    description: dict[str, Any] = yaml.safe_load(response.content)
    return description


def test_the_description_is_valid_openapi_3(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.")
    validate_schema(document)  # type: ignore[no-untyped-call]


def test_every_route_is_described_and_no_other(document: dict[str, Any]) -> None:
    described = {re.sub(r"\{\w+\}", "x", path) for path in document["paths"]}
    assert described == set(routes()) - PAGES


def list_operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for methods in document["paths"].values() for operation in methods.values()]


def test_every_operation_has_a_unique_id_and_a_tag_with_a_description(document: dict[str, Any]) -> None:
    described_tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    ids = [operation["operationId"] for operation in list_operations(document)]
    assert len(ids) == len(set(ids))
    for operation in list_operations(document):
        assert operation["tags"], operation["operationId"]
        assert set(operation["tags"]) <= described_tags, operation["operationId"]


def test_every_operation_has_a_unique_short_summary(document: dict[str, Any]) -> None:
    missing = [operation["operationId"] for operation in list_operations(document) if not operation.get("summary")]
    assert missing == []
    summaries = [operation["summary"] for operation in list_operations(document)]
    assert len(summaries) == len(set(summaries))
    assert [summary for summary in summaries if not re.fullmatch(r"[A-Z][^.;]{5,49}", summary)] == []


def test_every_operation_and_parameter_has_a_description(document: dict[str, Any]) -> None:
    for operation in list_operations(document):
        assert operation["description"], operation["operationId"]
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (operation["operationId"], parameter["name"])


def test_every_response_has_a_description(document: dict[str, Any]) -> None:
    for operation in list_operations(document):
        for status, response in operation["responses"].items():
            assert "$ref" in response or response["description"], (operation["operationId"], status)


def test_every_object_in_a_body_has_a_description(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert [
        name for name, schema in schemas.items() if schema.get("type") == "object" and not schema["description"]
    ] == []


def test_every_reference_has_a_target(document: dict[str, Any]) -> None:
    text = yaml.safe_dump(document)
    for name in re.findall(r"#/components/schemas/(\w+)", text):
        assert name in document["components"]["schemas"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/v1/swagger", "application/vnd.yaml; charset=utf-8"), ("/swagger-config/v1.yml", "application/x-yaml")],
)
def test_the_description_is_served_as_the_originals_type_of_yaml(client: Client, path: str, kind: str) -> None:
    assert client.get(path).headers["Content-Type"] == kind


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json; charset=utf-8"),
        ("application/json,*/*", "application/json; charset=utf-8"),
        ("application/json;q=0.5, application/x-yaml", "application/vnd.yaml; charset=utf-8"),
        ("application/vnd.yaml", "application/vnd.yaml; charset=utf-8"),
        ("text/html,*/*;q=0.8", "application/vnd.yaml; charset=utf-8"),
        ("image/png", "application/vnd.yaml; charset=utf-8"),
        ("*/*", "application/vnd.yaml; charset=utf-8"),
    ],
)
def test_the_description_is_json_if_the_caller_prefers_it(client: Client, accept: str, kind: str) -> None:
    response = client.get("/v1/swagger", headers={"Accept": accept})
    assert (response.headers["Content-Type"], response.headers["Vary"]) == (kind, "Accept")
    assert yaml.safe_load(response.content)["openapi"].startswith("3.")


def test_the_page_takes_everything_from_this_server(client: Client) -> None:
    page = client.get("/swagger")
    assert page.headers["Content-Type"].startswith("text/html")
    html = page.content.decode()
    assert not re.search(r"(https?:)?//", html)
    assert 'data-document="/v1/swagger"' in html
    files = re.findall(r'(?:src|href)="(/[^"]+)"', html)
    assert len(files) >= 4
    for file in files:
        assert client.get(file).status_code == 200, file


def test_the_originals_address_of_the_page_redirects_to_it(client: Client) -> None:
    response = client.get("/swagger/index.html")
    assert (response.status_code, response.headers["Location"]) == (301, "/swagger")


def test_generating_the_description_prints_no_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "api.yaml"
    call_command("spectacular", file=str(path), validate=True, fail_on_warn=True)
    assert capsys.readouterr() == ("", "")
    description = yaml.safe_load(path.read_text())
    assert description["openapi"].startswith("3.")


def test_bodies_and_errors_are_described_as_they_are(document: dict[str, Any]) -> None:
    event = document["paths"]["/v1/packs/{pack_id}/events"]["post"]
    cloud_events = {"application/cloudevents+json", "application/cloudevents-batch+json"}
    assert set(event["requestBody"]["content"]) == {"application/json", "application/x-yaml", *cloud_events}
    name = event["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schema = document["components"]["schemas"][name]
    assert set(schema["properties"]) == {"event", "payload", "createdAt"}
    assert schema["required"] == ["event"]
    assert set(event["responses"]["400"]["content"]) == {"application/problem+json"}


def test_every_operation_describes_the_errors_of_all_requests(document: dict[str, Any]) -> None:
    for methods in document["paths"].values():
        for operation in methods.values():
            answers = set(operation["responses"])
            assert {"400", "401", "403", "503"} <= answers, operation["operationId"]
            assert ("413" in answers) is ("requestBody" in operation), operation["operationId"]
