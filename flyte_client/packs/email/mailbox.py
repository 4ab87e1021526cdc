"""A folder at an IMAP server."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from flyte_client.packs.basis.needs import needed
from flyte_client.packs.email.settings import Incoming

LARGEST_HEADERS = 64 * 1024
SLICE = 1.0  # so long may it take until the end of the pack is noticed


class Mailbox:
    """What is not read yet in the folder. Methods raise `OSError` or `imaplib.IMAP4.error`."""

    def __init__(self, client: Any, incoming: Incoming) -> None:
        self._client = client
        self._incoming = incoming
        self.validity = int(client.select_folder(incoming.folder)[b"UIDVALIDITY"])

    def unseen(self) -> list[int]:
        """The ids of mails that are not marked as read, oldest first."""
        return sorted(self._client.search(["UNSEEN", "UNDELETED"]))

    def fetch(self, uid: int) -> tuple[bytes, int]:
        """A mail and its size, without marking it; only its headers where it is too large."""
        size = int(self._part(uid, "RFC822.SIZE", b"RFC822.SIZE"))
        if size <= self._incoming.max_bytes:
            raw = self._part(uid, "BODY.PEEK[]", b"BODY[]")
            return raw, len(raw)  # not every server counts line breaks in its sizes as it sends them
        return self._part(uid, f"BODY.PEEK[HEADER]<0.{LARGEST_HEADERS}>", b"BODY[HEADER]<0>"), size

    def _part(self, uid: int, wanted: str, name: bytes) -> Any:
        answer = self._client.fetch([uid], [wanted]).get(uid, {})
        if name not in answer:
            raise OSError(f"the server gave no {wanted} of mail {uid}")
        return answer[name]

    def done(self, uid: int) -> None:
        """Mark the mail as read, and move it where done mails are to go."""
        self._client.add_flags([uid], [rb"\Seen"])
        if not self._incoming.move_to:
            return
        if self._client.has_capability("MOVE"):
            self._client.move([uid], self._incoming.move_to)
            return
        self._client.copy([uid], self._incoming.move_to)
        self._client.add_flags([uid], [rb"\Deleted"])
        if self._client.has_capability("UIDPLUS"):  # without it, whatever else is marked would be deleted, too
            self._client.uid_expunge([uid])

    def wait(self, ending: threading.Event) -> None:
        """Until something comes, if the server tells of that (IDLE, RFC 2177), but no longer than a poll's pause."""
        if not self._client.has_capability("IDLE"):
            ending.wait(self._incoming.every)
            return
        until = time.monotonic() + self._incoming.every
        self._client.idle()
        while not ending.is_set() and (left := until - time.monotonic()) > 0:
            began = time.monotonic()
            told = self._client.idle_check(timeout=min(left, SLICE))
            if told or time.monotonic() - began < min(left, SLICE) / 2:
                break  # something came, or the connection is gone, which the next call finds out
        self._client.idle_done()


@contextmanager
def opened(incoming: Incoming) -> Iterator[Mailbox]:
    """The folder, until the block ends. Raises as `Mailbox` does."""
    with needed("email"):
        from imapclient import IMAPClient  # type: ignore[import-untyped]
    account = incoming.account
    context = ssl.create_default_context()
    client = IMAPClient(
        account.host, account.port, ssl=account.security == "tls", ssl_context=context, timeout=account.timeout
    )
    try:
        if account.security == "starttls":
            client.starttls(context)
        client.login(account.user, account.password)
        yield Mailbox(client, incoming)
        client.logout()
    finally:
        with suppress(OSError):  # a connection that is gone already must not hide why
            client.shutdown()
