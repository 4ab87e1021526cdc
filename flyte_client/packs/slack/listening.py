"""Hears Slack over socket mode, and sends what it hears on as events."""

import json
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flyte_client.errors import RefusedError, SettingsError
from flyte_client.pack import Pack
from flyte_client.packs.basis.needs import needed
from flyte_client.packs.slack.hearing import heard
from flyte_client.packs.slack.people import People
from flyte_client.packs.slack.settings import Settings
from flyte_client.packs.slack.web import Slack, SlackError
from flyte_client.patience import growing_pauses

# The event itself is at fault, or was taken before: Slack need not tell it again.
UNFIT = frozenset({400, 413, 422})
# While Flyte is away so much is kept here; what is more, Slack tells again.
MOST_WAITING = 1000
SLICE = 0.5

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Listener:
    """Takes what comes in the order in which it came, and tells Slack that it was taken when Flyte has it."""

    def __init__(self, pack: Pack, slack: Slack, settings: Settings) -> None:
        with needed("slack"):
            from slack_sdk.socket_mode import SocketModeClient
        self._pack = pack
        self._slack = slack
        self._settings = settings
        self._people = People(slack)
        self._waiting: queue.Queue[Mapping[str, Any]] = queue.Queue(MOST_WAITING)
        self._make_client: Any = SocketModeClient

    def run(self, ending: threading.Event) -> None:
        """Raises `SettingsError` where Slack refuses one of the tokens."""
        me = self._patiently("FLYTE_SLACK_TOKEN", lambda: self._slack.me(ending), ending)
        if me is None:
            return
        self._join(ending)
        if not self._settings.app_token:
            ending.wait()
            return
        address = self._patiently("FLYTE_SLACK_APP_TOKEN", lambda: self._slack.socket_address(ending), ending)
        if address is None:
            return
        client = self._connected(address)
        try:
            self._listen(client, str(me.get("user_id", "")), ending)
        finally:
            self._hang_up(client)

    def _patiently(self, variable: str, call: Callable[[], T], ending: threading.Event) -> T | None:
        """What the call gives, however long Slack is away; None where the pack is to end meanwhile."""
        for pause in growing_pauses():
            try:
                return call()
            except SlackError as error:
                if error.bad_token:
                    raise SettingsError(f"{variable}: Slack does not take the token ({error})") from None
                logger.warning("slack_away wait_s=%.1f reason=%r", pause, str(error))
            if ending.wait(pause):
                break
        return None

    def _join(self, ending: threading.Event) -> None:
        if not self._settings.join:
            return
        try:
            self._slack.join(self._settings.join, ending)
            logger.info("channel_joined channel=%s", self._settings.join)
        except SlackError as error:
            logger.error("channel_not_joined channel=%s reason=%r", self._settings.join, str(error))

    def _connected(self, address: str) -> Any:
        client = self._make_client(
            app_token=self._settings.app_token,
            web_client=self._slack.client,
            logger=self._slack.quiet,
            concurrency=1,
            on_message_listeners=[self._take],
        )
        client.wss_uri = address
        client.connect()  # from now on it connects again by itself
        logger.info("slack_connected")
        return client

    def _hang_up(self, client: Any) -> None:
        # Its own close() waits for threads that may be in the middle of a pause that Slack wanted.
        client.auto_reconnect_enabled = False
        client.closed = True
        client.disconnect()

    def _take(self, raw: str) -> None:
        try:
            envelope = json.loads(raw)
        except ValueError:
            return  # the library logs it
        if not isinstance(envelope, dict) or envelope.get("type") != "events_api":
            return
        try:
            self._waiting.put_nowait(envelope)
        except queue.Full:
            logger.warning("event_left_to_slack waiting=%s", MOST_WAITING)

    def _listen(self, client: Any, own: str, ending: threading.Event) -> None:
        while not ending.is_set():
            try:
                envelope = self._waiting.get(timeout=SLICE)
            except queue.Empty:
                continue
            if self._tell(_mapping(envelope, "payload"), own, ending):
                self._acknowledge(client, envelope)

    def _tell(self, payload: Mapping[str, Any], own: str, ending: threading.Event) -> bool:
        """Whether Slack is done with it."""
        event = heard(_mapping(payload, "event"), own, self._people.get, ending)
        event_id = payload.get("event_id")
        if event is None:
            return True
        try:
            self._pack.send(event.name, event.payload, key=f"slack/{event_id}" if event_id else None)
        except RefusedError as refusal:
            return refusal.status in UNFIT
        except ValueError as error:  # half of a surrogate pair, say, which no event can hold
            logger.error("event_unfit event=%s id=%s reason=%r", event.name, event_id, str(error))
        return True

    def _acknowledge(self, client: Any, envelope: Mapping[str, Any]) -> None:
        try:
            client.send_socket_mode_response({"envelope_id": envelope.get("envelope_id")})
        except Exception as error:  # the library has several kinds; Slack tells the event again, which counts once
            logger.info("acknowledgement_lost reason=%r", str(error))


def _mapping(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = content.get(name)
    return value if isinstance(value, dict) else {}
