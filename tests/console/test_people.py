"""Users and roles: nobody can assign or take over more permissions than they have."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client, override_settings
from django.utils import timezone

from flyte_site.console.permission_choices import PERMISSION_LABELS
from flyte_site.models import Change, OneTimePassword
from tests.console.conftest import SignedOn

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

CHOSEN = "seven-small-boats"


def helpdesk(*permissions: str) -> Client:
    """Create a user with the permission to change users and with the listed ones only; return the client."""
    user = User.objects.create_user("helpdesk", password="x")
    names = ["view_user", "add_user", "change_user", "delete_user", "view_group", "add_group", "change_group"]
    user.user_permissions.set(Permission.objects.filter(codename__in=[*names, *permissions]))
    client = Client()
    client.force_login(user)
    return client


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def somebody(role: str) -> User:
    user = User.objects.create_user(f"some-{role}", password="x")
    user.groups.add(Group.objects.get(name=role))
    return user


@pytest.mark.parametrize("role", ["viewer", "editor", "operator", "admin"])
def test_a_role_has_its_permissions(role: str) -> None:
    may = User.objects.get(pk=somebody(role).pk).has_perm
    edits, controls, rules = role in ("editor", "admin"), role in ("operator", "admin"), role == "admin"
    assert all(map(may, ["flows.view_flow", "flows.view_execution", "packs.view_pack", "datastore.view_item"]))
    assert may("flows.change_flow") == may("flows.delete_flow") == may("datastore.delete_item") == edits
    assert may("flows.control_execution") == may("flows.enable_flow") == may("packs.delete_pack") == controls
    assert may("auth.change_user") == may("auth.add_group") == may("auth.delete_group") == rules


def test_a_user_manager_cannot_take_over_users_with_more_permissions() -> None:
    client, stronger = helpdesk(), somebody("admin")
    for path in ("change", "password", "delete"):
        answer = client.post(f"/admin/auth/user/{stronger.pk}/{path}/", {"post": "yes"})
        assert answer.status_code == 403, path
    stronger.refresh_from_db()
    assert stronger.check_password("x")


def test_nobody_assigns_a_role_with_more_permissions_than_they_have() -> None:
    client, other = helpdesk(), User.objects.create_user("other")
    viewer, admin = (Group.objects.get(name=name).pk for name in ("viewer", "admin"))
    assert f'value="{admin}"' not in page(client, f"/admin/auth/user/{other.pk}/change/")
    form: dict[str, Any] = {"username": "other", "is_active": "on", "groups": [admin]}
    assert "not one of the available" in client.post(f"/admin/auth/user/{other.pk}/change/", form).content.decode()
    assert not other.groups.exists()
    assert f'value="{viewer}"' not in page(client, f"/admin/auth/user/{other.pk}/change/")


def test_nobody_creates_a_role_with_more_permissions_than_they_have() -> None:
    client = helpdesk()
    delete_flow = Permission.objects.get(codename="delete_flow").pk
    client.post("/admin/auth/group/add/", {"name": "mine", "permissions": [delete_flow]})
    assert not Group.objects.filter(name="mine").exists()
    editor = Group.objects.get(name="editor")
    assert client.post(f"/admin/auth/group/{editor.pk}/change/", {"name": "x"}).status_code == 403


def test_an_admin_creates_users_and_roles(signed_on: SignedOn) -> None:
    client = signed_on("admin")
    view_flow = Permission.objects.get(codename="view_flow").pk
    client.post("/admin/auth/group/add/", {"name": "readers", "permissions": [view_flow]})
    readers = Group.objects.get(name="readers")
    client.post("/admin/auth/user/add/", {"username": "new", "groups": [readers.pk]})
    assert User.objects.get(username="new").has_perm("flows.view_flow")
    assert list(Change.objects.order_by("pk").values_list("what", "kind", "key")) == [
        ("created", "role", "readers"),
        ("created", "person", "new"),
    ]


def test_the_history_of_a_person_is_the_list_of_their_changes(signed_on: SignedOn) -> None:
    client, other = signed_on("admin"), somebody("viewer")
    password = one_time_password(client.post(f"/admin/auth/user/{other.pk}/password/"))
    answer = client.get(f"/admin/auth/user/{other.pk}/history/", follow=True)
    assert answer.redirect_chain[-1][0].startswith("/admin/flyte_site/change/?kind=person&key=some-viewer")
    assert [change.what for change in answer.context["changes"]] == ["created one-time password"]
    assert password not in answer.content.decode()


def one_time_password(answer: Any) -> str:
    """Parse the one-time password in a response."""
    (password,) = re.findall(r'<pre class="text" id="one-time-password">([\w-]{16})</pre>', answer.content.decode())
    assert "no-store" in answer.headers["Cache-Control"]
    return str(password)


def sign_on(name: str, password: str) -> Client:
    client = Client()
    assert client.post("/admin/login/", {"username": name, "password": password}).status_code == 302
    return client


def choose(client: Client) -> None:
    assert client.get("/admin/").headers["Location"] == "/admin/password_change/"
    assert "old_password" not in page(client, "/admin/password_change/")
    assert client.post("/admin/password_change/", chosen()).headers["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def chosen() -> dict[str, str]:
    return {"new_password1": CHOSEN, "new_password2": CHOSEN}


def test_a_new_user_must_choose_a_password_first(signed_on: SignedOn) -> None:
    client = signed_on("admin")
    assert "New user" in page(client, "/admin/auth/user/add/")
    assert "New user" in page(client, "/admin/auth/user/")
    password = one_time_password(client.post("/admin/auth/user/add/", {"username": "new"}))
    user = User.objects.get(username="new")
    assert "one-time password" in page(client, f"/admin/auth/user/{user.pk}/change/")
    choose(sign_on("new", password))
    assert "chosen by the user" in page(client, f"/admin/auth/user/{user.pk}/change/")


def test_a_new_one_time_password_ends_the_sessions_of_the_user(signed_on: SignedOn) -> None:
    client, other = signed_on("admin"), somebody("viewer")
    theirs = sign_on("some-viewer", "x")
    address = f"/admin/auth/user/{other.pk}/password/"
    assert "Create one-time password" in page(client, address)
    assert theirs.get("/admin/").status_code == 200, "nothing is done before it is asked for"
    password = one_time_password(client.post(address))
    assert theirs.get("/admin/").headers["Location"].startswith("/admin/login/")
    choose(sign_on("some-viewer", password))


def test_a_user_is_redirected_to_the_requested_page_after_choosing_a_password(signed_on: SignedOn) -> None:
    password = one_time_password(signed_on("admin").post("/admin/auth/user/add/", {"username": "new"}))
    client, target = Client(), "/admin/flows/flow/?q=a&b=c"
    sent = client.get(target).headers["Location"]
    sent = client.post(sent, {"username": "new", "password": password, "next": target}).headers["Location"]
    assert sent == target
    sent = client.get(target).headers["Location"]
    assert sent == "/admin/password_change/?next=%2Fadmin%2Fflows%2Fflow%2F%3Fq%3Da%26b%3Dc"
    assert client.post(sent, chosen()).headers["Location"] == target


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "", "/\\evil"]
)
def test_a_user_is_not_redirected_to_another_site_after_choosing_a_password(
    signed_on: SignedOn, elsewhere: str
) -> None:
    password = one_time_password(signed_on("admin").post("/admin/auth/user/add/", {"username": "new"}))
    client = sign_on("new", password)
    path = "/admin/password_change/?" + urlencode({"next": elsewhere})
    assert client.post(path, chosen()).headers["Location"] == "/admin/"


def test_a_user_who_sent_a_form_is_redirected_to_the_home_page(signed_on: SignedOn) -> None:
    password = one_time_password(signed_on("admin").post("/admin/auth/user/add/", {"username": "new"}))
    assert (
        sign_on("new", password).post("/admin/flows/flow/1/disable/").headers["Location"] == "/admin/password_change/"
    )


def test_an_expired_one_time_password_is_refused(signed_on: SignedOn) -> None:
    admin = signed_on("admin")
    password = one_time_password(admin.post("/admin/auth/user/add/", {"username": "new"}))
    user, early = User.objects.get(username="new"), sign_on("new", password)
    theirs = f"/admin/auth/user/{user.pk}/change/"
    assert "not used yet, expires <time" in page(admin, theirs)
    OneTimePassword.objects.update(made_at=timezone.now() - timedelta(hours=73))
    assert "not used, expired <time" in page(admin, theirs)
    refused = Client().post("/admin/login/", {"username": "new", "password": password}).content.decode()
    assert "has expired" in refused
    wrong = Client().post("/admin/login/", {"username": "new", "password": "wrong"}).content.decode()
    assert "has expired" not in wrong
    assert early.post("/admin/password_change/", chosen()).headers["Location"] == "/admin/login/"
    assert "has expired" in page(early, "/admin/login/")
    assert not User.objects.get(username="new").check_password(CHOSEN)
    another = one_time_password(admin.post(f"/admin/auth/user/{user.pk}/password/"))
    choose(sign_on("new", another))


@override_settings(FLYTE_ONE_TIME_PASSWORD_SECONDS=7 * 24 * 3600)
def test_the_lifetime_of_a_one_time_password_is_a_setting(signed_on: SignedOn) -> None:
    response = signed_on("admin").post("/admin/auth/user/add/", {"username": "new"})
    assert "within 7 d" in response.content.decode()
    OneTimePassword.objects.update(made_at=timezone.now() - timedelta(hours=73))
    choose(sign_on("new", one_time_password(response)))


def test_a_permanent_password_is_changed_only_with_the_old_one(signed_on: SignedOn) -> None:
    somebody("viewer")
    client = sign_on("some-viewer", "x")
    assert "old_password" in page(client, "/admin/password_change/")
    assert client.post("/admin/password_change/", chosen()).status_code == 200
    assert client.post("/admin/password_change/", {**chosen(), "old_password": "wrong"}).status_code == 200
    assert User.objects.get(username="some-viewer").check_password("x")
    changed = client.post("/admin/password_change/", {**chosen(), "old_password": "x"})
    assert changed.headers["Location"] == "/admin/password_change/done/"
    assert User.objects.get(username="some-viewer").check_password(CHOSEN)


def test_the_own_password_is_changed_on_the_password_page(signed_on: SignedOn) -> None:
    client = signed_on("admin")
    admin = User.objects.get(username="admin")
    assert client.post(f"/admin/auth/user/{admin.pk}/password/").headers["Location"] == "/admin/password_change/"
    assert client.get("/admin/auth/user/99999/password/").status_code == 404


def test_user_names_must_differ_in_more_than_case(signed_on: SignedOn) -> None:
    answer = signed_on("admin").post("/admin/auth/user/add/", {"username": "ADMIN"})
    assert "A user with this name already exists." in answer.content.decode()


def test_an_invalid_user_name_is_reported_in_the_words_of_the_help_text(signed_on: SignedOn) -> None:
    client, path = signed_on("admin"), f"/admin/auth/user/{somebody_new()}/change/"
    for form in ("/admin/auth/user/add/", path):
        assert "Use only letters, digits and @ . + - _<" in client.post(form, {"username": "a b"}).content.decode()


def test_a_role_that_exists_is_reported_as_a_role(signed_on: SignedOn) -> None:
    said = signed_on("admin").post("/admin/auth/group/add/", {"name": "viewer"}).content.decode()
    assert "A role with this name already exists." in said


def test_roles_are_made_of_permissions_that_the_server_checks(signed_on: SignedOn) -> None:
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    labels = re.findall(r'name="permissions"[^>]*>\s*([^<]+?)</label>', page(root, "/admin/auth/group/add/"))
    assert labels == list(PERMISSION_LABELS.values())
    assert "Approve and reject" in labels
    assert "View the activity log" in labels
    of_roles = Permission.objects.filter(group__name__in=["viewer", "editor", "operator", "admin"])
    assert {permission.codename for permission in of_roles} - {"view_flowversion"} == set(PERMISSION_LABELS)


def test_the_title_of_a_tab_is_the_heading_of_its_page(signed_on: SignedOn) -> None:
    client, user = signed_on("admin"), User.objects.get(pk=somebody_new())
    for path, heading in (
        ("auth/user/add/", "New user"),
        ("auth/group/add/", "New role"),
        ("datastore/item/add/", "New datastore item"),
        ("flyte_site/token/add/", "New token"),
        ("flows/flow/add/", "New flow"),
        (f"auth/user/{user.pk}/change/", user.username),
        (f"auth/user/{user.pk}/delete/", f"Delete user '{user.username}'?"),
    ):
        said = page(client, f"/admin/{path}")
        assert f"<title>{heading} · Flyte</title>" in said.replace("&#x27;", "'"), path
        assert f"<h1>{heading}</h1>" in said.replace("&#x27;", "'"), path


def test_users_without_a_role_can_be_listed(signed_on: SignedOn) -> None:
    client, user = signed_on("admin"), User.objects.get(pk=somebody_new())
    assert ">no role<" in re.sub(r"\s+(?=<)|(?<=>)\s+", "", page(client, "/admin/auth/user/"))
    listed = page(client, "/admin/auth/user/?groups__isnull=True")
    assert user.username in listed
    assert "some-" not in listed


def test_forms_of_users_use_the_terms_of_the_console(signed_on: SignedOn) -> None:
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    for client in (root, signed_on("admin")):
        for path in ("add/", f"{somebody_new()}/change/"):
            said = page(client, f"/admin/auth/user/{path}")
            assert not re.search("Designates|Required\\.|[ap]\\.m\\.|[Ss]uperuser status|[Ss]taff", said), path
            assert "at most 150 letters" in said
    assert "Only superusers can change this." in said
    assert re.search("Account created.*<time datetime=", said, re.DOTALL)
    assert re.search("Last signed in.*never", said, re.DOTALL)


def somebody_new() -> int:
    return User.objects.create_user(f"new-{User.objects.count()}").pk


def test_without_local_accounts_no_password_is_created(signed_on: SignedOn) -> None:
    client = signed_on("admin")
    with override_settings(FLYTE_LOCAL_ACCOUNTS=False):
        client.post("/admin/auth/user/add/", {"username": "new"})
        user = User.objects.get(username="new")
        assert client.post(f"/admin/auth/user/{user.pk}/password/").status_code == 403
        assert "one-time" not in page(client, f"/admin/auth/user/{user.pk}/change/")
    assert not user.has_usable_password()


def test_an_update_after_the_session_ended_reloads_the_page(client: Client) -> None:
    answer = client.get("/admin/flyte_site/change/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Refresh"], answer.content) == (200, "true", b"")
