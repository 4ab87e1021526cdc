"""Migrations of a database of the previous release with rows."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, migrations, models
from django.db.migrations.executor import MigrationExecutor

from flyte_site.core.timestamps import parse_rfc3339
from packs.models import Action, ActionState, HostedResource
from packs.queue.leases import count_claims, find_expired_leases
from packs.queue.take import take
from tests.site.shape import register_pack

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]

BEFORE = "0007_actions_by_labels"
QUEUED, CLAIMED, FINISHED = (letter * 24 for letter in "abc")
QUEUED_LOG = [{"value": "NEW", "time": "2026-11-01T00:00:00.000Z"}]
CLAIMED_LOG = [*QUEUED_LOG, {"value": "PENDING", "time": "2026-11-01T00:00:05.250Z"}]
FINISHED_LOG = [*CLAIMED_LOG, {"value": "SUCCESS", "time": "2026-11-01T00:00:09.000Z"}]
LATE = [{"attempt": 1, "packId": "Wrk", "time": "2026-11-01T00:00:10.000Z", "late": True, "result": {"event": "Done"}}]
PLAIN: dict[str, Any] = {
    "flow_name": "flow", "flow_uuid": "", "step_id": "one", "pack_name": "Wrk", "name": "Do", "trigger": {},
}  # fmt: skip

TAKEN_AT, LEASE_END = (parse_rfc3339(f"2026-11-01T{hour}:00:00.000Z") for hour in ("00", "01"))
HOSTED: dict[str, Any] = {"plugin": "Job", "namespace": "n", "state": "ready", "asked": True, "taken_at": TAKEN_AT}


@pytest.fixture
def old_rows() -> Iterator[None]:
    """Insert actions into the tables of the previous release."""
    call_command("migrate", "packs", BEFORE, verbosity=0)
    try:
        state = MigrationExecutor(connection).loader.project_state([("packs", BEFORE)])
        old = state.apps.get_model("packs", "Action").objects
        old.create(id=QUEUED, correlation_id=QUEUED, label_key="{}", states=QUEUED_LOG, **PLAIN)
        taken = {"state": "PENDING", "waiting": False, "holder": "Wrk.env.x", "attempt": 1}
        labels = {"pack_labels": {"env": "x"}, "label_key": '{"env":"x"}'}
        lease = {"lease_ends_at": parse_rfc3339("2026-11-01T01:00:00.000Z")}
        old.create(id=CLAIMED, correlation_id=CLAIMED, states=CLAIMED_LOG, **labels, **taken, **lease, **PLAIN)
        finished = {**taken, "state": "SUCCESS", "history": LATE, "result": {"event": "Done"}}
        old.create(id=FINISHED, correlation_id=FINISHED, label_key="{}", states=FINISHED_LOG, **finished, **PLAIN)
        state.apps.get_model("packs", "HostedResource").objects.create(
            action_id=CLAIMED, attempt=1, sealed=b"encrypted", claim=3, next_at=TAKEN_AT, busy_until=LEASE_END, **HOSTED
        )
        yield
    finally:
        call_command("migrate", "packs", verbosity=0)


def test_rows_of_the_previous_release_keep_their_values_under_the_new_names(old_rows: None) -> None:
    call_command("migrate", "packs", verbosity=0)
    columns = ("id", "state", "is_queued", "claimed_by", "labels_key", "state_log", "attempt_log", "attempt")
    assert list(Action.objects.order_by("id").values_list(*columns)) == [
        (QUEUED, "NEW", True, "", "{}", QUEUED_LOG, [], 0),
        (CLAIMED, "PENDING", False, "Wrk.env.x", '{"env":"x"}', CLAIMED_LOG, [], 1),
        (FINISHED, "SUCCESS", False, "Wrk.env.x", "{}", FINISHED_LOG, LATE, 1),
    ]
    resource = HostedResource.objects.get()
    assert (resource.action_id, resource.create_called, resource.claim_number) == (CLAIMED, True, 3)
    assert (resource.next_call_at, resource.claimed_until) == (TAKEN_AT, LEASE_END)
    assert bytes(resource.encrypted_meta or b"") == b"encrypted"
    assert indexed_columns(HostedResource)["hosted_due"] == ["plugin", "state", "next_call_at"]


def test_only_claimed_actions_get_the_time_of_their_take_from_their_log(old_rows: None) -> None:
    call_command("migrate", "packs", verbosity=0)
    taken_at = dict(Action.objects.values_list("id", "taken_at"))
    assert taken_at == {QUEUED: None, CLAIMED: parse_rfc3339("2026-11-01T00:00:05.250Z"), FINISHED: None}
    assert count_claims("claimed_by") == {"Wrk.env.x": (1, taken_at[CLAIMED])}
    assert count_claims("pack_name") == {"Wrk": (1, taken_at[CLAIMED])}


def test_actions_of_the_previous_release_can_be_taken_and_expire(old_rows: None) -> None:
    call_command("migrate", "packs", verbosity=0)
    action = take(register_pack("Wrk"))
    assert action is not None
    assert (action.id, action.attempt, action.claimed_by) == (QUEUED, 1, "Wrk")
    assert find_expired_leases(parse_rfc3339("2026-11-01T02:00:00.000Z"), 10) == [CLAIMED]


def test_the_migrations_can_be_undone_and_repeated_with_rows(old_rows: None) -> None:
    before = read_rows()
    call_command("migrate", "packs", verbosity=0)
    call_command("migrate", "packs", BEFORE, verbosity=0)
    assert read_rows() == before


def read_rows() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, state, waiting, holder, label_key, states, history FROM packs_action ORDER BY id")
        actions = cursor.fetchall()
        cursor.execute("SELECT id, asked, sealed, claim, next_at, busy_until FROM packs_hostedresource")
        return [*actions, *map(repr, cursor.fetchall())]


def test_a_later_migration_can_rebuild_the_table(old_rows: None) -> None:
    """Alter a column: SQLite copies the table, and Django recreates its indexes and constraints."""
    call_command("migrate", "packs", verbosity=0)
    before = MigrationExecutor(connection).loader.project_state()
    change = migrations.AlterField("action", "name", models.CharField(max_length=300))
    after = before.clone()
    change.state_forwards("packs", after)
    with connection.schema_editor() as editor:
        change.database_forwards("packs", editor, before, after)
    indexes = indexed_columns()
    with connection.schema_editor() as editor:
        change.database_backwards("packs", editor, after, before)
    assert indexes["queued_actions"] == ["pack_name", "labels_key", "ready_at", "id"]
    assert indexes["actions_by_labels"] == ["labels_key", "id"]
    assert "waiting_means_new" in indexes
    assert Action.objects.filter(state=ActionState.NEW, is_queued=True).count() == 1


def indexed_columns(model: type[models.Model] = Action) -> dict[str, list[str]]:
    """Read the columns of each index and constraint of the model's table."""
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, model._meta.db_table)
    return {name: constraint["columns"] for name, constraint in constraints.items()}
