"""A folder at an IMAP server."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from flyte_client.packs.common.optional_import import require_extra
from flyte_client.packs.email.settings import ImapSettings

MAX_HEADER_BYTES = 64 * 1024
IDLE_CHECK_SECONDS = 1.0  # so long may it take until the end of the pack is noticed


class Mailbox:
    """What is not read yet in the folder. Methods raise `OSError` or `imaplib.IMAP4.error`."""

    def __init__(self, client: Any, imap: ImapSettings) -> None:
        self._client = client
        self._imap = imap
        self.uid_validity = int(client.select_folder(imap.folder)[b"UIDVALIDITY"])

    def list_unseen(self) -> list[int]:
        """The ids of mails that are not marked as read, oldest first."""
        return sorted(self._client.search(["UNSEEN", "UNDELETED"]))

    def fetch(self, uid: int) -> tuple[bytes, int]:
        """A mail and its size, without marking it; only its headers where it is too large."""
        size = int(self._fetch_part(uid, "RFC822.SIZE", b"RFC822.SIZE"))
        if size <= self._imap.max_bytes:
            raw = self._fetch_part(uid, "BODY.PEEK[]", b"BODY[]")
            return raw, len(raw)  # not every server counts line breaks in its sizes as it sends them
        return self._fetch_part(uid, f"BODY.PEEK[HEADER]<0.{MAX_HEADER_BYTES}>", b"BODY[HEADER]<0>"), size

    def _fetch_part(self, uid: int, item: str, response_key: bytes) -> Any:
        response = self._client.fetch([uid], [item]).get(uid, {})
        if response_key not in response:
            raise OSError(f"the server gave no {item} of mail {uid}")
        return response[response_key]

    def mark_read(self, uid: int) -> None:
        """Mark the mail as read, and move it where done mails are to go."""
        self._client.add_flags([uid], [rb"\Seen"])
        if not self._imap.move_to:
            return
        if self._client.has_capability("MOVE"):
            self._client.move([uid], self._imap.move_to)
            return
        self._client.copy([uid], self._imap.move_to)
        self._client.add_flags([uid], [rb"\Deleted"])
        if self._client.has_capability("UIDPLUS"):  # without it, whatever else is marked would be deleted, too
            self._client.uid_expunge([uid])

    def wait_for_mail(self, stop_event: threading.Event) -> None:
        """Until something comes, if the server tells of that (IDLE, RFC 2177), but no longer than a poll's pause."""
        if not self._client.has_capability("IDLE"):
            stop_event.wait(self._imap.poll_seconds)
            return
        deadline = time.monotonic() + self._imap.poll_seconds
        self._client.idle()
        while not stop_event.is_set() and (remaining := deadline - time.monotonic()) > 0:
            started_at = time.monotonic()
            responses = self._client.idle_check(timeout=min(remaining, IDLE_CHECK_SECONDS))
            if responses or time.monotonic() - started_at < min(remaining, IDLE_CHECK_SECONDS) / 2:
                break  # something came, or the connection is gone, which the next call finds out
        self._client.idle_done()


@contextmanager
def open_mailbox(imap: ImapSettings) -> Iterator[Mailbox]:
    """The folder, until the block ends. Raises as `Mailbox` does."""
    with require_extra("email"):
        from imapclient import IMAPClient  # type: ignore[import-untyped]
    account = imap.account
    context = ssl.create_default_context()
    client = IMAPClient(
        account.host, account.port, ssl=account.security == "tls", ssl_context=context, timeout=account.timeout
    )
    try:
        if account.security == "starttls":
            client.starttls(context)
        client.login(account.user, account.password)
        yield Mailbox(client, imap)
        client.logout()
    finally:
        with suppress(OSError):  # a connection that is gone already must not hide why
            client.shutdown()
