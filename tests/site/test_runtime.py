"""Objects that the threads of a process share."""

import threading
import time

import pytest

from flyte_site.core.runtime import process_wide, runtime

pytestmark = pytest.mark.unit


@process_wide
def shared_list(name: str) -> list[str]:
    time.sleep(0.01)
    return [name]


def test_calls_with_equal_arguments_return_the_same_object() -> None:
    assert shared_list("a") is shared_list("a")
    assert shared_list("a") is not shared_list("b")


def test_all_threads_get_the_same_object() -> None:
    lists: list[list[str]] = []
    threads = [threading.Thread(target=lambda: lists.append(shared_list("a"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {id(shared) for shared in lists} == {id(shared_list("a"))}


def test_a_reset_forgets_every_object() -> None:
    before = shared_list("a")
    before.append("b")
    runtime.reset()
    assert shared_list("a") == ["a"]


def test_a_failed_creation_is_repeated() -> None:
    attempts = []

    @process_wide
    def connect() -> int:
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError
        return len(attempts)

    with pytest.raises(OSError):  # noqa: PT011 - the plain error that `connect` raises
        connect()
    assert connect() == connect() == 2


def test_each_test_starts_with_a_fresh_runtime() -> None:
    assert shared_list("a") == ["a"]
