"""The Email pack as a program."""

import argparse
import os
from typing import Any

from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.common.program import run_program, run_with_workers
from flyte_client.packs.email.composer import compose_mail
from flyte_client.packs.email.receiver import EVENT_NAMES, MailReceiver
from flyte_client.packs.email.settings import SmtpSettings, read_settings
from flyte_client.packs.email.smtp import MailNotSentError, send_mail


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.email",
        description="Sends mail for flows by SMTP (FLYTE_SMTP_HOST, FLYTE_EMAIL_FROM …), and an event for each mail "
        "that comes into a folder by IMAP (FLYTE_IMAP_HOST …). README.md beside the pack lists all variables.",
    ).parse_args(arguments)
    return run_program("Email", _run_pack)


def _run_pack() -> int:
    settings = read_settings(os.environ)
    pack = Pack("Email")
    if settings.smtp:
        _declare_commands(pack, settings.smtp)
    if settings.imap is None:
        return run_with_workers(pack)
    for event in EVENT_NAMES:
        pack.event(event)
    return run_with_workers(pack, MailReceiver(pack, settings.imap).run)


def _declare_commands(pack: Pack, smtp: SmtpSettings) -> None:
    @pack.command("SendEmail", events=["EmailSent", "SendEmailFailed"])
    def send_email(command_input: Any) -> Event:
        fields = command_input if isinstance(command_input, dict) else {}
        echoed = {name: fields.get(name) or "" for name in ("to", "cc", "bcc", "subject")}
        try:
            mail = compose_mail(command_input, smtp.sender, smtp.max_bytes)
            refused = send_mail(mail, smtp)
        except ValueError as error:
            return Event("SendEmailFailed", echoed | {"error": str(error), "temporary": False})
        except MailNotSentError as error:
            return Event("SendEmailFailed", echoed | {"error": str(error), "temporary": error.temporary})
        return Event("EmailSent", echoed | {"messageId": mail.message_id, "refused": refused})
