"""The flow editor: saving, permissions, conflicts and errors."""

from typing import Any

import pytest
from django.test import Client

from flows.models import Flow, FlowVersion
from flyte_site.models import Change
from tests.console.conftest import SignedOn
from tests.flows.builders import save as save_flow
from tests.flows.builders import step

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LIST = "/admin/flows/flow/"
ADD = f"{LIST}add/"
TEXT = """\
# why it is there
name: greet
steps:
  - id: hello
    event: {packName: Src, name: Go}
    command: {packName: Wrk, name: Do}
"""


def send(client: Client, path: str, text: str, **values: str) -> Any:
    return client.post(path, {"text": text, **values})


def added(client: Client, text: str = TEXT) -> Flow:
    assert send(client, ADD, text).status_code == 302
    return Flow.objects.select_related("version").get()


def change(flow: Flow) -> str:
    return f"{LIST}{flow.pk}/change/"


def test_a_new_flow_is_saved_as_written_and_logged(signed_on: SignedOn) -> None:
    answer = send(signed_on("editor"), ADD, TEXT.replace("\n", "\r\n"), note="a first try")
    flow = Flow.objects.select_related("version").get()
    assert answer.headers["Location"] == f"{change(flow)}?saved=new"
    version = flow.version
    assert (version.source, version.media_type, version.saved_by, version.note) == (
        TEXT,
        "application/x-yaml",
        "editor",
        "a first try",
    )
    noted = Change.objects.get()
    assert (noted.actor, noted.via, noted.what, noted.key) == ("editor", "console", "saved", "greet")
    assert noted.detail == {"version": version.id, "note": "a first try"}


def test_the_editor_shows_the_saved_text(signed_on: SignedOn) -> None:
    client = signed_on("editor")
    page = client.get(change(added(client))).content.decode()
    assert "# why it is there" in page
    assert "no pack &#x27;Src&#x27; is registered" in page


@pytest.mark.parametrize(
    ("role", "seen", "adds", "changes"),
    [
        ("", 403, 403, 403),
        ("viewer", 200, 403, 403),
        ("editor", 200, 302, 302),
        ("operator", 200, 403, 403),
        ("admin", 200, 302, 302),
    ],
)
def test_each_role_can_do_what_its_permissions_allow(
    signed_on: SignedOn, role: str, seen: int, adds: int, changes: int
) -> None:
    flow, client = save_flow(step()), signed_on(role)
    assert client.get(change(flow)).status_code == seen
    assert send(client, ADD, TEXT).status_code == adds
    written = TEXT.replace("greet", "flow")
    assert send(client, change(flow), written, expected=flow.version_id).status_code == changes
    assert FlowVersion.objects.count() == (3 if adds == 302 else 1)
    for path in ("check", "convert", "try", "events"):
        refused = client.post(f"{LIST}{path}/", {}, content_type="application/json").status_code == 403
        assert refused is (changes == 403), path
    assert (client.get(f"{LIST}words/").status_code == 403) is (changes == 403)


def test_a_user_who_can_only_view_gets_a_read_only_text(signed_on: SignedOn) -> None:
    page = signed_on("viewer").get(change(save_flow(step()))).content.decode()
    assert " readonly" in page
    assert 'id="save"' not in page
    assert 'id="try"' not in page


def test_without_scripts_errors_have_lines_and_the_text_is_kept(signed_on: SignedOn) -> None:
    answer = send(signed_on("editor"), ADD, TEXT.replace("name: Do}", "nam: Do}"), note="my note")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'data-line="6"' in page
    assert "unknown key; did you mean name?" in page
    assert "nam: Do}" in page
    assert "my note" in page
    assert not Flow.objects.exists()


@pytest.mark.parametrize(
    "text", ["", "  ", "[", "{", "a", "- 1", "name: x", "\x00", "a: &a [*a]", "name: !!python/x y", "x" * 500_001]
)
def test_no_text_makes_the_editor_fail(signed_on: SignedOn, text: str) -> None:
    answer = send(signed_on("editor"), ADD, text)
    assert answer.status_code == 200
    assert 'class="error"' in answer.content.decode()
    assert not Flow.objects.exists()


def test_a_too_long_note_keeps_the_text(signed_on: SignedOn) -> None:
    answer = send(signed_on("editor"), ADD, TEXT, note="x" * 501)
    assert "at most 500 characters" in answer.content.decode()
    assert not Flow.objects.exists()


