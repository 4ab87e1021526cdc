"""Responses come from the serializers that describe them, and have no undocumented fields."""

import ast
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client, RequestFactory
from django.utils import timezone
from jsonschema import Draft4Validator  # type: ignore[import-untyped]
from rest_framework import serializers

from flyte_site.http.content_types import to_yaml
from flyte_site.http.output.links import Link, LinkBuilder
from flyte_site.http.output.serializers import (
    CountField,
    FlagField,
    LinksField,
    OutputContext,
    OutputSerializer,
    StringMapField,
    TimestampField,
    render_output,
)
from packs.models import Action, ActionState, Approval, Pack
from packs.serializers import TakenAction
from tests.schema.world import FLOW, PACK, STOPPED

ROOT = Path(__file__).parent.parent.parent
API_MODULES = [
    *(ROOT / "flows/api").glob("*.py"),
    *(ROOT / path for path in ("audit/api.py", "packs/api.py", "packs/approvals/api.py", "datastore/api.py")),
    ROOT / "flyte_site/http/root_views.py",
]
LINKS = LinkBuilder(RequestFactory().get("/"))
SELF_LINK = LINKS.to("self", "v1")


class Description:
    """The OpenAPI description, which validates responses strictly: an undocumented field is an error."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.paths: Mapping[str, Any] = document["paths"]
        self.components = {"components": {"schemas": make_strict(document["components"]["schemas"])}}

    def validate(self, path: str, response: Any, method: str = "get") -> Any:
        """Validate the response of an operation; return its body."""
        described = self.paths[path][method]["responses"][str(response.status_code)]
        schema = described["content"][response.headers["Content-Type"].partition(";")[0]]["schema"]
        body = json.loads(response.content)
        Draft4Validator({**make_strict(schema), **self.components}).validate(body)
        return body


def make_strict(schema: Any) -> Any:
    """Convert an OpenAPI schema: objects have no other fields, and `nullable` becomes a type."""
    if isinstance(schema, list):
        return [make_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: make_strict(value) for key, value in schema.items()}
    if isinstance(strict.get("properties"), dict) and strict.get("type") == "object":
        strict.setdefault("additionalProperties", False)
    if strict.pop("nullable", False) is True and "type" in strict:
        strict["type"] = [strict["type"], "null"]
    return strict


@pytest.fixture
def description(client: Client) -> Description:
    return Description(yaml.safe_load(client.get("/v1/swagger").content))


def post(client: Client, path: str, body: Any, status: int) -> Any:
    response: Any = client.post(path, json.dumps(body), content_type="application/json")
    assert response.status_code == status, response.content
    return response


def register_pack(client: Client) -> Any:
    event = {"name": "Asked", "links": [{"href": "http://example.org", "rel": "help"}]}
    commands = [{"name": "Ask", "events": ["Asked"]}, {"name": "Answer", "events": None}]
    body = {"name": PACK, "commands": commands, "events": [event, {"name": "Began"}], "links": event["links"]}
    return post(client, "/v1/packs", body, 201)


def start_execution(client: Client) -> None:
    post(client, f"/v1/packs/{PACK}/events", {"event": "Began", "payload": {"who": "world"}}, 202)


def take_action(client: Client, query: str = "") -> Any:
    response: Any = client.post(f"/v1/packs/{PACK}/actions/take{query}")
    assert response.status_code == 200
    return response


def finish_action(client: Client, taken: Any, event: str) -> None:
    post(client, json.loads(taken.content)["links"][0]["href"], {"event": event, "payload": "done"}, 202)


@pytest.fixture
def populated_client(client: Client) -> Client:
    """Create a pack, flows, an item, and executions in several states; return the client."""
    register_pack(client)
    for flow in (FLOW, {**STOPPED, "description": "stops", "enabled": True}):
        post(client, "/v1/flows?note=first", flow, 201)
    post(client, "/v1/flows", {**STOPPED, "name": "disabled", "enabled": False}, 201)
    start_execution(client)
    finish_action(client, take_action(client), "FATAL")
    start_execution(client)
    finish_action(client, take_action(client), "Asked")
    finish_action(client, take_action(client, "?commandName=Answer"), "FATAL")
    start_execution(client)
    newest = client.get("/v1/audit/flows?state=running&limit=1").json()["flows"][0]
    assert client.post(f"/v1/audit/flows/{newest['correlationId']}/cancel").status_code == 204
    start_execution(client)
    boundary = "b"
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="value"; filename="v"\r\n\r\nx\r\n--{boundary}--\r\n'
    upload_type = f"multipart/form-data; boundary={boundary}"
    assert client.put("/v1/datastore/key?description=text", part, content_type=upload_type).status_code == 201
    return client


LISTS = {
    "/": "links",
    "/v1": "links",
    "/v1/packs": "packs",
    "/v1/flows": "flows",
    "/v1/datastore": "datastore",
    "/v1/approvals": "",
    "/v1/audit/flows": "flows",
    "/v1/audit/events": "events",
}


@pytest.mark.integration
@pytest.mark.django_db
@pytest.mark.parametrize(("path", "collection"), LISTS.items())
def test_a_list_has_only_documented_fields(
    populated_client: Client, description: Description, path: str, collection: str
) -> None:
    body = description.validate(path, populated_client.get(path, headers={"Accept": "application/json"}))
    assert not collection or body[collection]


@pytest.mark.integration
@pytest.mark.django_db
def test_a_detail_has_only_documented_fields(populated_client: Client, description: Description) -> None:
    executions = populated_client.get("/v1/audit/flows").json()["flows"]
    event = populated_client.get("/v1/audit/events").json()["events"][0]
    version = populated_client.get("/v1/flows/schema/versions").json()["versions"][0]
    details = {
        "/v1/packs/{pack_id}": [f"/v1/packs/{PACK}"],
        "/v1/flows/{name}": ["/v1/flows/schema", "/v1/flows/disabled"],
        "/v1/flows/{name}/versions": ["/v1/flows/schema/versions"],
        "/v1/flows/{name}/versions/{version_id}": [f"/v1/flows/schema/versions/{version['uuid']}"],
        "/v1/audit/flows/{correlation_id}": [f"/v1/audit/flows/{row['correlationId']}" for row in executions],
        "/v1/audit/events/{event_id}": [f"/v1/audit/events/{event['id']}"],
    }
    bodies = [
        description.validate(template, populated_client.get(path))
        for template, paths in details.items()
        for path in paths
    ]
    assert all(body["links"] for body in bodies)


@pytest.mark.integration
@pytest.mark.django_db
def test_an_approval_has_only_documented_fields(client: Client, description: Description) -> None:
    now = timezone.now()
    times = {"asked_at": now, "ends_at": now + timedelta(hours=1)}
    for action_id, decision in (("open", {}), ("decided", {"approved": False, "decided_by": "ann", "decided_at": now})):
        question = {"question": "deploy?", "details": {"to": "prod"}, "flow_name": "f", "correlation_id": "c"}
        Approval.objects.create(action_id=action_id, attempt=1, **question, **times, **decision)
        description.validate("/v1/approvals/{action_id}", client.get(f"/v1/approvals/{action_id}"))
    listed = description.validate("/v1/approvals", client.get("/v1/approvals"))
    assert [approval["id"] for approval in listed["approvals"]] == ["open"]
    decided = client.get("/v1/approvals/decided").json()
    assert (decided["approved"], decided["by"], decided["comment"]) == (False, "ann", "")


@pytest.mark.integration
@pytest.mark.django_db
def test_the_response_to_a_post_has_only_documented_fields(client: Client, description: Description) -> None:
    description.validate("/v1/packs", register_pack(client), "post")
    post(client, "/v1/flows", FLOW, 201)
    start_execution(client)
    execution = client.get("/v1/audit/flows").json()["flows"][0]
    replayed = client.post(f"/v1/audit/flows/{execution['correlationId']}/replay")
    description.validate("/v1/audit/flows/{correlation_id}/replay", replayed, "post")
    event = {"event": "Began", "payload": {"who": "world"}}
    for flow in (FLOW, STOPPED):
        body = {"flow": flow, "event": event, "results": {"ask": {"event": "Asked"}} if flow is FLOW else {}}
        description.validate("/v1/flows/dry-run", post(client, "/v1/flows/dry-run", body, 200), "post")
    plan = post(client, "/v1/flows/dry-run?check=true", {**FLOW, "description": "changed"}, 200)
    assert description.validate("/v1/flows/dry-run", plan, "post")["change"] == "changed"


@pytest.mark.integration
@pytest.mark.django_db
def test_an_error_has_only_documented_fields(client: Client, description: Description) -> None:
    errors = post(client, "/v1/flows", {"name": "", "steps": 1}, 400)
    problem = {"$ref": "#/components/schemas/Problem", **description.components}
    for response in (errors, client.get("/v1/flows/missing"), client.put("/v1/flows")):
        Draft4Validator(problem).validate(json.loads(response.content))


@pytest.mark.integration
@pytest.mark.django_db
@pytest.mark.parametrize("attempt", [1, 2])
def test_a_taken_action_is_rendered_as_its_serializer_renders_it(
    client: Client, description: Description, attempt: int
) -> None:
    register_pack(client)
    retried = {**FLOW, "steps": [{**FLOW["steps"][0], "command": {**FLOW["steps"][0]["command"], "retries": 1}}]}
    post(client, "/v1/flows", retried, 201)
    start_execution(client)
    taken = take_action(client)
    if attempt == 2:
        finish_action(client, taken, "FATAL")
        taken = take_action(client)
    description.validate("/v1/packs/{pack_id}/actions/take", taken, "post")
    action, pack = Action.objects.get(), Pack.objects.get(identity=PACK)
    assert action.attempt == attempt
    context = OutputContext(LINKS, {"pack": pack})
    rendered = render_output(TakenAction, action, context)
    assert json.dumps(rendered, separators=(",", ":")).encode() == taken.content


@pytest.mark.unit
def test_api_modules_build_no_response_body_themselves() -> None:
    calls = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in API_MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Response"
    ]
    assert len(API_MODULES) >= 10
    assert calls == []


class ItemOutput(OutputSerializer):
    """An item with a field of each kind."""

    name = serializers.CharField()
    text = serializers.CharField(required=False)
    blank = serializers.CharField(required=False, allow_blank=True)
    labels = StringMapField(required=False)
    payload = serializers.JSONField(required=False)
    nullable = serializers.JSONField(allow_null=True)
    count = CountField()
    hidden = FlagField()
    enabled = FlagField(rendered_value=False)
    time = TimestampField(required=False)
    links = LinksField()

    def get_links(self, instance: Any, context: OutputContext) -> list[Link]:
        return [SELF_LINK]


class StubItem:
    """An instance of `ItemOutput` whose optional attributes are empty unless they are set."""

    def __init__(self, **attributes: Any) -> None:
        empty: dict[str, Any] = {"text": "", "blank": None, "labels": {}, "payload": None, "nullable": None}
        empty |= {"count": 0, "hidden": False, "enabled": True, "time": None}
        self.__dict__.update({"name": "", **empty, **attributes})


def render(instance: Any) -> dict[str, Any]:
    body: dict[str, Any] = render_output(ItemOutput, instance, OutputContext(LINKS))
    return body


@pytest.mark.unit
def test_an_optional_field_without_a_value_is_left_out() -> None:
    assert render(StubItem(name="a")) == {"name": "a", "nullable": None, "links": [SELF_LINK]}


@pytest.mark.unit
def test_fields_are_rendered_in_the_order_of_their_declaration() -> None:
    flags = {"hidden": True, "enabled": False}
    values = {"payload": {}, "blank": "", "count": 2, "text": "t", "labels": {"a": "b"}, "time": timezone.now()}
    body = render(StubItem(name="a", **values, **flags))
    assert list(body) == [*ItemOutput().fields]
    assert body["payload"] == {}
    assert body["blank"] == ""


@pytest.mark.unit
def test_every_documented_key_of_a_stored_document_is_rendered() -> None:
    document = {"unknown": 1, "labels": {}, "name": "a", "payload": None, "count": 0}
    assert render(document) == {"name": "a", "labels": {}, "payload": None, "count": 0, "links": [SELF_LINK]}


@pytest.mark.unit
def test_all_responses_share_one_serializer() -> None:
    created: list[ItemOutput] = []

    class CountedOutput(ItemOutput):
        """An item whose serializers are counted."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            created.append(self)

    for name in ("a", "b"):
        body = render_output(CountedOutput, StubItem(name=name), OutputContext(LINKS))
        assert body == {"name": name, "nullable": None, "links": [SELF_LINK]}
    assert len(created) == 1


def test_yaml_has_the_text_of_a_member_of_an_enumeration() -> None:
    assert to_yaml({"state": ActionState.FATAL}) == "state: FATAL\n"
