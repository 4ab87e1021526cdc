"""A pack whose program has work of its own beside taking actions: it watches something, or serves."""

import logging
import os
import sys
import threading
from collections.abc import Callable

from flyte_client.errors import ServerAwayError, SettingsError
from flyte_client.logs import configure_logging
from flyte_client.pack import Pack
from flyte_client.program import run

logger = logging.getLogger(__name__)

BackgroundWorker = Callable[[threading.Event], None]
"""Goes on until the event is set, which is when the pack ends."""


def run_program(name: str, start: Callable[[], int]) -> int:
    """What `start` returns; 2, and one line on standard error, for settings that can't be used."""
    try:
        configure_logging(os.environ)
        return start()
    except SettingsError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2


def run_with_workers(pack: Pack, *workers: BackgroundWorker) -> int:
    """Run the pack, and each of `works` in a thread; return the exit code. The end of one of them ends all.

    Raises `SettingsError` where a work does.
    """
    stop_event = threading.Event()
    failures: list[BaseException] = []

    def run_guarded(worker: BackgroundWorker) -> None:
        try:
            worker(stop_event)
        except ServerAwayError:
            logger.info("work_given_up pack=%s", pack.name)  # the pack was to end while the server was away
        except SettingsError as error:
            failures.append(error)
        except BaseException as error:
            failures.append(error)
            logger.exception("work_failed pack=%s", pack.name)
        finally:
            pack.stop()

    threads = [
        threading.Thread(target=run_guarded, args=(worker,), name=f"work-{index}")
        for index, worker in enumerate(workers)
    ]
    for thread in threads:
        thread.start()
    try:
        code = run(pack)
    finally:
        stop_event.set()
        for thread in threads:
            thread.join()
    for failure in failures:
        if isinstance(failure, SettingsError):
            raise failure
    return code or int(bool(failures))
