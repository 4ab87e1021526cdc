"""`Pack`, the API for authors of packs."""

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

# A signal that arrives just before the main thread starts to wait does not wake it, so it waits in short intervals.
SIGNAL_POLL_SECONDS = 0.5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PackConnection:
    """The client for the server, and the outbox for the pack's events and results."""

    server: ServerClient
    outbox: Outbox


class Pack:
    """A program that runs commands for flows, sends events, or both.

    `labels` are merged with those of `FLYTE_LABELS`, which win; a step with labels is only given to packs that have
    them. `help_url` is the address of the pack's documentation. `api_url` and `poll_interval` (seconds) override
    `FLYTE_API` and `FLYTE_POLL_INTERVAL`. Up to `concurrency` handlers run at the same time, each in its thread.
    `stop_grace` is the time in seconds after the stop request in which undelivered results and events are retried.

    Declare commands and events before `run` or the first `send`: the pack registers all of them at that time.
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
        """Declare the decorated function as the handler of command `name`, which returns one of `events`.

        The handler is called with the action's input and returns an `Event`. If its parameter is annotated with a
        dataclass or a pydantic model, it gets an instance; an invalid input then ends in the event `bad_input` with
        `error` and `errors`, or in `FATAL` without `bad_input`. Otherwise the input is any JSON value. An exception in
        the handler becomes a `FATAL` event with `message` and `traceback`. Handlers of several actions run at the same
        time, each in a thread, or if they are `async`, together in one event loop. A long-running handler can check
        `current_action()` for cancellation; an async handler is cancelled.
        Raises `ValueError` for a duplicate name, `TypeError` for an annotation that is not supported.
        """
        self._commands.check_unused_name(name)

        def declare(handler: HandlerT) -> HandlerT:
            self._commands.declare(name, handler, events, bad_input)
            return handler

        return declare

    def event(self, name: str) -> None:
        """Declare an event that the pack sends with `send`."""
        self._events.append(name)

    def health_check(self, name: str) -> Callable[[HealthCheck], HealthCheck]:
        """Declare the decorated function as a check of the health page, which is served if `FLYTE_HEALTH_PORT` is set.

        It returns `Health`, and should not take longer than a second. A check that raises is unhealthy.
        """

        def declare(check: HealthCheck) -> HealthCheck:
            self._health_checks[name] = check
            return check

        return declare

    def definition(self) -> dict[str, Any]:
        """Return the document that the pack registers with; it declares the events of commands as events too."""
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

    def send(self, name: str, payload: Any = None, *, key: str | None = None, within: float | None = None) -> bool:
        """Send an event; return when the server has accepted it. Works with and without `run`, from any thread.

        Return False if the server says that it had received this `key` before, so that the event started nothing again.

        While the server is unreachable, and after a lost response, this waits and retries; the event counts once (on
        an original Flyte server, which ignores idempotency keys, it can count twice). With a `key` (at most 255
        characters, unique within the pack) the event counts once even if several instances of the pack send it, or if
        it is sent again after a restart: for a day the server accepts an event with the same key and payload once, and
        refuses the key with a different payload (422). The time of an event with a key is when the server receives it.
        With a spool, an event that could not be delivered before the pack stopped is saved for the next start; not
        with `within`, because then the caller gets the error and can send the event again.

        Raises `ServerAwayError` if the pack was stopped or no attempt succeeded `within` this many seconds,
        `RefusedError` if the server does not accept the event, `ValueError` or `TypeError` for a payload that is not
        JSON-serializable or is nested deeper than 100 levels, `SettingsError` as `run` does.
        """
        body = encode_event(Event(name, payload), with_time=key is None)
        try:
            sink = self._test_transport or self._connect().outbox
            # Without a key the event is new, and a repetition only the retry of a lost response.
            is_new = sink.post_event(body, key or str(uuid.uuid4()), within) or key is None
        except RefusedError as error:
            logger.error("event_refused pack=%s event=%s reason=%r", self.name, name, str(error))
            raise
        logger.info("event_sent pack=%s event=%s%s", self.name, name, "" if is_new else " repeated=true")
        return is_new

    def server_is_healthy(self) -> bool:
        """Return True if the server responds that it is healthy; ask once, without retries."""
        return self._connect().server.is_healthy()

    def run(self) -> None:
        """Register, take actions, and post their results, until SIGTERM, SIGINT or `stop`.

        After that no action is taken, and this returns when the running actions are done and their results posted. A
        second signal ends the process immediately. Signals are only handled if this runs in the main thread. A pack
        can run once.

        Raises `SettingsError` for an invalid environment, `RefusedError` if the server does not accept the pack.
        """
        connection = self._connect()
        worker = self._build_worker(connection)
        page = serve_health_page(
            settings.read_health_address(os.environ),
            {"Flyte": connection.server.report_last_call, **self._health_checks},
        )
        # The work runs in a separate thread, because a signal handler must not wait for a lock that the interrupted
        # thread may hold: the main thread only waits here.
        with page, self._stop_on_signals(), ThreadPoolExecutor(1, thread_name_prefix="worker") as executor:
            try:
                _wait_for_result(executor.submit(worker.run))
            finally:
                self.stop()
                connection.outbox.close()

    def stop(self, *, when_idle: bool = False) -> None:
        """Stop `run`, like SIGTERM; with `when_idle`, only after the actions that are queued now are done."""
        if when_idle:
            self._shutdown.request_when_idle()
        else:
            self._shutdown.request()

    def use_test_transport(self, transport: EventSink) -> CommandRegistry:
        """Redirect `send` to `transport`, for `flyte_client.testing`; return the pack's commands."""
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
    """Wait for the worker while handling signals. Raises what the worker raised."""
    while not future.done():
        wait([future], SIGNAL_POLL_SECONDS)
    future.result()
