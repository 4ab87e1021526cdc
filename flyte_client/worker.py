"""The main loop of a running pack: take an action, run its handler, post the result."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

from flyte_client.errors import RefusedError, ServerAwayError
from flyte_client.events import FATAL, Event, fatal_event
from flyte_client.handlers.action_context import CurrentAction
from flyte_client.handlers.commands import CommandRegistry, encode_or_fatal
from flyte_client.transport.heartbeats import HeartbeatSender
from flyte_client.transport.outbox import Outbox
from flyte_client.transport.retry import Shutdown
from flyte_client.transport.server import CONFLICT, ClaimedAction, NoAction, ServerClient
from flyte_client.transport.trace_context import propagate_headers

logger = logging.getLogger(__name__)


class ActionWorker:
    """Worker for up to `concurrency` actions at the same time; takes an action only when a thread is free.

    `interval` is the pause in seconds after an empty poll, unless the server long-polled or asked for a different
    pause.
    """

    def __init__(
        self,
        server: ServerClient,
        outbox: Outbox,
        commands: CommandRegistry,
        shutdown: Shutdown,
        *,
        interval: float,
        concurrency: int,
    ) -> None:
        self._server = server
        self._outbox = outbox
        self._commands = commands
        self._shutdown = shutdown
        self._interval = interval
        self._concurrency = concurrency
        self._free_slots = threading.Semaphore(concurrency)
        self._heartbeats = HeartbeatSender(server.extend_lease)

    def run(self) -> None:
        """Register and process actions until shutdown; return when all running actions are done and reported.

        Raises `RefusedError` if the server does not accept the registration.
        """
        try:
            registration = self._server.ensure_registered()
            self._outbox.deliver_pending()
        except ServerAwayError:
            return
        self._outbox.start_redelivery()
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="command") as executor:
            if self._commands:
                self._poll_until_shutdown(executor)
            else:
                self._shutdown.wait_idle()
        self._heartbeats.stop()
        self._commands.stop()
        logger.info("pack_stopped pack=%s", registration.pack_id)

    def _poll_until_shutdown(self, executor: ThreadPoolExecutor) -> None:
        polling_done = threading.Event()
        threading.Thread(
            target=self._server.abort_poll_on_shutdown, args=(polling_done,), name="hang-up", daemon=True
        ).start()
        try:
            self._poll_loop(executor)
        finally:
            polling_done.set()

    def _poll_loop(self, executor: ThreadPoolExecutor) -> None:
        while not self._shutdown.is_requested:
            # A shutdown while no thread is free loses no time: the pack waits for its handlers anyway.
            self._free_slots.acquire()
            taken = None if self._shutdown.is_requested else self._take()
            if isinstance(taken, ClaimedAction):
                executor.submit(self._execute, taken)
                continue
            self._free_slots.release()
            if isinstance(taken, NoAction):
                if self._shutdown.is_requested_when_idle and not taken.is_aborted:
                    return
                self._shutdown.wait_idle(self._interval if taken.retry_after is None else taken.retry_after)

    def _take(self) -> ClaimedAction | NoAction | None:
        """Take an action from the server; return None if the pack is shutting down."""
        try:
            return self._server.take()
        except RefusedError as error:
            logger.error("take_refused status=%s reason=%r", error.status, error.detail)
            return NoAction(retry_after=None)
        except ServerAwayError:
            return None

    def _execute(self, action: ClaimedAction) -> None:
        current = CurrentAction(action.command)
        try:
            logger.info("action_taken %s", action)
            # The lease is extended until the result is delivered, so a server that was unreachable still expects it.
            with (
                propagate_headers(action.trace_headers),
                self._heartbeats.keep_alive(action.lease, lambda: _cancel_action(current)),
            ):
                # Results of cancelled actions are posted too: the server refuses them, but stores them for people.
                self._post_result(action, self._commands.execute(current, action.input))
        except Exception:
            logger.exception("action_lost %s", action)
        finally:
            self._free_slots.release()

    def _post_result(self, action: ClaimedAction, event: Event) -> None:
        event, body = encode_or_fatal(event)
        try:
            self._outbox.post_result(action.result_url, body)
            logger.info("action_done %s event=%s", action, event.name)
        except RefusedError as error:
            self._handle_refusal(action, event, error)
        except ServerAwayError as error:
            logger.error("result_lost %s event=%s reason=%r", action, event.name, str(error))

    def _handle_refusal(self, action: ClaimedAction, event: Event, error: RefusedError) -> None:
        if error.status == CONFLICT:
            logger.warning("result_already_decided %s event=%s", action, event.name)
            return
        logger.error("result_refused %s status=%s reason=%r", action, error.status, error.detail)
        if error.is_permanent and event.name != FATAL:
            # Flows should get a result now, not only after the action's timeout.
            self._post_result(action, fatal_event(f"the server refused the result {event.name} ({error})"))


def _cancel_action(current: CurrentAction) -> None:
    logger.warning("action_cancelled command=%s", current.command)
    current.cancel()
