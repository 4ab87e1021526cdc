"""Writes to SQLite: threads and other programs wait for each other."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from datastore.models import Item
from flyte_site.db.sqlite.base import _write_locks
from tests import processes

pytestmark = [
    pytest.mark.database,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has locks of rows"),
]

SECONDS = 60.0
TIMEOUT = "PRAGMA busy_timeout"


def put(name: str) -> None:
    """Execute a statement that writes, outside a transaction."""
    Item.objects.create(key=name, value=b"1")


def put_in_transaction(name: str) -> None:
    with transaction.atomic(), transaction.atomic():
        put(name)


def names() -> set[str]:
    return set(Item.objects.values_list("key", flat=True))


def in_thread(call: Callable[[], None]) -> None:
    try:
        call()
    finally:
        connection.close()


@contextmanager
def run_in_threads(*calls: Callable[[], None]) -> "Iterator[list[Future[None]]]":
    """Start each call in a thread, and wait for the threads at the end of the block."""
    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(in_thread, call) for call in calls]
        yield futures
        for future in futures:
            future.result(SECONDS)


@contextmanager
def locked_by_another_program() -> Iterator[None]:
    """Lock the database file as another program does, without the write lock of this process."""
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def is_free() -> bool:
    return not _write_locks[str(connection.settings_dict["NAME"])].locked()


@pytest.mark.parametrize("write", [put, put_in_transaction])
def test_a_thread_waits_until_another_has_written(write: Callable[[str], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            put("first")
            other = pool.submit(in_thread, partial(write, "second"))
            assert not is_free()
            assert not other.done()
        other.result(SECONDS)
    assert names() == {"first", "second"}
    assert is_free()


@pytest.mark.parametrize("write", [put, put_in_transaction])
def test_a_write_waits_for_the_lock_of_another_program(write: Callable[[str], None]) -> None:
    with ThreadPoolExecutor(2) as pool:
        with locked_by_another_program():
            waiting = [pool.submit(in_thread, partial(write, name)) for name in ("one", "two")]
            assert not any(future.done() for future in waiting)
        for future in waiting:
            future.result(SECONDS)
    assert names() == {"one", "two"}


@pytest.mark.parametrize("write", [put, put_in_transaction])
def test_a_timeout_is_raised_and_blocks_no_other_thread(
    write: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.05)
    with locked_by_another_program(), pytest.raises(OperationalError, match="database is locked"):
        write("one")
    assert is_free()
    write("two")
    assert names() == {"two"}


def test_many_waiters_time_out_as_fast_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.05)
    threads = []

    def write() -> None:
        with suppress(OperationalError):
            put("vain")
        threads.append(threading.get_ident())

    with locked_by_another_program(), run_in_threads(*[write] * 8):
        pass
    assert len(threads) == 8
    assert is_free()
    assert names() == set()


def test_after_any_error_the_next_writer_gets_the_lock() -> None:
    put("one")
    with pytest.raises(IntegrityError):
        put("one")
    assert is_free()
    with suppress(ZeroDivisionError), transaction.atomic():
        put("two")
        raise ZeroDivisionError
    assert is_free()
    with suppress(Exception), transaction.atomic():
        put("three")
        connection.close()
    assert is_free()
    with run_in_threads(partial(put, "four")):
        pass
    assert names() == {"one", "four"}


def test_the_write_lock_is_held_until_the_outermost_transaction_ends() -> None:
    with transaction.atomic():
        put_in_transaction("one")
        with suppress(IntegrityError), transaction.atomic():
            put("one")
        assert not is_free()
    assert is_free()


def test_reads_do_not_wait() -> None:
    with transaction.atomic():
        put("one")
        seen: list[set[str]] = []
        with run_in_threads(lambda: seen.append(names())):
            pass
        assert seen == [set()]


def test_a_wait_does_not_change_the_connections_timeout() -> None:
    with connection.cursor() as cursor:
        before = cursor.execute(TIMEOUT).fetchone()
        put("one")
        assert cursor.execute(TIMEOUT).fetchone() == before == (20_000,)


def test_a_process_forked_during_a_write_has_separate_locks() -> None:
    with transaction.atomic():
        put("one")
        child = processes.fork()
        if not child:
            os._exit(len(_write_locks))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
