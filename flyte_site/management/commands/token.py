"""`manage.py token`: make, list and revoke tokens."""

import re
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from flyte_site.auth import tokens
from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR
from flyte_site.auth.scopes import SCOPES
from flyte_site.core.timestamps import format_rfc3339
from flyte_site.models import Token
from flyte_site.scheduler.command import DatabaseCommand

DURATION_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
COLUMNS = ("NAME", "BEGINS", "STATE", "EXPIRES", "LAST USED", "MAY")


class Command(DatabaseCommand):
    """What the API asks for where FLYTE_AUTH is `tokens`, and takes beside a provider's where it is `oidc`."""

    help = "Make, list and revoke the tokens that packs and people call the API with."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True, metavar="create|list|revoke")
        create = commands.add_parser("create", help="make a token and show it, once")
        create.add_argument("name", help="what it is called in lists and histories, such as slack-prod")
        create.add_argument("--pack", default="", metavar="NAME", help="be packs of this name; * is any text: Slack*")
        create.add_argument(
            "--label", action="append", default=[], metavar="KEY=VALUE", help="… with this label; may be repeated"
        )
        create.add_argument(
            "--scope", action="append", default=[], metavar="SCOPE", help=f"may be repeated: {', '.join(SCOPES)}"
        )
        create.add_argument("--expires", metavar="WHEN", help="90d, 12h, 2w, or a time such as 2027-01-31")
        commands.add_parser("list", help="show all tokens, without their secrets")
        revoke = commands.add_parser("revoke", help="make a token useless from now on")
        revoke.add_argument("name")

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
        self.stderr.write("This is the token. It is shown this once; a pack gets it as FLYTE_JWT:")
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
            raise CommandError(f"there is no token {options['name']!r}, or it was revoked already")
        self.stdout.write(f"{options['name']} counts no longer")


def parse_labels(pairs: Sequence[str]) -> dict[str, str]:
    """`["env=prod"]` as `{"env": "prod"}`. Raises `CommandError`."""
    labels = {}
    for text in pairs:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise CommandError(f"--label {text!r} must be KEY=VALUE")
        labels[key] = value
    return labels


def parse_expiry(text: str, now: datetime) -> datetime:
    """When `90d` from now is over, or the time that is written (UTC where it names no zone). Raises `CommandError`."""
    try:
        if duration := re.fullmatch(r"(\d{1,6})([mhdw])", text, re.ASCII):
            return now + timedelta(**{DURATION_UNITS[duration[2]]: int(duration[1])})
        if moment := parse_datetime(text):
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if day := parse_date(text):
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    raise CommandError(f"--expires {text!r} must be such as 90d, 12h, 2w, 2027-01-31 or 2027-01-31T12:00Z")


def format_row(token: Token, now: datetime) -> tuple[str, ...]:
    """What a list shows of one token."""
    state = "revoked" if token.revoked_at else "usable" if token.is_usable(now) else "expired"
    labels = "".join(f" {key}={value}" for key, value in sorted(token.labels.items()))
    permissions = ", ".join([*([f"be pack {token.pack}{labels}"] if token.pack else []), *token.scopes])
    expires, last_used = (
        format_rfc3339(moment) if moment else "never" for moment in (token.expires_at, token.last_used_at)
    )
    return token.name, f"{token.shown}…", state, expires, last_used, permissions
