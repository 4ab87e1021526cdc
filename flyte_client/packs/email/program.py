"""The Email pack as a program."""

import argparse
import os
from typing import Any

from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.basis.program import program, run_beside
from flyte_client.packs.email.composing import compose
from flyte_client.packs.email.receiving import EVENTS, Receiver
from flyte_client.packs.email.sending import NotSentError, send
from flyte_client.packs.email.settings import Outgoing, read_settings


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.email",
        description="Sends mail for flows by SMTP (FLYTE_SMTP_HOST, FLYTE_EMAIL_FROM …), and an event for each mail "
        "that comes into a folder by IMAP (FLYTE_IMAP_HOST …). README.md beside the pack lists all variables.",
    ).parse_args(arguments)
    return program("Email", _start)


def _start() -> int:
    settings = read_settings(os.environ)
    pack = Pack("Email")
    if settings.outgoing:
        _declare_sending(pack, settings.outgoing)
    if settings.incoming is None:
        return run_beside(pack)
    for event in EVENTS:
        pack.event(event)
    return run_beside(pack, Receiver(pack, settings.incoming).run)


def _declare_sending(pack: Pack, outgoing: Outgoing) -> None:
    @pack.command("SendEmail", events=["EmailSent", "SendEmailFailed"])
    def send_email(given: Any) -> Event:
        fields = given if isinstance(given, dict) else {}
        told = {name: fields.get(name) or "" for name in ("to", "cc", "bcc", "subject")}
        try:
            mail = compose(given, outgoing.sender, outgoing.max_bytes)
            refused = send(mail, outgoing)
        except ValueError as error:
            return Event("SendEmailFailed", told | {"error": str(error), "temporary": False})
        except NotSentError as error:
            return Event("SendEmailFailed", told | {"error": str(error), "temporary": error.temporary})
        return Event("EmailSent", told | {"messageId": mail.id, "refused": refused})
