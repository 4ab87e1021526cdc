"""Sending of a mail by SMTP."""

import smtplib
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flyte_client.packs.common.errors import MAX_MESSAGE_LENGTH, ServiceError
from flyte_client.packs.email.composer import OutgoingMail
from flyte_client.packs.email.settings import MailAccount, SmtpSettings


class MailNotSentError(ServiceError):
    """A mail that no recipient has received."""


def send_mail(mail: OutgoingMail, smtp: SmtpSettings) -> Mapping[str, str]:
    """Send the mail; return the refused recipients with the server's replies. Raises `MailNotSentError`."""
    try:
        with _connect(smtp.account) as server:
            sender = mail.message["From"].addresses[0].addr_spec
            refused = server.send_message(mail.message, sender, list(mail.recipients))
    except smtplib.SMTPRecipientsRefused as error:
        codes = {code for code, _ in error.recipients.values()}
        refusals = "; ".join(f"{address}: {text}" for address, text in _format_refusals(error.recipients).items())
        raise MailNotSentError(
            f"all recipients were refused: {refusals}", temporary=all(map(_is_temporary, codes))
        ) from None
    except smtplib.SMTPResponseException as error:
        raise MailNotSentError(
            _format_reply(error.smtp_code, error.smtp_error), temporary=_is_temporary(error.smtp_code)
        ) from None
    except (smtplib.SMTPNotSupportedError, ssl.SSLError) as error:
        raise MailNotSentError(str(error), temporary=False) from None
    except OSError as error:  # smtplib's other errors are OSErrors, too
        raise MailNotSentError(f"{type(error).__name__}: {error}", temporary=True) from None
    return _format_refusals(refused)


@contextmanager
def _connect(account: MailAccount) -> Iterator[smtplib.SMTP]:
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


def _format_refusals(refused: Mapping[str, tuple[int, bytes]]) -> dict[str, str]:
    return {address: _format_reply(code, text) for address, (code, text) in refused.items()}


def _format_reply(code: int, text: bytes | str) -> str:
    message = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(message.split())}"[:MAX_MESSAGE_LENGTH]


def _is_temporary(code: int) -> bool:
    return 400 <= code < 500 or code == -1
