"""People and roles: nobody gives, or takes over, more than they have."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from flyte_site.models import Change
from tests.console.conftest import SignedOn

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PASSWORDS = {"password1": "seven-small-boats", "password2": "seven-small-boats"}


def helpdesk(*permissions: str) -> Client:
    """Somebody who may change people, and what else is named, and no more."""
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
def test_a_role_has_what_it_is_for(role: str) -> None:
    may = User.objects.get(pk=somebody(role).pk).has_perm
    edits, controls, rules = role in ("editor", "admin"), role in ("operator", "admin"), role == "admin"
    assert all(map(may, ["flows.view_flow", "flows.view_execution", "packs.view_pack", "datastore.view_item"]))
    assert may("flows.change_flow") == may("flows.delete_flow") == may("datastore.delete_item") == edits
    assert may("flows.control_execution") == may("flows.enable_flow") == may("packs.delete_pack") == controls
    assert may("auth.change_user") == may("auth.add_group") == may("auth.delete_group") == rules


def test_who_may_change_people_can_not_take_over_somebody_who_may_more() -> None:
    client, stronger = helpdesk(), somebody("admin")
    for path in ("change", "password", "delete"):
        answer = client.post(f"/admin/auth/user/{stronger.pk}/{path}/", {"post": "yes", **PASSWORDS})
        assert answer.status_code == 403, path
    stronger.refresh_from_db()
    assert stronger.check_password("x")


def test_nobody_gives_a_role_that_may_more_than_they_may() -> None:
    client, other = helpdesk(), User.objects.create_user("other")
    viewer, admin = (Group.objects.get(name=name).pk for name in ("viewer", "admin"))
    assert f'value="{admin}"' not in page(client, f"/admin/auth/user/{other.pk}/change/")
    form: dict[str, Any] = {"username": "other", "is_active": "on", "groups": [admin]}
    assert "not one of the available" in client.post(f"/admin/auth/user/{other.pk}/change/", form).content.decode()
    assert not other.groups.exists()
    assert f'value="{viewer}"' not in page(client, f"/admin/auth/user/{other.pk}/change/")


def test_nobody_makes_a_role_that_may_more_than_they_may() -> None:
    client = helpdesk()
    delete_flow = Permission.objects.get(codename="delete_flow").pk
    client.post("/admin/auth/group/add/", {"name": "mine", "permissions": [delete_flow]})
    assert not Group.objects.filter(name="mine").exists()
    editor = Group.objects.get(name="editor")
    assert client.post(f"/admin/auth/group/{editor.pk}/change/", {"name": "x"}).status_code == 403


def test_an_admin_makes_people_and_roles(signed_on: SignedOn) -> None:
    client = signed_on("admin")
    view_flow = Permission.objects.get(codename="view_flow").pk
    client.post("/admin/auth/group/add/", {"name": "readers", "permissions": [view_flow]})
    readers = Group.objects.get(name="readers")
    form = {"username": "new", "usable_password": "true", "groups": [readers.pk], **PASSWORDS}
    client.post("/admin/auth/user/add/", form)
    assert User.objects.get(username="new").has_perm("flows.view_flow")
    assert list(Change.objects.order_by("pk").values_list("what", "kind", "key")) == [
        ("created", "role", "readers"),
        ("created", "person", "new"),
    ]


def test_the_history_of_a_person_is_the_list_of_their_changes(signed_on: SignedOn) -> None:
    client, other = signed_on("admin"), somebody("viewer")
    client.post(f"/admin/auth/user/{other.pk}/password/", {"usable_password": "true", **PASSWORDS})
    answer = client.get(f"/admin/auth/user/{other.pk}/history/", follow=True)
    assert answer.redirect_chain[-1][0].startswith("/admin/flyte_site/change/?kind=person&key=some-viewer")
    assert [one.what for one in answer.context["changes"]] == ["changed"]
    assert "boats" not in answer.content.decode()


def test_a_part_of_a_page_whose_session_is_over_has_the_whole_page_loaded_again(client: Client) -> None:
    answer = client.get("/admin/flyte_site/change/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Refresh"], answer.content) == (200, "true", b"")
