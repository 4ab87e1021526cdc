"""`Pack`: what a pack's author writes against."""

import logging
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeVar

from flyte_client import settings
from flyte_client.errors import RefusedError
from flyte_client.events import Event, encode_event
from flyte_client.handlers.commands import CommandHandler, CommandRegistry
from flyte_client.health import HealthCheck, serve_health_page
from flyte_client.transport.api_client import ApiClient
from flyte_client.transport.outbox import EventSink, Outbox
from flyte_client.transport.retry import Shutdown
from flyte_client.transport.server import ServerClient
from flyte_client.transport.spool import Spool
from flyte_client.worker import ActionWorker

HandlerT = TypeVar("HandlerT", bound=CommandHandler)

# A signal that arrives in the moment before the main thread begins to wait does not wake it: it has to look up.
SIGNAL_POLL_SECONDS = 0.5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PackConnection:
    """The server, and the way to it of what the pack has to deliver."""

    server: ServerClient
    outbox: Outbox


class Pack:
    """A program that does something for flows, sends events, or both.

    `labels` are laid under those of `FLYTE_LABELS`; a step that asks for labels is only given to packs that have them.
    `help_url` is where people can read what the pack does. `api_url` and `poll_interval` (seconds) go before
    `FLYTE_API` and `FLYTE_POLL_INTERVAL`. Up to `concurrency` handlers run at once, each in a thread of its own.
    `stop_grace` is for how many seconds after the end was asked for undelivered results and events are still tried.

    Commands and events are declared before `run` or the first `send`: the pack registers then, with all of them.
    """

    def __init__(
        self,
        name: str,
        labels: Mapping[str, str] | None = None,
        help_url: str | None = None,
        api_url: str | None = None,
        *,
        poll_interval: float | None = None,
        concurrency: int = 8,
        stop_grace: float = 30.0,
    ) -> None:
        self.name = name
        self._labels = dict(labels or {})
        self._help_url = help_url
        self._api_url = api_url
        self._poll_interval = poll_interval
        self._concurrency = concurrency
        self._stop_grace = stop_grace
        self._commands = CommandRegistry()
        self._events: list[str] = []
        self._health_checks: dict[str, HealthCheck] = {}
        self._shutdown = Shutdown()
        self._lock = threading.Lock()
        self._connection: PackConnection | None = None
        self._test_transport: EventSink | None = None

    def command(
        self, name: str, events: Iterable[str] = (), *, bad_input: str | None = None
    ) -> Callable[[HandlerT], HandlerT]:
        """Declare the function below as the handler of command `name`, which ends in one of `events`.

        The handler is called with the action's input and returns an `Event`. Annotated with a dataclass or a pydantic
        model, it gets one of these; an input that does not fit ends in the event `bad_input` with `error` and `errors`,
        or in `FATAL` where none is named. Otherwise the input is any JSON value. Whatever the handler raises becomes a
        `FATAL` event with `message` and `traceback`. Handlers of several actions run at the same time, each in a
        thread, or where they are `async`, together in one event loop. One that works for long can ask
        `current_action()` whether its work is still wanted; an async one is cancelled when it is not.
        Raises `ValueError` for a name that has a handler already, `TypeError` for an annotation that no input fits.
        """
        self._commands.check_unused_name(name)

        def declare(handler: HandlerT) -> HandlerT:
            self._commands.declare(name, handler, events, bad_input)
            return handler

        return declare

    def event(self, name: str) -> None:
        """Declare an event that the pack sends by itself, with `send`."""
        self._events.append(name)

    def health_check(self, name: str) -> Callable[[HealthCheck], HealthCheck]:
        """Declare the function below as a check of the health page, which there is where `FLYTE_HEALTH_PORT` is set.

        It returns `Health`, and should not take longer than a second. What it raises counts as unhealthy.
        """

        def declare(check: HealthCheck) -> HealthCheck:
            self._health_checks[name] = check
            return check

        return declare

    def definition(self) -> dict[str, Any]:
        """What the pack registers with: every event that a command ends in is declared as the pack's event, too."""
        commands = self._commands.list_events()
        events = [*self._events, *(event for names in commands.values() for event in names)]
        document: dict[str, Any] = {
            "name": self.name,
            "labels": self._labels | settings.read_labels(os.environ),
            "commands": [{"name": name, "events": names} for name, names in commands.items()],
            "events": [{"name": name} for name in dict.fromkeys(events)],
        }
        if self._help_url:
            document["links"] = [{"rel": "help", "href": self._help_url}]
        return document

    def send(self, name: str, payload: Any = None, *, key: str | None = None, within: float | None = None) -> None:
        """Send an event; return when the server has accepted it. Works with and without `run`, from any thread.

        While the server is away this waits and tries again. An answer that got lost on its way makes it try again,
        too: the event counts once all the same (twice at an original Flyte server, which does not heed the key that
        tells). With a `key` of the caller's own (at most 255 characters, the pack's own) that holds whoever of the
        pack's instances sends it, and after a restart, too: for a day the server takes an event with the same key and
        payload once, and refuses the key with another payload (422). Such an event's time is when the server gets it.
        Where there is a spool, an event that this could not deliver before the pack was to end is kept for the next
        start; not so with `within`: whoever gives that is told of the failure, and sends the event again.

        Raises `ServerAwayError` when the pack was stopped meanwhile or no attempt had succeeded `within` so many
        seconds, `RefusedError` when the server does not accept the event, `ValueError` or `TypeError` for a payload
        that is no JSON, `SettingsError` as `run`.
        """
        body = encode_event(Event(name, payload), with_time=key is None)
        try:
            sink = self._test_transport or self._connect().outbox
            sink.post_event(body, key or str(uuid.uuid4()), within)
        except RefusedError as error:
            logger.error("event_refused pack=%s event=%s reason=%r", self.name, name, str(error))
            raise
        logger.info("event_sent pack=%s event=%s", self.name, name)

    def server_is_healthy(self) -> bool:
        """Whether the server answers and says that it is well; asks once and does not wait for it."""
        return self._connect().server.is_healthy()

    def run(self) -> None:
        """Register, take actions, and post their results, until SIGTERM, SIGINT or `stop`.

        Then nothing more is taken, and this returns when the actions held are done and their results posted. A second
        signal ends the process at once. Signals are only heeded where this runs in the main thread. A pack runs once.

        Raises `SettingsError` for what the environment holds, `RefusedError` when the server does not accept the pack.
        """
        connection = self._connect()
        worker = self._build_worker(connection)
        page = serve_health_page(
            settings.read_health_address(os.environ),
            {"Flyte": connection.server.report_last_call, **self._health_checks},
        )
        # The work goes on in a thread of its own, because a signal handler must not wait for a lock that the thread it
        # interrupts may hold: the main thread does nothing but wait here.
        with page, self._stop_on_signals(), ThreadPoolExecutor(1, thread_name_prefix="worker") as executor:
            try:
                _wait_for_result(executor.submit(worker.run))
            finally:
                self.stop()
                connection.outbox.close()

    def stop(self, *, when_idle: bool = False) -> None:
        """End `run`, as SIGTERM would; with `when_idle`, only after the actions that are waiting now are done, too."""
        if when_idle:
            self._shutdown.request_when_idle()
        else:
            self._shutdown.request()

    def use_test_transport(self, transport: EventSink) -> CommandRegistry:
        """For `flyte_client.testing`: what the pack can be called for; `send` gives to `instead` from now on."""
        self._test_transport = transport
        return self._commands

    def _connect(self) -> PackConnection:
        with self._lock:
            if self._connection is None:
                root = settings.read_api_url(os.environ, self._api_url)
                timeout = settings.read_seconds(os.environ, "FLYTE_API_TIMEOUT", settings.DEFAULT_API_TIMEOUT)
                api = ApiClient(settings.read_token(os.environ), timeout)
                server = ServerClient(root, api, self.definition(), self._shutdown, self._stop_grace)
                self._connection = PackConnection(server, Outbox(server, self._open_spool(), self._shutdown))
            return self._connection

    def _open_spool(self) -> Spool | None:
        folder = settings.read_spool_folder(os.environ)
        return Spool(folder, self.name, self.definition()["labels"]) if folder else None

    def _build_worker(self, connection: PackConnection) -> ActionWorker:
        interval = settings.read_seconds(os.environ, "FLYTE_POLL_INTERVAL", settings.DEFAULT_POLL_INTERVAL)
        return ActionWorker(
            connection.server,
            connection.outbox,
            self._commands,
            self._shutdown,
            interval=self._poll_interval or interval,
            concurrency=self._concurrency,
        )

    @contextmanager
    def _stop_on_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, _frame: FrameType | None) -> None:
            signal.signal(number, signal.SIG_DFL)
            self.stop()

        previous_handlers = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in previous_handlers.items():
                signal.signal(number, handler)


def _wait_for_result(future: "Future[None]") -> None:
    """Wait for the end of the work, and heed signals meanwhile. Raises what the work raised."""
    while not future.done():
        wait([future], SIGNAL_POLL_SECONDS)
    future.result()
