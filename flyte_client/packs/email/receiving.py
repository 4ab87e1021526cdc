"""Sends an event for each mail that comes, and marks the mail only then."""

import imaplib
import logging
import threading
from typing import Any

from flyte_client.errors import RefusedError
from flyte_client.pack import Pack
from flyte_client.packs.email.mailbox import Mailbox, opened
from flyte_client.packs.email.reading import key, read_mail
from flyte_client.packs.email.settings import Incoming
from flyte_client.patience import growing_pauses

EVENTS = ("EmailReceived", "MailboxUnreachable", "MailboxReachable")
MOST_A_ROUND = 50
TAKEN_BEFORE = 422
UNFIT = frozenset({400, 413})

logger = logging.getLogger(__name__)


class Receiver:
    """Watches the folder of `incoming`, over as many connections as it takes."""

    def __init__(self, pack: Pack, incoming: Incoming) -> None:
        self._pack = pack
        self._incoming = incoming
        self._skipped: set[tuple[int, int]] = set()
        self._failing = False

    def run(self, ending: threading.Event) -> None:
        pauses = growing_pauses()
        while not ending.is_set():
            try:
                with opened(self._incoming) as mailbox:
                    self._reached()
                    pauses = growing_pauses()
                    self._watch(mailbox, ending)
            except (OSError, imaplib.IMAP4.error) as error:
                if not ending.is_set():
                    self._failed(str(error) or type(error).__name__)
                    ending.wait(next(pauses))
            except RefusedError:
                ending.wait(self._incoming.every)  # is in the log; a new token may help, so the mail waits

    def _watch(self, mailbox: Mailbox, ending: threading.Event) -> None:
        while not ending.is_set():
            waiting = [uid for uid in mailbox.unseen() if (mailbox.validity, uid) not in self._skipped]
            for uid in waiting[:MOST_A_ROUND]:
                if ending.is_set():
                    return
                self._tell(mailbox, uid)
            if len(waiting) <= MOST_A_ROUND:
                mailbox.wait(ending)

    def _tell(self, mailbox: Mailbox, uid: int) -> None:
        payload = read_mail(*mailbox.fetch(uid), self._incoming.attachment_bytes)
        try:
            self._pack.send("EmailReceived", payload, key=key(payload, f"{mailbox.validity}/{uid}"))
        except RefusedError as refusal:
            if refusal.status in UNFIT:
                logger.error("mail_left uid=%s reason=%r", uid, str(refusal))
                self._skipped.add((mailbox.validity, uid))
                return
            if refusal.status != TAKEN_BEFORE:
                raise
        mailbox.done(uid)

    def _failed(self, reason: str) -> None:
        logger.warning("mailbox_unreachable host=%s reason=%r", self._incoming.account.host, reason)
        if not self._failing:
            self._failing = True
            self._pack.send("MailboxUnreachable", self._about() | {"error": reason[:500]})

    def _reached(self) -> None:
        logger.info("mailbox_opened host=%s folder=%s", self._incoming.account.host, self._incoming.folder)
        if self._failing:
            self._failing = False
            self._pack.send("MailboxReachable", self._about())

    def _about(self) -> dict[str, Any]:
        return {"host": self._incoming.account.host, "folder": self._incoming.folder}
