"""Listener for Slack's events over socket mode."""

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flyte_client.errors import RefusedError, SettingsError
from flyte_client.pack import Pack
from flyte_client.packs.common.optional_import import require_extra
from flyte_client.packs.slack.event_mapping import map_event
from flyte_client.packs.slack.settings import SlackSettings
from flyte_client.packs.slack.users import UserCache
from flyte_client.packs.slack.web_api import SlackClient, SlackError, get_mapping
from flyte_client.transport.retry import backoff
from flyte_formats.json_text import NestingError, parse_lenient_json

# Limit of events that are queued while Flyte is unreachable; Slack sends the others again.
MAX_QUEUED = 1000
QUEUE_POLL_SECONDS = 0.5

T = TypeVar("T")

logger = logging.getLogger(__name__)


class SocketModeListener:
    """Listener that sends events in order, and acknowledges each to Slack after Flyte has accepted it."""

    def __init__(self, pack: Pack, slack: SlackClient, settings: SlackSettings) -> None:
        with require_extra("slack"):
            from slack_sdk.socket_mode import SocketModeClient
        self._pack = pack
        self._slack = slack
        self._settings = settings
        self._users = UserCache(slack)
        self._queue: queue.Queue[Mapping[str, Any]] = queue.Queue(MAX_QUEUED)
        self._client_class: Any = SocketModeClient

    def run(self, stop_event: threading.Event) -> None:
        """Listen until `stop_event` is set. Raises `SettingsError` if Slack refuses one of the tokens."""
        identity = self._call_until_available(
            "FLYTE_SLACK_TOKEN", lambda: self._slack.get_identity(stop_event), stop_event
        )
        if identity is None:
            return
        self._join_channel(stop_event)
        if not self._settings.app_token:
            stop_event.wait()
            return
        socket_url = self._call_until_available(
            "FLYTE_SLACK_APP_TOKEN", lambda: self._slack.open_socket_url(stop_event), stop_event
        )
        if socket_url is None:
            return
        client = self._connect(socket_url)
        try:
            self._process_queue(client, str(identity.get("user_id", "")), stop_event)
        finally:
            self._disconnect(client)

    def _call_until_available(self, variable: str, call: Callable[[], T], stop_event: threading.Event) -> T | None:
        """Retry the call while Slack is unavailable; return None on shutdown."""
        for delay in backoff():
            try:
                return call()
            except SlackError as error:
                if error.bad_token:
                    raise SettingsError(f"{variable}: Slack refused the token ({error})") from None
                logger.warning("slack_away wait_s=%.1f reason=%r", delay, str(error))
            if stop_event.wait(delay):
                break
        return None

    def _join_channel(self, stop_event: threading.Event) -> None:
        if not self._settings.default_channel:
            return
        try:
            self._slack.join_channel(self._settings.default_channel, stop_event)
            logger.info("channel_joined channel=%s", self._settings.default_channel)
        except SlackError as error:
            logger.error("channel_not_joined channel=%s reason=%r", self._settings.default_channel, str(error))

    def _connect(self, socket_url: str) -> Any:
        client = self._client_class(
            app_token=self._settings.app_token,
            web_client=self._slack.web_client,
            logger=self._slack.sdk_logger,
            concurrency=1,
            on_message_listeners=[self._enqueue],
        )
        client.wss_uri = socket_url
        client.connect()  # it reconnects automatically
        logger.info("slack_connected")
        return client

    def _disconnect(self, client: Any) -> None:
        # The client's close() waits for threads that may be sleeping because of a rate limit.
        client.auto_reconnect_enabled = False
        client.closed = True
        client.disconnect()

    def _enqueue(self, raw: str) -> None:
        try:
            envelope = parse_lenient_json(raw)
        except ValueError:
            return  # the library logs it
        if not isinstance(envelope, dict) or envelope.get("type") != "events_api":
            return
        try:
            self._queue.put_nowait(envelope)
        except queue.Full:
            logger.warning("event_left_to_slack waiting=%s", MAX_QUEUED)

    def _process_queue(self, client: Any, bot_user_id: str, stop_event: threading.Event) -> None:
        while not stop_event.is_set():
            try:
                envelope = self._queue.get(timeout=QUEUE_POLL_SECONDS)
            except queue.Empty:
                continue
            if self._send_event(get_mapping(envelope, "payload"), bot_user_id, stop_event):
                self._acknowledge(client, envelope)

    def _send_event(self, payload: Mapping[str, Any], bot_user_id: str, stop_event: threading.Event) -> bool:
        """Send the event; return True if it can be acknowledged to Slack."""
        event = map_event(get_mapping(payload, "event"), bot_user_id, self._users.get, stop_event)
        event_id = payload.get("event_id")
        if event is None:
            return True
        try:
            self._pack.send(event.name, event.payload, key=f"slack/{event_id}" if event_id else None)
        except RefusedError as error:
            return error.is_permanent
        except NestingError as error:
            logger.error("event_unfit event=%s id=%s reason=%r", event.name, event_id, str(error))
        return True

    def _acknowledge(self, client: Any, envelope: Mapping[str, Any]) -> None:
        try:
            client.send_socket_mode_response({"envelope_id": envelope.get("envelope_id")})
        except Exception as error:  # several types; Slack sends the event again, which counts once
            logger.info("acknowledgement_lost reason=%r", str(error))
