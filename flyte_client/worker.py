"""The loop of a running pack: take an action, let its handler work on it, post the result."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

from flyte_client.carrying import carrying
from flyte_client.current import CurrentAction
from flyte_client.errors import RefusedError, ServerAwayError
from flyte_client.events import FATAL, Event, fatal
from flyte_client.handling import Commands, encodable
from flyte_client.heart import Heart
from flyte_client.outbox import Outbox
from flyte_client.patience import Stopping
from flyte_client.server import CONFLICT, UNFIT, Action, Nothing, Server

logger = logging.getLogger(__name__)


class Worker:
    """Works on up to `concurrency` actions at once, and takes none for which no thread is free.

    `interval` is the pause in seconds after a poll that found nothing, where the server has neither waited with its
    answer nor asked for another pause.
    """

    def __init__(
        self,
        server: Server,
        outbox: Outbox,
        commands: Commands,
        stopping: Stopping,
        *,
        interval: float,
        concurrency: int,
    ) -> None:
        self._server = server
        self._outbox = outbox
        self._commands = commands
        self._stopping = stopping
        self._interval = interval
        self._concurrency = concurrency
        self._free = threading.Semaphore(concurrency)
        self._heart = Heart(server.extend)

    def run(self) -> None:
        """Register and work until the end is asked for; return when every action held is done and its result posted.

        Raises `RefusedError` when the server does not accept the registration.
        """
        try:
            known = self._server.registration()
            self._outbox.deliver_left()
        except ServerAwayError:
            return
        self._outbox.go_on()
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="command") as threads:
            if self._commands:
                self._poll(threads)
            else:
                self._stopping.idle()
        self._heart.stop()
        self._commands.stop()
        logger.info("pack_stopped pack=%s", known.pack_id)

    def _poll(self, threads: ThreadPoolExecutor) -> None:
        polled = threading.Event()
        threading.Thread(target=self._server.hang_up_when_stopping, args=(polled,), name="hang-up", daemon=True).start()
        try:
            self._poll_on(threads)
        finally:
            polled.set()

    def _poll_on(self, threads: ThreadPoolExecutor) -> None:
        while not self._stopping.asked:
            # To be stopped while no thread is free costs nothing: the pack has to wait for its handlers anyway.
            self._free.acquire()
            taken = None if self._stopping.asked else self._take()
            if isinstance(taken, Action):
                threads.submit(self._work, taken)
                continue
            self._free.release()
            if isinstance(taken, Nothing):
                if self._stopping.when_idle and not taken.hung_up:
                    return
                self._stopping.idle(self._interval if taken.retry_after is None else taken.retry_after)

    def _take(self) -> Action | Nothing | None:
        """What the server has for this pack; None where it gave up on asking, because the pack is to end."""
        try:
            return self._server.take()
        except RefusedError as refusal:
            logger.error("take_refused status=%s reason=%r", refusal.status, refusal.detail)
            return Nothing(retry_after=None)
        except ServerAwayError:
            return None

    def _work(self, action: Action) -> None:
        current = CurrentAction(action.command)
        try:
            logger.info("action_taken %s", action)
            # The lease is kept up until the result has arrived: a server that is away for a while still expects it.
            with carrying(action.carried), self._heart.beating(action.lease, lambda: _cancel(current)):
                # The result of a cancelled action, too: the server refuses it, but keeps it for people to see.
                self._report(action, self._commands.outcome(current, action.input))
        except Exception:
            logger.exception("action_lost %s", action)
        finally:
            self._free.release()

    def _report(self, action: Action, event: Event) -> None:
        event, body = encodable(event)
        try:
            self._outbox.post_result(action.result, body)
            logger.info("action_done %s event=%s", action, event.name)
        except RefusedError as refusal:
            self._refused(action, event, refusal)
        except ServerAwayError as away:
            logger.error("result_lost %s event=%s reason=%r", action, event.name, str(away))

    def _refused(self, action: Action, event: Event, refusal: RefusedError) -> None:
        if refusal.status == CONFLICT:
            logger.warning("result_already_decided %s event=%s", action, event.name)
            return
        logger.error("result_refused %s status=%s reason=%r", action, refusal.status, refusal.detail)
        if refusal.status in UNFIT and event.name != FATAL:
            # Flows should hear of it now, not only when the action's time is up.
            self._report(action, fatal(f"the server refused the result {event.name} ({refusal})"))


def _cancel(current: CurrentAction) -> None:
    logger.warning("action_cancelled command=%s", current.command)
    current.cancel()
