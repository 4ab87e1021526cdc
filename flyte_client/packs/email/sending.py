"""Gives a mail to the SMTP server."""

import smtplib
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flyte_client.packs.email.composing import Mail
from flyte_client.packs.email.settings import Account, Outgoing

LONGEST_WORDS = 500


class NotSentError(Exception):
    """Nobody has got the mail; `temporary` where it may do good to try again later."""

    def __init__(self, reason: str, *, temporary: bool) -> None:
        super().__init__(reason[:LONGEST_WORDS])
        self.temporary = temporary


def send(mail: Mail, outgoing: Outgoing) -> Mapping[str, str]:
    """Send the mail; the recipients that the server refused, each with its words. Raises `NotSentError`."""
    try:
        with _connected(outgoing.account) as server:
            sender = mail.message["From"].addresses[0].addr_spec
            refused = server.send_message(mail.message, sender, list(mail.recipients))
    except smtplib.SMTPRecipientsRefused as error:
        codes = {code for code, _ in error.recipients.values()}
        words = "; ".join(f"{address}: {text}" for address, text in _words(error.recipients).items())
        raise NotSentError(f"all recipients were refused: {words}", temporary=all(map(_is_temporary, codes))) from None
    except smtplib.SMTPResponseException as error:
        raise NotSentError(_said(error.smtp_code, error.smtp_error), temporary=_is_temporary(error.smtp_code)) from None
    except (smtplib.SMTPNotSupportedError, ssl.SSLError) as error:
        raise NotSentError(str(error), temporary=False) from None
    except OSError as error:  # smtplib's other errors are OSErrors, too
        raise NotSentError(f"{type(error).__name__}: {error}", temporary=True) from None
    return _words(refused)


@contextmanager
def _connected(account: Account) -> Iterator[smtplib.SMTP]:
    if account.security == "tls":
        context = ssl.create_default_context()
        server: smtplib.SMTP = smtplib.SMTP_SSL(account.host, account.port, timeout=account.timeout, context=context)
    else:
        server = smtplib.SMTP(account.host, account.port, timeout=account.timeout)
    with server:
        if account.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if account.user:
            server.login(account.user, account.password)
        yield server


def _words(refused: Mapping[str, tuple[int, bytes]]) -> dict[str, str]:
    return {address: _said(code, text) for address, (code, text) in refused.items()}


def _said(code: int, text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(words.split())}"[:LONGEST_WORDS]


def _is_temporary(code: int) -> bool:
    return 400 <= code < 500 or code == -1
