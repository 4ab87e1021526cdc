"""Orphaned actions: grouped, bounded, and read by the index of queued actions."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flyte_site.db.postgresql.plans import index_order
from packs.models import Action, Pack
from packs.queue import backlog
from packs.queue.backlog import QueueGroup, filter_orphaned, find_orphans
from tests.packs.actions import waiting
from tests.reading import statements
from tests.site.shape import register_pack

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def find_groups() -> list[tuple[str, dict[str, str], int]]:
    return [(group.pack_name, dict(group.labels), group.count) for group in find_orphans().groups]


def test_an_empty_queue_has_no_orphans() -> None:
    assert (find_orphans().groups, find_orphans().count, find_orphans().is_lower_bound) == ([], 0, False)


def test_orphans_are_grouped_by_name_and_labels() -> None:
    register_pack("A", env="prod", az="b")
    register_pack("B", env="dev")
    for name, labels in (("A", {}), ("A", {"env": "prod"}), ("A", {"env": "dev"}), ("B", {"env": "prod"}), ("a", {})):
        waiting(name, labels=labels)
    waiting("B", labels={"env": "prod"})
    assert find_groups() == [("A", {"env": "dev"}, 1), ("B", {"env": "prod"}, 2), ("a", {}, 1)]


def test_the_oldest_group_comes_first_with_the_time_of_its_oldest_action() -> None:
    for name, minutes in (("young", 1), ("old", 60), ("old", 3), ("middle", 30)):
        action = waiting(name)
        Action.objects.filter(id=action.id).update(ready_at=timezone.now() - timedelta(minutes=minutes))
    groups = find_orphans().groups
    assert [group.pack_name for group in groups] == ["old", "middle", "young"]
    oldest = Action.objects.filter(pack_name="old").order_by("ready_at").first()
    assert oldest
    assert groups[0] == QueueGroup("old", {}, "{}", 2, oldest.ready_at)


def test_only_queued_actions_are_orphaned_including_those_that_wait_for_a_retry() -> None:
    later, taken = waiting("later"), waiting("taken")
    Action.objects.filter(id=taken.id).update(is_queued=False, state="PENDING")
    Action.objects.filter(id=later.id).update(ready_at=timezone.now() + timedelta(hours=1))
    assert find_groups() == [("later", {}, 1)]


def test_a_registered_pack_ends_the_orphan_state() -> None:
    waiting("Wrk", labels={"env": "x"})
    pack = register_pack("Wrk", env="x", more="y")
    assert find_groups() == []
    pack.delete()
    assert find_groups() == [("Wrk", {"env": "x"}, 1)]


@pytest.mark.parametrize(
    ("limit", "value", "reported"), [("MAX_COUNTED", 3, 5), ("MAX_REPORTED_GROUPS", 1, 3), ("MAX_GROUPS", 2, 4)]
)
def test_a_truncated_report_is_marked_as_a_lower_bound(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int, reported: int
) -> None:
    for name, env in (("A", "1"), ("A", "1"), ("A", "1"), ("B", "1"), ("B", "2")):
        waiting(name, labels={"env": env})
    assert (find_orphans().count, find_orphans().is_lower_bound) == (5, False)
    monkeypatch.setattr(backlog, limit, value)
    assert (find_orphans().count, find_orphans().is_lower_bound) == (reported, True)


def test_with_many_names_all_packs_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MAX_NAMES_IN_QUERY", 1)
    register_pack("A")
    register_pack("Other")
    assert filter_orphaned([("A", "{}"), ("B", "{}")]) == {("B", "{}")}


@pytest.mark.database
def test_a_report_takes_three_queries_for_any_queue_length() -> None:
    for name in ("A", "B", "C"):
        for label in ("x", "y"):
            for _ in range(3):
                waiting(name, labels={"env": label})
    register_pack("A", env="x")
    with CaptureQueriesContext(connection) as queries:
        assert len(find_orphans().groups) == 5
    assert len(statements(queries)) == 3
    with CaptureQueriesContext(connection) as queries:
        assert filter_orphaned([]) == set()
    assert len(queries) == 0


@pytest.mark.database
def test_a_report_reads_the_index_of_queued_actions() -> None:
    waiting("A")
    with CaptureQueriesContext(connection) as queries:
        find_orphans()
    groups, _, counts = statements(queries)
    for query in (groups, counts):
        steps = [step for step in plan(query) if "packs_action" in step]
        assert steps
        assert all("queued_actions" in step for step in steps), steps


def plan(query: str) -> Iterator[str]:
    """Return the steps of the query plan, under the settings that the product uses to count."""
    with index_order(), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {'QUERY PLAN' if connection.vendor == 'sqlite' else ''} {query}")
        yield from (str(row[-1]) for row in cursor.fetchall())


def test_packs_can_be_excluded() -> None:
    register_pack("A")
    waiting("A")
    assert find_orphans().groups == []
    assert find_orphans(Pack.objects.exclude(name="A")).count == 1
