"""Rows by ready-made SQL: written together or not at all, and read without what nobody looks at."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from datastore.models import Item
from flyte_site.db.table_sql import TableSQL, select_pipelined
from flyte_site.db.writes import DirectWrites, WriteBatch
from packs.models import Pack

pytestmark = [pytest.mark.database]

PACKS = TableSQL(Pack)
ITEMS = TableSQL(Item)
AT_ONCE = connection.vendor == "postgresql"


def pack(identity: str) -> Pack:
    now = timezone.now()
    return Pack(id=sum(map(ord, identity)), identity=identity, name=identity, registered_at=now, last_seen=now)


@pytest.mark.django_db(transaction=True)
def test_what_is_written_together_is_there_when_it_is_over() -> None:
    with WriteBatch() as batch:
        PACKS.insert(batch, [pack("One"), pack("Two")])
        PACKS.insert(batch, [pack("Three")])
    assert set(Pack.objects.values_list("identity", flat=True)) == {"One", "Two", "Three"}


@pytest.mark.django_db(transaction=True)
def test_where_a_part_fails_none_is_written() -> None:
    def write() -> None:
        with WriteBatch() as batch:
            PACKS.insert(batch, [pack("One")])
            PACKS.insert(batch, [pack("Two"), pack("Two")])

    with pytest.raises(IntegrityError):
        write()
    assert not Pack.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_where_the_block_fails_none_is_written_and_nothing_done() -> None:
    done: list[str] = []

    def write() -> None:
        with WriteBatch() as batch:
            PACKS.insert(batch, [pack("One")])
            batch.on_commit(lambda: done.append("told"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert not Pack.objects.exists()
    assert not done


@pytest.mark.django_db(transaction=True)
def test_what_is_to_be_done_after_it_is_done_when_others_can_see_it() -> None:
    seen: list[bool] = []

    def look() -> None:
        seen.append(Pack.objects.filter(identity="One").exists() and not connection.in_atomic_block)

    with WriteBatch() as batch:
        batch.on_commit(look)
        PACKS.insert(batch, [pack("One")])
        assert not seen
    assert seen == [True]


@pytest.mark.django_db(transaction=True)
def test_within_a_transaction_it_is_kept_or_lost_with_that() -> None:
    done: list[str] = []
    with transaction.atomic():
        with WriteBatch() as batch:
            PACKS.insert(batch, [pack("One")])
            batch.on_commit(lambda: done.append("told"))
        assert Pack.objects.exists()
        transaction.set_rollback(True)
    assert not Pack.objects.exists()
    assert not done


@pytest.mark.django_db(transaction=True)
def test_a_failure_of_what_is_done_after_does_not_reach_who_wrote(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []
    with WriteBatch() as batch:
        PACKS.insert(batch, [pack("One")])
        batch.on_commit(lambda: 1 // 0)
        batch.on_commit(lambda: done.append("told"))
    assert Pack.objects.exists()
    assert done == ["told"]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_new_rows_and_changed_ones_are_one_statement_where_the_database_can_do_that() -> None:
    PACKS.insert(DirectWrites(), [pack("One")])
    one = Pack.objects.get()
    one.name = "Changed"
    with CaptureQueriesContext(connection) as queries, WriteBatch() as batch:
        PACKS.insert(batch, [pack("Two")])
        PACKS.update(batch, one, "name")
    assert len(queries) == (1 if AT_ONCE else 4)  # else two, and a transaction's two
    assert sorted(Pack.objects.values_list("name", flat=True)) == ["Changed", "Two"]


@pytest.mark.django_db
def test_nothing_at_all_may_be_written_together() -> None:
    with CaptureQueriesContext(connection) as queries, WriteBatch() as batch:
        PACKS.insert(batch, [])
    assert len(queries) == 0


@pytest.mark.django_db
def test_a_row_is_changed_only_where_it_meets_the_condition() -> None:
    PACKS.insert(DirectWrites(), [pack("One")])
    one = Pack.objects.get()
    one.name = "Changed"
    assert not PACKS.update_if("identity = %s", ["Two"], one, "name")
    assert Pack.objects.get().name == "One"
    assert PACKS.update_if("identity = %s", ["One"], one, "name")
    assert Pack.objects.get().name == "Changed"


@pytest.mark.django_db
def test_what_is_left_out_is_read_when_it_is_asked_for() -> None:
    whole = pack("One")
    whole.commands = [{"name": "Do", "events": []}]
    PACKS.insert(DirectWrites(), [whole])
    found = TableSQL(Pack, excluded=("commands",)).select_first("identity = %s", "One")
    assert found is not None
    assert found.get_deferred_fields() == {"commands"}
    assert found.commands == [{"name": "Do", "events": []}]


@pytest.mark.django_db
@pytest.mark.parametrize("lock", [False, True])
def test_two_reads_at_once_give_what_each_alone_gives(lock: bool) -> None:
    PACKS.insert(DirectWrites(), [pack("One"), pack("Two")])
    Item.objects.create(key="k", value=b"v", content_type="text/plain")
    packs, items = select_pipelined(
        PACKS,
        PACKS.build_select("identity > %s ORDER BY identity", "N", lock=lock),
        ITEMS,
        ITEMS.build_select("key = %s", "k"),
    )
    assert [one.identity for one in packs] == ["One", "Two"]
    assert [bytes(one.value) for one in items] == [b"v"]


@pytest.mark.django_db
def test_a_fault_in_either_of_two_reads_is_told() -> None:
    for first, second in (("no_such_column = %s", "key = %s"), ("identity = %s", "no_such_column = %s")):
        with pytest.raises(Exception, match="no_such_column"), transaction.atomic():
            select_pipelined(PACKS, PACKS.build_select(first, "x"), ITEMS, ITEMS.build_select(second, "x"))
    assert not Pack.objects.exists()
