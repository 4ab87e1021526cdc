"""Programs of packs, also with background workers that watch or serve something."""

import argparse
import logging
import os
import sys
import threading
from collections.abc import Callable

from flyte_client.errors import ServerAwayError, SettingsError
from flyte_client.logs import configure_logging
from flyte_client.pack import Pack
from flyte_client.program import run
from flyte_formats.output import tolerate_output_encoding

logger = logging.getLogger(__name__)

BackgroundWorker = Callable[[threading.Event], None]
"""Function that runs until the event is set, which happens when the pack stops."""


def run_program(name: str, description: str, start: Callable[[], int], arguments: list[str] | None) -> int:
    """Parse the arguments (only `--help`), set up logging and return the exit code of `start`.

    For invalid settings print one line on standard error and return 2.
    """
    tolerate_output_encoding()
    prog = f"python -m flyte_client.packs.{name.lower()}"
    argparse.ArgumentParser(prog=prog, description=description).parse_args(arguments)
    try:
        configure_logging(os.environ)
        return start()
    except SettingsError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2


def run_with_workers(pack: Pack, *workers: BackgroundWorker) -> int:
    """Run the pack, and each worker in a thread; return the exit code. If one of them ends, all are stopped.

    Raises the `SettingsError` of a worker.
    """
    stop_event = threading.Event()
    failures: list[BaseException] = []

    def run_guarded(worker: BackgroundWorker) -> None:
        try:
            worker(stop_event)
        except ServerAwayError:
            logger.info("work_given_up pack=%s", pack.name)  # shutdown was requested while the server was unreachable
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
