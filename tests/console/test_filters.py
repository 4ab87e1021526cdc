"""Filters of the console's lists: a list reports unknown filters and values, and then shows nothing."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from datastore import service
from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR, USER_KIND, log_activity
from packs.models import Pack
from tests.console.conftest import SignedOn
from tests.console.looking import text_of
from tests.flows import builders as b

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

NAME = "listed-object"
UNKNOWN_FILTERS = {
    "flows/flow/": "q, state",
    "flows/execution/": "flow, state, pack, command, step, labels, text, since, until",
    "flows/event/": "pack, name, since, until",
    "packs/pack/": "text, status",
    "packs/approval/": "show",
    "datastore/item/": "q",
    "auth/user/": "q, is_active__exact, groups__id__exact, groups__isnull",
    "auth/group/": "q",
    "flyte_site/change/": "kind, key, actor",
}
UNKNOWN_VALUES = [
    ("flows/flow/?state=gone", "unknown status 'gone': use one of: enabled, disabled"),
    ("flows/execution/?state=gone", "unknown status 'gone': use one of: running, succeeded, failed, cancelled"),
    ("packs/pack/?status=gone", "unknown status 'gone': use one of: live, warning, critical"),
    ("packs/approval/?show=gone", "unknown status 'gone': use one of: open, all"),
    ("auth/user/?is_active__exact=gone", "unknown status 'gone': use one of: 1, 0"),
    ("auth/user/?groups__id__exact=999999", "role not found"),
    ("auth/group/?q=%00", "Null characters are not allowed"),
    ("datastore/item/?q=" + "x" * 300, "at most 255 characters"),
    (
        "flyte_site/change/?kind=gone",
        "unknown type 'gone': use one of: flow, execution, pack, approval",
    ),
]


@pytest.fixture
def admin(signed_on: SignedOn) -> Client:
    """Return a client that can see every list, each with an object named NAME."""
    b.save(b.step(event={"packName": NAME, "name": "Go"}), name=NAME)
    b.tell(b.pack(NAME))
    service.put_item(COMMAND_LINE_ACTOR, NAME, service.ItemUpdate(b"x", "text/plain", "", False))
    User.objects.create_user(NAME)
    return signed_on("admin")


@pytest.mark.parametrize("path", UNKNOWN_FILTERS)
def test_an_unknown_filter_is_reported(admin: Client, path: str) -> None:
    said = text_of(admin.get(f"/admin/{path}?colour=red"))
    assert f"Unknown filter 'colour'. Filters: {UNKNOWN_FILTERS[path]}." in said
    assert NAME not in said


@pytest.mark.parametrize(("path", "message"), UNKNOWN_VALUES)
def test_an_unknown_value_is_reported(admin: Client, path: str, message: str) -> None:
    said = text_of(admin.get(f"/admin/{path}"))
    assert message in said
    assert NAME not in said


def test_an_unknown_status_of_resources_is_reported(admin: Client) -> None:
    path = f"/admin/packs/pack/{Pack.objects.get().pk}/resources?state=gone"
    assert "unknown status 'gone': use one of: waiting for quota, ready to start, live, deleting" in text_of(
        admin.get(path)
    )


@pytest.mark.parametrize(
    "query", ["q=listed", "p=1", "o=-1", "all=", "e=1", "is_active__exact=1", "groups__isnull=True&o=1.2"]
)
def test_filters_and_pages_of_users_are_accepted(admin: Client, query: str) -> None:
    assert NAME in text_of(admin.get(f"/admin/auth/user/?{query}"))


def test_a_choice_can_have_its_label(admin: Client) -> None:
    log_activity(COMMAND_LINE_ACTOR, "created", USER_KIND, "ann")
    assert "created user ann" in text_of(admin.get("/admin/flyte_site/change/?kind=user"))