def test_saving_an_unchanged_text_makes_no_version(signed_on: SignedOn) -> None:
    client = signed_on("editor")
    flow = added(client)
    answer = client.post(change(flow), {"text": TEXT, "expected": flow.version_id}, follow=True)
    assert "Nothing has changed" in answer.content.decode()
    assert FlowVersion.objects.count() == 1


def test_a_conflicting_save_shows_the_other_change_and_can_overwrite_it(signed_on: SignedOn) -> None:
    ann, bob = signed_on("editor"), signed_on("admin")
    flow = added(ann)
    theirs, mine = TEXT.replace("hello", "theirs"), TEXT.replace("hello", "mine")
    assert send(bob, change(flow), theirs, expected=flow.version_id).status_code == 302
    answer = send(ann, change(flow), mine, expected=flow.version_id)
    page = answer.content.decode()
    assert "The flow has changed since you opened it" in page
    assert "<del>theirs</del>" in page
    assert "<ins>mine</ins>" in page
    flow.refresh_from_db()
    assert flow.version.source == theirs
    assert f'name="expected" value="{flow.version_id}"' in page
    assert send(ann, change(flow), mine, expected=flow.version_id).status_code == 302
    flow.refresh_from_db()
    assert flow.version.source == mine


def test_a_new_flow_does_not_silently_replace_one_with_its_name(signed_on: SignedOn) -> None:
    client = signed_on("editor")
    flow = added(client)
    page = send(client, ADD, TEXT.replace("hello", "mine")).content.decode()
    assert "A flow with this name already exists" in page
    assert FlowVersion.objects.count() == 1
    assert send(client, ADD, TEXT.replace("hello", "mine"), expected=flow.version_id).status_code == 302


def test_the_text_of_a_flow_deleted_meanwhile_is_kept(signed_on: SignedOn) -> None:
    client = signed_on("editor")
    flow = added(client)
    path, expected = change(flow), flow.version_id
    client.post(f"{LIST}{flow.pk}/delete/")
    page = send(client, path, TEXT, expected=expected).content.decode()
    assert "has been deleted since you opened it" in page
    assert "# why it is there" in page
    assert not Flow.objects.exists()
    assert send(client, path, TEXT, expected="").status_code == 302
    assert Flow.objects.get().name == "greet"


def test_a_changed_name_asks_before_creating_a_new_flow(signed_on: SignedOn) -> None:
    client = signed_on("editor")
    flow = added(client)
    written = TEXT.replace("greet", "welcome")
    page = send(client, change(flow), written, expected=flow.version_id).content.decode()
    assert "Saving creates a new flow welcome" in page
    assert Flow.objects.count() == 1
    sent = send(client, change(flow), written, expected=flow.version_id, save_as="welcome", other_version="")
    assert sent.headers["Location"].endswith(f"?saved={flow.pk}")
    assert set(Flow.objects.values_list("name", flat=True)) == {"greet", "welcome"}


def test_a_changed_name_does_not_silently_replace_an_existing_flow(signed_on: SignedOn) -> None:
    client = signed_on("editor")
    flow = added(client)
    other = save_flow(step(), name="welcome")
    written = TEXT.replace("greet", "welcome")
    page = send(client, change(flow), written, expected=flow.version_id).content.decode()
    assert "A flow welcome already exists" in page
    assert f'name="other_version" value="{other.version_id}"' in page
    stale = send(client, change(flow), written, save_as="welcome", other_version=flow.version_id)
    assert "has changed since you opened it" in stale.content.decode()
    assert send(client, change(flow), written, save_as="welcome", other_version=other.version_id).status_code == 302


def test_a_document_enables_a_flow_only_with_permission(signed_on: SignedOn) -> None:
    editor, admin = signed_on("editor"), signed_on("admin")
    flow = added(editor)
    written = TEXT + "enabled: false\n"
    page = send(editor, change(flow), written, expected=flow.version_id).content.decode()
    assert "you are not allowed to change that" in page
    assert "saving this disables it" in page
    assert send(admin, change(flow), written, expected=flow.version_id).status_code == 302
    flow.refresh_from_db()
    assert not flow.enabled
    assert [change.what for change in Change.objects.order_by("id")] == ["saved", "saved", "disabled"]


def test_the_editor_runs_a_bounded_number_of_queries(signed_on: SignedOn, django_assert_num_queries: Any) -> None:
    client = signed_on("editor")
    steps = [step(id=f"s{number}", event={"packName": f"P{number}", "name": "Go"}) for number in range(50)]
    flow = save_flow(*steps)
    with django_assert_num_queries(8):
        assert client.get(change(flow)).status_code == 200
