"""A folder on an IMAP server."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from flyte_client.packs.common.optional_import import require_extra
from flyte_client.packs.email.settings import ImapSettings

MAX_HEADER_BYTES = 64 * 1024
IDLE_CHECK_SECONDS = 1.0  # maximum delay until a shutdown request is noticed


class Mailbox:
    """The unread mails of a folder. Methods raise `OSError` or `imaplib.IMAP4.error`."""

    def __init__(self, client: Any, imap: ImapSettings) -> None:
        self._client = client
        self._imap = imap
        self.uid_validity = int(client.select_folder(imap.folder)[b"UIDVALIDITY"])

    def list_unseen(self) -> list[int]:
        """Return the ids of mails that are not marked as read, oldest first."""
        return sorted(self._client.search(["UNSEEN", "UNDELETED"]))

    def fetch(self, uid: int) -> tuple[bytes, int]:
        """Fetch a mail and its size without marking it as read; only the headers if it is too large."""
        size = int(self._fetch_part(uid, "RFC822.SIZE", b"RFC822.SIZE"))
        if size <= self._imap.max_bytes:
            raw = self._fetch_part(uid, "BODY.PEEK[]", b"BODY[]")
            return raw, len(raw)  # some servers count line breaks differently in the size
        return self._fetch_part(uid, f"BODY.PEEK[HEADER]<0.{MAX_HEADER_BYTES}>", b"BODY[HEADER]<0>"), size

    def _fetch_part(self, uid: int, item: str, response_key: bytes) -> Any:
        response = self._client.fetch([uid], [item]).get(uid, {})
        if response_key not in response:
            raise OSError(f"the server sent no {item} of mail {uid}")
        return response[response_key]

    def mark_read(self, uid: int) -> None:
        """Mark the mail as read, and move it to the configured folder, if any."""
        self._client.add_flags([uid], [rb"\Seen"])
        if not self._imap.move_to:
            return
        if self._client.has_capability("MOVE"):
            self._client.move([uid], self._imap.move_to)
            return
        self._client.copy([uid], self._imap.move_to)
        self._client.add_flags([uid], [rb"\Deleted"])
        if self._client.has_capability("UIDPLUS"):  # without it, other mails marked as deleted would be removed too
            self._client.uid_expunge([uid])

    def wait_for_mail(self, stop_event: threading.Event) -> None:
        """Wait for new mail with IDLE (RFC 2177) if the server supports it, at most for the poll interval."""
        if not self._client.has_capability("IDLE"):
            stop_event.wait(self._imap.poll_seconds)
            return
        deadline = time.monotonic() + self._imap.poll_seconds
        self._client.idle()
        while not stop_event.is_set() and (remaining := deadline - time.monotonic()) > 0:
            started_at = time.monotonic()
            responses = self._client.idle_check(timeout=min(remaining, IDLE_CHECK_SECONDS))
            if responses or time.monotonic() - started_at < min(remaining, IDLE_CHECK_SECONDS) / 2:
                break  # new mail, or a lost connection, which the next call detects
        self._client.idle_done()


@contextmanager
def open_mailbox(imap: ImapSettings) -> Iterator[Mailbox]:
    """Open the folder until the block ends. Raises what `Mailbox` does."""
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
        with suppress(OSError):  # an error on a lost connection must not hide the first one
            client.shutdown()
