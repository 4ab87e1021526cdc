"""The activity log: the same record for changes by the API, the console and commands, without unnecessary data."""

import ast
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client, override_settings
from django.utils import timezone

from flows.models import Execution
from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR, USER_KIND, log_activity, prune_activity_log
from flyte_site.console.accounts import create_first_admin
from flyte_site.console.activity_list import KINDS
from flyte_site.models import Change, OneTimePassword
from packs.dead_packs import delete_dead_packs
from packs.models import Pack
from tests.console.conftest import SignedOn
from tests.console.looking import text_of
from tests.flows import builders as b
from tests.site.shape import put_value
from tests.test_architecture import ROOT, SERVER

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

API = ("anonymous", "api")
PACK = {"name": "Src", "commands": [], "events": [{"name": "Go"}], "links": []}
FLOW = b.document(b.step(id="a"), name="f")


def read_records() -> list[tuple[str, str, str]]:
    """Return all records, the oldest first, and delete them."""
    records = [(change.what, change.kind, change.key) for change in Change.objects.order_by("pk")]
    Change.objects.all().delete()
    return records


def post(client: Client, path: str, body: Any = None) -> None:
    answer = client.post(path, body or {}, content_type="application/json")
    assert answer.status_code < 300, answer.content


def test_changes_of_flows_by_the_api_are_recorded(client: Client) -> None:
    post(client, "/v1/flows?note=first", FLOW)
    saved = Change.objects.get()
    assert ((saved.actor, saved.via), saved.detail["note"]) == (API, "first")
    assert read_records() == [("saved", "flow", "f")]
    version = client.get("/v1/flows/f/versions").json()["versions"][0]["uuid"]
    for word in ("disable", "enable", f"versions/{version}/restore"):
        post(client, f"/v1/flows/f/{word}")
    client.delete("/v1/flows/f")
    assert [what for what, *_ in read_records()] == ["disabled", "enabled", "restored", "deleted"]


def test_the_filter_has_every_kind_that_is_recorded() -> None:
    trees = [ast.parse(path.read_text()) for room in SERVER for path in (ROOT / room).rglob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    kinds = [call.args[2] for call in calls if getattr(call.func, "id", "") == "log_activity" and len(call.args) == 4]
    recorded = {node.value for node in kinds if isinstance(node, ast.Constant)} | {"role"}  # `kind` in forms of users
    recorded |= {USER_KIND for node in kinds if isinstance(node, ast.Name) and node.id == "USER_KIND"}
    assert recorded == set(KINDS)


def test_the_kind_of_users_is_shown_as_user_whatever_is_stored(signed_on: SignedOn) -> None:
    log_activity(COMMAND_LINE_ACTOR, "created", "person", "ann")
    answer = signed_on("admin").get("/admin/flyte_site/change/?kind=person")
    said = text_of(answer)
    assert "created user ann" in said
    assert "person" not in said
    assert '<option value="person" selected>user</option>' in answer.content.decode()


def test_refused_requests_are_not_recorded(client: Client) -> None:
    client.post("/v1/flows", {"name": "f"}, content_type="application/json")
    client.delete("/v1/flows/f")
    client.delete("/v1/packs/f")
    client.delete("/v1/datastore/f")
    client.post("/v1/flows/f/enable")
    client.post("/v1/audit/flows/x/cancel")
    client.post("/v1/audit/flows/x/replay")
    assert read_records() == []


def test_changes_of_the_datastore_by_the_api_are_recorded_without_the_value(client: Client) -> None:
    put_value(client, "k", b"hunter2")
    put_value(client, "k", b"hunter3")
    client.delete("/v1/datastore/k")
    assert "hunter" not in str(list(Change.objects.values()))
    assert [(what, key) for what, _, key in read_records()] == [("created", "k"), ("changed", "k"), ("deleted", "k")]


def test_an_unchanged_registration_is_not_recorded(client: Client) -> None:
    post(client, "/v1/packs", PACK)
    assert read_records() == [("registered", "pack", "Src")]
    post(client, "/v1/packs", PACK)
    client.post("/v1/packs/Src/actions/take")
    assert read_records() == []
    post(client, "/v1/packs", {**PACK, "events": []})
    client.delete("/v1/packs/Src")
    assert read_records() == [("changed", "pack", "Src"), ("deleted", "pack", "Src")]


def test_a_pack_that_the_server_deletes_is_recorded_too() -> None:
    b.pack("Src")
    Pack.objects.update(last_seen=timezone.now() - timedelta(days=900))
    read_records()
    assert delete_dead_packs() == 1
    assert read_records() == [("deleted", "pack", "Src")]


def test_run_control_is_recorded_from_the_api_and_from_scripts(client: Client) -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"))
    b.tell(source)
    execution = Execution.objects.get().id
    read_records()
    b.give(worker, b.take(worker), name="FATAL")
    post(client, f"/v1/audit/flows/{execution}/steps/a/retry")
    post(client, f"/v1/audit/flows/{execution}/cancel")
    call_command("execution", execution, "replay", stdout=StringIO())
    assert set(Change.objects.values_list("via", flat=True)) == {"api", "command"}
    assert read_records() == [(what, "execution", execution) for what in ("retried", "cancelled", "replayed")]


def test_changes_of_accounts_by_commands_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    create_first_admin()
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "much better 1")
    call_command("createsuperuser", "--noinput", username="root", email="", stdout=StringIO())
    monkeypatch.setattr("getpass.getpass", lambda prompt="": "much better 2")
    call_command("changepassword", "admin", stdout=StringIO())
    assert User.objects.get(username="admin").check_password("much better 2")
    assert not OneTimePassword.objects.exists()
    assert "better" not in str(list(Change.objects.values()))
    assert [(what, key) for what, _, key in read_records()] == [
        ("created", "admin"),
        ("created", "root"),
        ("changed password", "admin"),
    ]


