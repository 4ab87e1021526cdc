"""The Email pack as a program."""

import os
from typing import Any

from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.common.program import run_program, run_with_workers
from flyte_client.packs.common.results import pick_fields, run_command
from flyte_client.packs.email.composer import compose_mail
from flyte_client.packs.email.receiver import EVENT_NAMES, MailReceiver
from flyte_client.packs.email.settings import SmtpSettings, read_settings
from flyte_client.packs.email.smtp import send_mail

DESCRIPTION = (
    "Send mail for flows by SMTP (FLYTE_SMTP_HOST, FLYTE_EMAIL_FROM …), and send an event for each mail received "
    "in a folder by IMAP (FLYTE_IMAP_HOST …). See the pack's README.md for all variables."
)


def main(arguments: list[str] | None = None) -> int:
    return run_program("Email", DESCRIPTION, _run_pack, arguments)


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
        def send() -> dict[str, Any]:
            mail = compose_mail(command_input, smtp.sender, smtp.max_bytes)
            return {"refused": send_mail(mail, smtp), "messageId": mail.message_id}

        echoed = pick_fields(command_input, "to", "cc", "bcc", "subject")
        return run_command("EmailSent", "SendEmailFailed", echoed, send)
