"""`manage.py token`: create, list and revoke tokens."""

from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from flyte_site.auth import tokens
from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR
from flyte_site.auth.scopes import SCOPES
from flyte_site.core.labels import split_label
from flyte_site.core.timestamps import format_rfc3339
from flyte_site.models import Token
from flyte_site.scheduler.command import DatabaseCommand
from flyte_time.durations import parse_duration
from flyte_time.times import parse_time

COLUMNS = ("NAME", "PREFIX", "STATUS", "EXPIRES", "LAST USED", "ACCESS")


class Command(DatabaseCommand):
    """The command that manages tokens. The API requires them with FLYTE_AUTH=tokens, and accepts them with `oidc`."""

    help = "Create, list and revoke the tokens with which packs and users call the API."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True, metavar="create|list|revoke")
        create = commands.add_parser(
            "create", help="create a token and print it once", description="Create a token and print it once."
        )
        create.add_argument("name", help="unique name for lists and logs, such as slack-prod")
        create.add_argument(
            "--pack",
            default="",
            metavar="NAME",
            help="act as packs with this name; * matches any text, as in Slack*",
        )
        create.add_argument(
            "--label",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="only packs with this label, such as env=prod; repeatable",
        )
        create.add_argument(
            "--scope",
            action="append",
            default=[],
            metavar="SCOPE",
            help=f"allow requests of this scope; repeatable: {', '.join(SCOPES)}",
        )
        create.add_argument(
            "--expires", metavar="WHEN", help="90d, 12h, 2w, or a time such as 2027-01-31 (default: never)"
        )
        commands.add_parser(
            "list", help="list all tokens, without their secrets", description="List all tokens, without their secrets."
        )
        revoke = commands.add_parser("revoke", help="revoke a token", description="Revoke a token.")
        revoke.add_argument("name", help="name of the token")

    def handle(self, *args: Any, **options: Any) -> None:
        {"create": self.create, "list": self.list, "revoke": self.revoke}[options["command"]](options)

    def create(self, options: dict[str, Any]) -> None:
        try:
            _, secret = tokens.create_token(
                COMMAND_LINE_ACTOR,
                options["name"],
                pack=options["pack"],
                labels=parse_labels(options["label"]),
                scopes=options["scope"],
                expires_at=parse_expiry(options["expires"], timezone.now()) if options["expires"] else None,
            )
        except tokens.TokenError as error:
            raise CommandError(str(error)) from None
        self.stderr.write("New token, shown only once (for a pack, set FLYTE_JWT to it):")
        self.stdout.write(secret)

    def list(self, options: dict[str, Any]) -> None:
        now = timezone.now()
        rows = [COLUMNS, *(format_row(token, now) for token in tokens.list_tokens())]
        widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
        for row in rows:
            line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
            self.stdout.write(line.rstrip())

    def revoke(self, options: dict[str, Any]) -> None:
        if not tokens.revoke_token(COMMAND_LINE_ACTOR, options["name"]):
            raise CommandError(f"token {options['name']!r} not found, or already revoked")
        self.stdout.write(f"token {options['name']} revoked")


def parse_labels(pairs: Sequence[str]) -> dict[str, str]:
    """Parse `["env=prod"]` as `{"env": "prod"}`. Raises `CommandError`."""
    labels: dict[str, str] = {}
    for text in pairs:
        try:
            name, value = split_label(text)
        except ValueError as error:
            raise CommandError(f"--label: {error}") from None
        if name in labels:
            raise CommandError(f"--label: {name!r} has two values, {labels[name]!r} and {value!r}")
        labels[name] = value
    return labels


def parse_expiry(text: str, now: datetime) -> datetime:
    """Parse a duration from now, such as `90d`, or a time (UTC if it has no zone). Raises `CommandError`."""
    with suppress(ValueError):
        # Not a number without a unit: nobody means seconds by it.
        return parse_time(text) if text.strip().isdigit() else now + parse_duration(text)
    with suppress(ValueError):
        return parse_time(text)
    raise CommandError(f"--expires: invalid value {text!r}; use 90d, 12h, 2w, 2027-01-31 or 2027-01-31T12:00Z")


def format_row(token: Token, now: datetime) -> tuple[str, ...]:
    """Format the columns of a token in the list."""
    state = "revoked" if token.revoked_at else "usable" if token.is_usable(now) else "expired"
    labels = "".join(f" {key}={value}" for key, value in sorted(token.labels.items()))
    permissions = ", ".join([*([f"pack {token.pack}{labels}"] if token.pack else []), *token.scopes])
    expires, last_used = (
        format_rfc3339(moment) if moment else "never" for moment in (token.expires_at, token.last_used_at)
    )
    return token.name, f"{token.shown}…", state, expires, last_used, permissions