def test_the_one_time_password_can_not_be_chosen_again(client: Client) -> None:
    password = create_first_admin()
    client.post("/admin/login/", {"username": "admin", "password": password})
    chosen = {"new_password1": password, "new_password2": password}
    assert "must differ from the old one" in client.post("/admin/password_change/", chosen).content.decode()
    assert OneTimePassword.objects.exists()


@override_settings(FLYTE_TTL_IN_SECONDS=3600)
def test_changes_are_forgotten_with_what_they_are_about() -> None:
    for age in (30, 90):
        log_activity(COMMAND_LINE_ACTOR, "saved", "flow", f"{age} minutes")
        Change.objects.filter(key=f"{age} minutes").update(at=timezone.now() - timedelta(minutes=age))
    assert prune_activity_log(dry_run=True) == 1
    out = StringIO()
    call_command("forget_changes", stdout=out)
    assert "1 change was deleted" in out.getvalue()
    assert Change.objects.get().key == "30 minutes"


def test_pages_of_changes_have_no_gaps_and_no_overlaps(signed_on: SignedOn) -> None:
    for number in range(120):
        log_activity(COMMAND_LINE_ACTOR, "saved", "flow", f"f{number}")
    client, keys = signed_on("viewer"), []
    query = "kind=flow"
    while query:
        answer = client.get(f"/admin/flyte_site/change/?{query}")
        keys += [change.key for change in answer.context["changes"]]
        query, newer = answer.context["older"], answer.context["newer"]
    assert keys == [f"f{number}" for number in reversed(range(120))]
    back = client.get(f"/admin/flyte_site/change/?{newer}")
    assert [change.key for change in back.context["changes"]] == keys[50:100]


@pytest.mark.parametrize(
    "query", ["before=x", "after=" + "9" * 30, "before=-1", "kind=%00", "key=%F0%9F%98%80&actor=%ff"]
)
def test_no_query_of_changes_causes_a_server_error(signed_on: SignedOn, query: str) -> None:
    assert signed_on("viewer").get(f"/admin/flyte_site/change/?{query}").status_code == 200


def test_a_page_of_changes_needs_constant_queries(signed_on: SignedOn, django_assert_max_num_queries: Any) -> None:
    Change.objects.bulk_create(
        Change(actor="a", via="api", kind="flow", key=f"<b>{n}", what="saved") for n in range(500)
    )
    client = signed_on("viewer")
    with django_assert_max_num_queries(8):
        page = client.get("/admin/flyte_site/change/").content.decode()
    assert "&lt;b&gt;499" in page
    assert "<b>" not in page
