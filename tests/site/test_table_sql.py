"""Prepared SQL: atomic batches, callbacks after the commit, excluded fields and pipelined reads."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from datastore.models import Item
from flyte_site.db.table_sql import DirectWrites, TableSQL, WriteBatch, select_pipelined
from packs.models import Pack

pytestmark = [pytest.mark.database]

PACKS = TableSQL(Pack)
ITEMS = TableSQL(Item)
AT_ONCE = connection.vendor == "postgresql"


def pack(identity: str) -> Pack:
    now = timezone.now()
    return Pack(id=sum(map(ord, identity)), identity=identity, name=identity, registered_at=now, last_seen=now)


@pytest.mark.django_db(transaction=True)
def test_a_batch_is_written_at_the_end_of_its_block() -> None:
    with WriteBatch() as batch:
        PACKS.insert(batch, [pack("One"), pack("Two")])
        PACKS.insert(batch, [pack("Three")])
    assert set(Pack.objects.values_list("identity", flat=True)) == {"One", "Two", "Three"}


@pytest.mark.django_db(transaction=True)
def test_a_failing_statement_undoes_the_whole_batch() -> None:
    def write() -> None:
        with WriteBatch() as batch:
            PACKS.insert(batch, [pack("One")])
            PACKS.insert(batch, [pack("Two"), pack("Two")])

    with pytest.raises(IntegrityError):
        write()
    assert not Pack.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_failing_block_writes_nothing_and_calls_no_callback() -> None:
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
def test_callbacks_run_after_the_commit() -> None:
    committed: list[bool] = []

    def check() -> None:
        committed.append(Pack.objects.filter(identity="One").exists() and not connection.in_atomic_block)

    with WriteBatch() as batch:
        batch.on_commit(check)
        PACKS.insert(batch, [pack("One")])
        assert not committed
    assert committed == [True]


@pytest.mark.django_db(transaction=True)
def test_in_a_transaction_a_batch_is_committed_or_rolled_back_with_it() -> None:
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
def test_a_failing_callback_is_logged_and_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []
    with WriteBatch() as batch:
        PACKS.insert(batch, [pack("One")])
        batch.on_commit(lambda: 1 // 0)
        batch.on_commit(lambda: done.append("told"))
    assert Pack.objects.exists()
    assert done == ["told"]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_inserts_and_updates_are_one_statement_on_postgresql() -> None:
    PACKS.insert(DirectWrites(), [pack("One")])
    changed = Pack.objects.get()
    changed.name = "Changed"
    with CaptureQueriesContext(connection) as queries, WriteBatch() as batch:
        PACKS.insert(batch, [pack("Two")])
        PACKS.update(batch, changed, "name")
    assert len(queries) == (1 if AT_ONCE else 4)  # otherwise two, and two of the transaction
    assert sorted(Pack.objects.values_list("name", flat=True)) == ["Changed", "Two"]


@pytest.mark.django_db
def test_a_batch_can_be_empty() -> None:
    with CaptureQueriesContext(connection) as queries, WriteBatch() as batch:
        PACKS.insert(batch, [])
    assert len(queries) == 0


@pytest.mark.django_db
def test_a_conditional_update_changes_only_a_matching_row() -> None:
    PACKS.insert(DirectWrites(), [pack("One")])
    changed = Pack.objects.get()
    changed.name = "Changed"
    assert not PACKS.update_if("identity = %s", ["Two"], changed, "name")
    assert Pack.objects.get().name == "One"
    assert PACKS.update_if("identity = %s", ["One"], changed, "name")
    assert Pack.objects.get().name == "Changed"


@pytest.mark.django_db
def test_an_excluded_field_is_loaded_on_access() -> None:
    complete = pack("One")
    complete.commands = [{"name": "Do", "events": []}]
    PACKS.insert(DirectWrites(), [complete])
    partial = TableSQL(Pack, excluded=("commands",)).select_first("identity = %s", "One")
    assert partial is not None
    assert partial.get_deferred_fields() == {"commands"}
    assert partial.commands == [{"name": "Do", "events": []}]


@pytest.mark.django_db
@pytest.mark.parametrize("lock", [False, True])
def test_pipelined_reads_return_what_separate_reads_return(lock: bool) -> None:
    PACKS.insert(DirectWrites(), [pack("One"), pack("Two")])
    Item.objects.create(key="k", value=b"v", content_type="text/plain")
    packs, items = select_pipelined(
        PACKS.query("identity > %s ORDER BY identity", "N", lock=lock), ITEMS.query("key = %s", "k")
    )
    assert [pack.identity for pack in packs] == ["One", "Two"]
    assert [bytes(item.value) for item in items] == [b"v"]


@pytest.mark.django_db
def test_an_error_in_either_pipelined_read_is_raised() -> None:
    for first, second in (("no_such_column = %s", "key = %s"), ("identity = %s", "no_such_column = %s")):
        with pytest.raises(Exception, match="no_such_column"), transaction.atomic():
            select_pipelined(PACKS.query(first, "x"), ITEMS.query(second, "x"))
    assert not Pack.objects.exists()
