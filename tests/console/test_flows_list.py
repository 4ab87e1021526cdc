"""The list of flows, and enabling, disabling and deleting."""

from typing import Any

import pytest
from django.test import Client

from flows.models import Execution, Flow, FlowVersion
from flyte_site.models import Change
from tests.console.conftest import SignedOn
from tests.flows.builders import pack, save, step, tell

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LIST = "/admin/flows/flow/"
ROLES = ("", "viewer", "editor", "operator", "admin")


def text(client: Client, path: str, **query: str) -> str:
    answer = client.get(path, query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_empty_list_explains_how_to_start_to_users_with_permission(signed_on: SignedOn) -> None:
    assert "/admin/flows/flow/add/" in text(signed_on("editor"), LIST)
    page = text(signed_on("viewer"), LIST)
    assert "A user with the editor role can add one" in page
    assert "/admin/flows/flow/add/" not in page


def test_the_list_shows_each_flow_with_its_last_execution(signed_on: SignedOn) -> None:
    save(step(), name="greeter", description="says hello", labels={"env": "prod", "items": "x"})
    tell(pack("Src"))
    page = text(signed_on("viewer"), LIST)
    for expected in ("greeter", "says hello", "env: prod", "items: x", "Src.Go", "running", "enabled"):
        assert expected in page
    assert "Disable" not in page


def test_flows_are_found_by_name_and_by_label(signed_on: SignedOn) -> None:
    save(step(), name="one", labels={"env": "prod"})
    save(step(), name="two", labels={"env": "dev", "städte": "Köln"})
    client = signed_on("viewer")
    for query, names in [
        ("ONE", {"one"}),
        ("env: pro", {"one"}),
        ("dev", {"two"}),
        ("Köln", {"two"}),
        ("env", {"one", "two"}),
    ]:
        page = text(client, LIST, q=query)
        assert {name for name in ("one", "two") if f">{name}</a>" in page} == names, query
    assert "No matching flows" in text(client, LIST, q="'%_\x00 nothing")


def test_flows_are_found_by_description_trigger_and_state(signed_on: SignedOn) -> None:
    save(step(event={"packName": "Slack", "name": "Said"}), name="one", description="for the night shift")
    save(step(event={"packName": "Jira", "name": "Opened"}), step(id="b"), name="two", enabled=False)
    client = signed_on("viewer")
    for filters, names in [
        ({"q": "night"}, {"one"}),
        ({"q": "slac"}, {"one"}),
        ({"q": "Jira.Open"}, {"two"}),
        ({"q": "opened"}, {"two"}),
        ({"state": "enabled"}, {"one"}),
        ({"state": "disabled"}, {"two"}),
        ({"state": "disabled", "q": "slack"}, set()),
        ({"state": "neither"}, set()),
    ]:
        page = text(client, LIST, **filters)
        assert {name for name in ("one", "two") if f">{name}</a>" in page} == names, filters


def test_the_next_page_keeps_the_search(signed_on: SignedOn) -> None:
    for number in range(51):
        save(step(), name=f"flow-{number:02}")
    client = signed_on("viewer")
    page = text(client, LIST, q="flow&-", state="enabled")
    assert "No enabled flow has" in page
    page = text(client, LIST, q="flow-", state="enabled")
    assert "?page=2&amp;q=flow-&amp;state=enabled" in page
    assert "flow-50" in text(client, LIST, q="flow-", state="enabled", page="2")


def test_the_list_runs_the_same_number_of_queries_for_any_number_of_flows(
    signed_on: SignedOn, django_assert_num_queries: Any
) -> None:
    client = signed_on("operator")
    for number in range(3):
        save(step(), name=f"flow-{number}")
    tell(pack("Src"))
    with django_assert_num_queries(9):
        client.get(LIST)
    for number in range(3, 60):
        save(step(), name=f"flow-{number}")
    tell(pack("Src"))
    with django_assert_num_queries(9):
        page = client.get(LIST).content.decode()
    assert "Page 1 of 2" in page


def test_hostile_names_are_escaped(signed_on: SignedOn) -> None:
    flow = save(step(), name="<script>alert(1)</script>", labels={"<b>": "<i>"}, description="</textarea><img src=x>")
    client = signed_on("admin")
    for path in (LIST, f"{LIST}{flow.pk}/change/", f"{LIST}{flow.pk}/versions/", f"{LIST}{flow.pk}/why/"):
        page = text(client, path)
        assert "<script>alert" not in page
        assert "<img src=x>" not in page
        assert "<i>" not in page


@pytest.mark.parametrize("role", ROLES)
def test_only_users_with_permission_enable_a_flow(signed_on: SignedOn, role: str) -> None:
    flow, client = save(step()), signed_on(role)
    may = role in ("operator", "admin")
    assert client.get(f"{LIST}{flow.pk}/disable/").status_code == 405
    for page in (LIST, f"{LIST}{flow.pk}/change/"):
        assert ("Disable flow 'flow'?" in client.get(page).content.decode()) is may
    assert client.post(f"{LIST}{flow.pk}/disable/").status_code == (302 if may else 403)
    flow.refresh_from_db()
    assert flow.enabled is not may
    if may:
        assert client.post(f"{LIST}{flow.pk}/enable/?back=list").headers["Location"] == LIST
        assert [change.what for change in Change.objects.order_by("id")] == ["disabled", "enabled"]
        assert Change.objects.filter(actor=role, via="console", kind="flow", key="flow").count() == 2


@pytest.mark.parametrize("role", ROLES)
def test_only_users_with_permission_delete_a_flow_and_its_versions_stay(signed_on: SignedOn, role: str) -> None:
    flow, client = save(step()), signed_on(role)
    may = role in ("editor", "admin")
    assert client.get(f"{LIST}{flow.pk}/delete/").status_code == 405
    assert ("Delete flow 'flow'?" in client.get(f"{LIST}{flow.pk}/change/").content.decode()) is may
    assert client.post(f"{LIST}{flow.pk}/delete/").status_code == (302 if may else 403)
    assert Flow.objects.exists() is not may
    assert FlowVersion.objects.count() == 1
    assert [change.what for change in Change.objects.all()] == (["deleted"] if may else [])


@pytest.mark.parametrize(
    "path", ["1/disable/", "1/enable/", "1/delete/", "add/", "version/x/restore/", "check/", "try/"]
)
def test_a_cross_site_form_changes_nothing(signed_on: SignedOn, path: str) -> None:
    client = signed_on("admin")
    client.handler.enforce_csrf_checks = True
    assert client.post(LIST + path, {"text": "x"}).status_code == 403


@pytest.mark.parametrize("pk", ["0", "999", "x", "9" * 30, "-1", "１"])
def test_unknown_flows_are_not_found(signed_on: SignedOn, pk: str) -> None:
    client = signed_on("admin")
    for page in ("change", "versions", "why"):
        assert client.get(f"{LIST}{pk}/{page}/").status_code == 404
    for change in ("enable", "disable", "delete"):
        assert client.post(f"{LIST}{pk}/{change}/").status_code == 404


def test_a_running_execution_continues_after_its_flow_is_deleted(signed_on: SignedOn) -> None:
    flow = save(step())
    tell(pack("Src"))
    signed_on("editor").post(f"{LIST}{flow.pk}/delete/")
    assert Execution.objects.get().state == "running"
