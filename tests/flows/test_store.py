"""Saving flows: versions, notes, conflicts, enabling and disabling."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from flows.definition import FlowValidationError, parse_flow, store
from flows.models import Execution, Flow, FlowVersion
from tests.flows import builders as b
from tests.site.shape import paths_of_errors, problem

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def post(client: Client, description: str = "", *, query: str = "", **headers: str) -> Any:
    flow = b.document(b.step(), description=description)
    return client.post(f"/v1/flows{query}", flow, content_type="application/json", headers=headers)


def test_a_save_on_an_unexpected_version_is_rejected_with_the_current_one() -> None:
    first = b.save(b.step()).version_id
    second = store.save_flow(parse_flow(b.document(b.step())), expected_version_id=first).version_id
    with pytest.raises(store.VersionConflictError) as caught:
        store.save_flow(parse_flow(b.document(b.step(), description="lost")), expected_version_id=first)
    assert caught.value.current_version_id == second
    assert Flow.objects.get().version_id == second
    assert FlowVersion.objects.count() == 2, "no version of a rejected save"


def test_an_existing_or_deleted_flow_is_a_conflict() -> None:
    document = parse_flow(b.document(b.step()))
    with pytest.raises(store.VersionConflictError) as caught:
        store.save_flow(document, expected_version_id="0" * 24)
    assert caught.value.current_version_id == ""
    version = store.save_flow(document, expected_version_id="").version_id
    with pytest.raises(store.VersionConflictError) as caught:
        store.save_flow(document, expected_version_id="")
    assert caught.value.current_version_id == version


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_one_of_several_concurrent_saves_on_a_version_succeeds() -> None:
    first = b.save(b.step()).version_id
    saved, refused = [], []
    barrier = threading.Barrier(4)

    def save(number: int) -> None:
        barrier.wait(30)
        try:
            document = parse_flow(b.document(b.step(), description=str(number)))
            saved.append(store.save_flow(document, expected_version_id=first).version_id)
        except store.VersionConflictError as conflict:
            refused.append(conflict.current_version_id)
        finally:
            connection.close()

    threads = [threading.Thread(target=save, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert refused == saved * 3
    assert Flow.objects.get().version_id == saved[0]


def test_restoring_saves_the_old_document_and_keeps_enabled() -> None:
    source = b.pack("Src")
    old = b.save(b.step(id="old")).version_id
    b.save(b.step(id="new", event={"packName": "Src", "name": "Else"}), enabled=False)
    restored = store.restore_version(old)
    assert restored is not None
    assert restored.version_id not in (old, "")
    assert restored.version.note.startswith("restored from 20")
    assert not Flow.objects.get().enabled
    store.set_enabled("flow", True)
    b.tell(source)
    assert b.fired(b.only_execution()) == {"old"}
    assert store.restore_version("0" * 24) is None


def test_an_invalid_version_is_not_restored() -> None:
    version = FlowVersion.objects.create(flow_name="flow", document={"name": "flow", "steps": 5})
    with pytest.raises(FlowValidationError):
        store.restore_version(version.id)


def test_enabling_makes_no_version() -> None:
    source, version = b.pack("Src"), b.save(b.step()).version_id
    assert store.set_enabled("flow", False)
    b.tell(source)
    assert not Execution.objects.exists()
    assert store.set_enabled("flow", True)
    b.tell(source)
    assert Execution.objects.count() == 1
    assert list(FlowVersion.objects.values_list("id", flat=True)) == [version]
    assert not store.set_enabled("none", True)


def test_enabling_and_disabling_over_the_api(client: Client) -> None:
    b.save(b.step())
    assert client.post("/v1/flows/flow/disable").status_code == 204
    assert client.get("/v1/flows/flow").json()["enabled"] is False
    assert client.post("/v1/flows/flow/enable").status_code == 204
    assert "enabled" not in client.get("/v1/flows/flow").json()


def test_a_post_with_the_etag_of_an_older_version_is_412(client: Client) -> None:
    etag = post(client).headers["ETag"]
    assert client.get("/v1/flows/flow").headers["ETag"] == etag
    newer = post(client, "second", **{"if-match": etag}).headers["ETag"]
    refused = post(client, "third", **{"if-match": etag})
    problem(refused, 412)
    assert refused.headers["ETag"] == newer
    problem(post(client, "third", **{"if-none-match": "*"}), 412)
    assert client.get("/v1/flows/flow").json()["description"] == "second"
    missing = client.post(
        "/v1/flows",
        b.document(b.step(), name="date"),
        content_type="application/json",
        headers={"if-match": '"nope"'},
    )
    assert problem(missing, 412)["detail"] == "flow 'date' does not exist (If-Match was \"nope\")"
    assert client.delete("/v1/flows/flow").status_code == 204
    assert problem(post(client, "fourth", **{"if-match": newer}), 412)["detail"] == "the flow was deleted"
    for wrong in ("*", "x", '"', '""', '"a", "b"', 'W/"a"'):
        assert paths_of_errors(post(client, **{"if-match": wrong})) == ["If-Match"], wrong


def test_versions_are_listed_with_their_notes_and_can_be_restored(client: Client) -> None:
    post(client, "first", query="?note=to%20begin")
    post(client, "second")
    newer, older = client.get("/v1/flows/flow/versions").json()["versions"]
    assert (older["note"], "note" in newer) == ("to begin", False)
    assert (newer["current"], "current" in older) == (True, False)
    path = older["links"][0]["href"]
    assert client.get(path).json()["document"]["description"] == "first"
    assert client.post(f"{path}/restore").status_code == 201
    assert client.get("/v1/flows/flow").json()["description"] == "first"
    assert paths_of_errors(post(client, query="?note=" + "x" * 501)) == ["note"]


def test_the_versions_of_a_deleted_flow_are_kept(client: Client) -> None:
    post(client)
    client.delete("/v1/flows/flow")
    (version,) = client.get("/v1/flows/flow/versions").json()["versions"]
    assert "current" not in version
    problem(client.get(f"/v1/flows/other/versions/{version['uuid']}"), 404)
    assert client.post(f"/v1/flows/flow/versions/{version['uuid']}/restore").status_code == 201
    assert client.get("/v1/flows/flow").status_code == 200
    assert client.get("/v1/flows/flow/versions?after=0").json()["versions"] == []


def test_restoring_an_invalid_version_is_409_with_the_reason(client: Client) -> None:
    version = FlowVersion.objects.create(flow_name="flow", document={"name": "flow", "steps": 5})
    restored = client.post(f"/v1/flows/flow/versions/{version.id}/restore")
    assert paths_of_errors(restored, 409) == ["steps"]
