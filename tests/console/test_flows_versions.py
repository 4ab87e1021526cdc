"""Versions of a flow, their diff, and the diagnosis of a flow that did not run."""

import html
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from flows.definition import parse_flow, store
from flows.models import Event, Flow, FlowVersion
from flyte_site.models import Change
from tests.console.conftest import SignedOn
from tests.flows.builders import document, pack, save, step, tell

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LIST = "/admin/flows/flow/"
ROLES = ("", "viewer", "editor", "operator", "admin")


def two_versions() -> Flow:
    for word in ("before", "after"):
        flow = store.save_flow(parse_flow(document(step(), description=word)), note=f"note {word}", saved_by="ann")
    return flow


def test_the_last_two_versions_are_compared_initially(signed_on: SignedOn) -> None:
    page = signed_on("viewer").get(f"{LIST}{two_versions().pk}/versions/").content.decode()
    for expected in ("<del>before</del>", "<ins>after</ins>", "note before", "ann", "current"):
        assert expected in page
    assert "Restore" not in page


def test_any_two_versions_are_compared_older_first(signed_on: SignedOn) -> None:
    flow, client = two_versions(), signed_on("viewer")
    old, new = FlowVersion.objects.order_by("id")
    page = client.get(f"{LIST}{flow.pk}/versions/", {"from": new.id, "to": old.id}).content.decode()
    assert "<del>before</del>" in page
    assert "No differences" in client.get(f"{LIST}{flow.pk}/versions/", {"from": new.id, "to": new.id}).content.decode()
    other = save(step(), name="other").version_id
    for wrong in ({"from": other}, {"to": other}, {"to": "x"}, {"from": "\x00"}):
        assert client.get(f"{LIST}{flow.pk}/versions/", wrong).status_code == 404


def test_a_flow_with_one_version_has_no_comparison(signed_on: SignedOn) -> None:
    page = signed_on("viewer").get(f"{LIST}{save(step()).pk}/versions/").content.decode()
    assert "nothing to compare it with" in page


def test_the_versions_are_paginated(signed_on: SignedOn, django_assert_num_queries: Any) -> None:
    client = signed_on("editor")
    for number in range(55):
        flow = store.save_flow(parse_flow(document(step(), description=str(number))))
    with django_assert_num_queries(10):
        page = client.get(f"{LIST}{flow.pk}/versions/").content.decode()
    assert "Page 1 of 2" in page


def test_an_execution_links_to_its_version(signed_on: SignedOn) -> None:
    flow, client = two_versions(), signed_on("viewer")
    old = FlowVersion.objects.order_by("id")[0]
    answer = client.get(f"{LIST}{flow.pk}/change/", {"version": old.id}, follow=True)
    page = answer.content.decode()
    assert "Older version" in page
    assert "description: before" in page
    assert "<svg" in page
    assert client.get(f"{LIST}version/nothing/").status_code == 404


@pytest.mark.parametrize("role", ROLES)
def test_only_users_with_permission_restore_a_version(signed_on: SignedOn, role: str) -> None:
    flow, client = two_versions(), signed_on(role)
    old = FlowVersion.objects.order_by("id")[0]
    may = role in ("editor", "admin")
    assert client.get(f"{LIST}version/{old.id}/restore/").status_code == 405
    assert client.post(f"{LIST}version/{old.id}/restore/").status_code == (302 if may else 403)
    flow.refresh_from_db()
    assert flow.description == ("before" if may else "after")
    if may:
        assert flow.version.saved_by == role
        noted = Change.objects.get()
        assert (noted.what, noted.detail) == ("restored", {"version": flow.version_id, "of": old.id})


def test_a_user_who_can_only_add_flows_restores_only_deleted_ones(signed_on: SignedOn) -> None:
    flow, client = two_versions(), signed_on("")
    User.objects.get().user_permissions.add(Permission.objects.get(codename="add_flow"))
    restore = f"{LIST}version/{flow.version_id}/restore/"
    assert client.post(restore).status_code == 403
    store.delete_flow(flow.name)
    assert client.post(restore).status_code == 302


