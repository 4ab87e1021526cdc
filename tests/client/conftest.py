import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import pytest

from flyte_client import Pack

from .program import Program
from .stub_server import PATIENCE, StubServer

Running = Callable[[Pack], AbstractContextManager[threading.Thread]]
Start = Callable[..., Program]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FLYTE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def stub() -> Iterator[StubServer]:
    server = StubServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def running() -> Running:
    """Return a context manager that runs a pack in a thread and waits for its end."""

    @contextmanager
    def run(pack: Pack) -> Iterator[threading.Thread]:
        thread = threading.Thread(target=pack.run)
        thread.start()
        try:
            yield thread
        finally:
            pack.stop()
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the pack did not stop"

    return run


@pytest.fixture
def start(stub: StubServer) -> Iterator[Start]:
    """Return a function that starts programs with the stub's address; stop them at the end."""
    programs: list[Program] = []

    def start_program(*arguments: str, **environment: str) -> Program:
        settings = {"FLYTE_API": stub.url, "FLYTE_POLL_INTERVAL": "0.05"} | environment
        programs.append(Program(*arguments, environment=settings))
        return programs[-1]

    yield start_program
    for program in programs:
        with suppress(BrokenPipeError):
            program.kill()
