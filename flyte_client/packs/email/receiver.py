"""Receiving of mail: send an event for each mail, then mark the mail as read."""

import imaplib
import logging
import threading
from typing import Any

from flyte_client.errors import RefusedError
from flyte_client.pack import Pack
from flyte_client.packs.email.mail_parser import build_event_key, parse_mail
from flyte_client.packs.email.mailbox import Mailbox, open_mailbox
from flyte_client.packs.email.settings import ImapSettings
from flyte_client.transport.retry import backoff

EVENT_NAMES = ("EmailReceived", "MailboxUnreachable", "MailboxReachable")
MAX_MAILS_PER_ROUND = 50
DUPLICATE_KEY = 422

logger = logging.getLogger(__name__)


class MailReceiver:
    """Watcher of the IMAP folder; reconnects with backoff after errors."""

    def __init__(self, pack: Pack, imap: ImapSettings) -> None:
        self._pack = pack
        self._imap = imap
        self._skipped: set[tuple[int, int]] = set()
        self._failing = False

    def run(self, stop_event: threading.Event) -> None:
        delays = backoff()
        while not stop_event.is_set():
            try:
                with open_mailbox(self._imap) as mailbox:
                    self._report_reachable()
                    delays = backoff()
                    self._watch(mailbox, stop_event)
            except (OSError, imaplib.IMAP4.error) as error:
                if not stop_event.is_set():
                    self._report_unreachable(str(error) or type(error).__name__)
                    stop_event.wait(next(delays))
            except RefusedError:
                stop_event.wait(self._imap.poll_seconds)  # already logged; a new token may help

    def _watch(self, mailbox: Mailbox, stop_event: threading.Event) -> None:
        while not stop_event.is_set():
            unseen = [uid for uid in mailbox.list_unseen() if (mailbox.uid_validity, uid) not in self._skipped]
            for uid in unseen[:MAX_MAILS_PER_ROUND]:
                if stop_event.is_set():
                    return
                self._send_event(mailbox, uid)
            if len(unseen) <= MAX_MAILS_PER_ROUND:
                mailbox.wait_for_mail(stop_event)

    def _send_event(self, mailbox: Mailbox, uid: int) -> None:
        payload = parse_mail(*mailbox.fetch(uid), self._imap.attachment_bytes)
        try:
            self._pack.send("EmailReceived", payload, key=build_event_key(payload, f"{mailbox.uid_validity}/{uid}"))
        except RefusedError as error:
            if not error.is_permanent:
                raise
            if error.status != DUPLICATE_KEY:
                logger.error("mail_left uid=%s reason=%r", uid, str(error))
                self._skipped.add((mailbox.uid_validity, uid))
                return
        mailbox.mark_read(uid)

    def _report_unreachable(self, reason: str) -> None:
        logger.warning("mailbox_unreachable host=%s reason=%r", self._imap.account.host, reason)
        if not self._failing:
            self._failing = True
            self._pack.send("MailboxUnreachable", self._mailbox_fields() | {"error": reason[:500]})

    def _report_reachable(self) -> None:
        logger.info("mailbox_opened host=%s folder=%s", self._imap.account.host, self._imap.folder)
        if self._failing:
            self._failing = False
            self._pack.send("MailboxReachable", self._mailbox_fields())

    def _mailbox_fields(self) -> dict[str, Any]:
        return {"host": self._imap.account.host, "folder": self._imap.folder}