def test_a_deleted_flow_is_restored_from_a_version(signed_on: SignedOn) -> None:
    flow, client = two_versions(), signed_on("editor")
    client.post(f"{LIST}{flow.pk}/delete/")
    page = client.get(f"{LIST}version/{flow.version_id}/").content.decode()
    assert "Version of a deleted flow" in page
    assert client.post(f"{LIST}version/{flow.version_id}/restore/").status_code == 302
    assert Flow.objects.get().description == "after"


def test_a_version_that_violates_current_rules_is_not_restored(signed_on: SignedOn) -> None:
    flow = two_versions()
    bad = FlowVersion.objects.create(flow_name="flow", document={"name": "flow", "steps": 5})
    answer = signed_on("editor").post(f"{LIST}version/{bad.id}/restore/", follow=True)
    assert "violates rules that were added after it was saved" in answer.content.decode()
    flow.refresh_from_db()
    assert flow.description == "after"


def test_the_diagnosis_shows_why_a_flow_did_not_run(signed_on: SignedOn) -> None:
    flow = save(step(criteria="{{ Event.Payload.word == 'go' }}"))
    src = pack("Src")
    tell(src, "Go", {"word": "stop"})
    tell(src, "Go", {"word": "go"})
    page = signed_on("viewer").get(f"{LIST}{flow.pk}/why/").content.decode()
    for expected in (
        "criteria false",
        "Event.Payload.word",
        "&quot;stop&quot;",
        "fired",
        "no pack &#x27;Wrk&#x27; is registered",
    ):
        assert expected in page


def test_the_diagnosis_and_the_events_page_show_warnings_about_false_criteria(signed_on: SignedOn) -> None:
    flow = save(step(criteria="{{ Event.Payload.code == 200 }}"))
    tell(pack("Src"), "Go", {"code": "200"})
    client, event_id = signed_on("viewer"), Event.objects.get().id
    for path in (f"{LIST}{flow.pk}/why/", reverse("admin:flows_event_change", args=[event_id])):
        page = html.unescape(client.get(path).content.decode())
        assert "the number 200 never equals the string '200': convert it with |integer or |float" in page


def test_the_diagnosis_shows_criteria_once_and_marks_outcomes_of_older_versions(signed_on: SignedOn) -> None:
    flow, src = save(step(criteria="{{ Event.Payload.word == 'go' }}")), pack("Src")
    tell(src, "Go", {"word": "stop"})
    old = flow.version_id
    flow = save(step(criteria="{{ Event.Payload.word == 'walk' }}"))
    for word in ("stop", "stop", "walk"):
        tell(src, "Go", {"word": word})
    answer = signed_on("viewer").get(f"{LIST}{flow.pk}/why/")
    assert [outcome["older"] for outcome in answer.context["outcomes"]] == [False, False, False, True]
    page = html.unescape(answer.content.decode())
    assert page.index("{{ Event.Payload.word == 'walk' }}") < page.index("{{ Event.Payload.word == 'go' }}")
    assert f'<a href="{LIST}version/{old}/">an older version</a> of the flow' in page
    assert page.count("{{ Event.Payload.word == 'walk' }}") == 1
    assert "the criteria are false" not in page


def test_the_diagnosis_shows_near_misses(signed_on: SignedOn) -> None:
    flow = save(step())
    tell(pack("Src"), "go")
    tell(pack("Other"), "Go")
    tell(pack("Far"), "Away")
    page = signed_on("viewer").get(f"{LIST}{flow.pk}/why/").content.decode()
    assert "the flow subscribes to Src.Go (names are case-sensitive)" in page
    assert "the flow subscribes to Go of Src, not of Other" in page
    assert "Away" not in page


def test_the_diagnosis_of_a_disabled_flow_says_so_first(signed_on: SignedOn) -> None:
    page = signed_on("viewer").get(f"{LIST}{save(step(), enabled=False).pk}/why/").content.decode()
    assert "The flow is disabled" in page
    assert "No such events" in page
