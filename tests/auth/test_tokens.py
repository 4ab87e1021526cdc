"""Tokens of the server: creation, lookup, expiry, revocation, and storage."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flyte_site.auth import tokens
from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR
from flyte_site.auth.principals import Principal, matches_pattern
from flyte_site.auth.tokens import LAST_USED_RESOLUTION, TokenError
from flyte_site.management.commands.token import parse_expiry
from flyte_site.models import Token
from tests.server import migrated_database, server_environment
from tests.site.processes import manage, manage_here

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_a_token_is_found_by_its_secret_and_only_a_digest_is_stored() -> None:
    token, secret = tokens.create_token(COMMAND_LINE_ACTOR, "slack", pack="Slack")
    assert tokens.find_token(secret) == token
    assert len(secret) >= len("flyte_") + 43
    row = Token.objects.values_list().get()
    assert secret not in str(row)
    assert token.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert secret.startswith(token.shown)


def test_every_token_has_a_different_secret() -> None:
    assert len({tokens.create_token(COMMAND_LINE_ACTOR, f"t{number}", pack="P")[1] for number in range(50)}) == 50


@pytest.mark.parametrize("secret", ["", "flyte_", "x", "flyte_" + "A" * 43, "\x00", "\udcff", "ä" * 5000])
def test_an_unknown_secret_finds_no_token(secret: str) -> None:
    tokens.create_token(COMMAND_LINE_ACTOR, "slack", pack="Slack")
    assert tokens.find_token(secret) is None


def test_revoked_and_expired_tokens_are_not_found() -> None:
    _, revoked = tokens.create_token(COMMAND_LINE_ACTOR, "gone", pack="P")
    _, expired = tokens.create_token(
        COMMAND_LINE_ACTOR, "over", pack="P", expires_at=timezone.now() + timedelta(days=1)
    )
    assert tokens.find_token(revoked)
    assert tokens.find_token(expired)
    assert tokens.revoke_token(COMMAND_LINE_ACTOR, "gone")
    assert not tokens.revoke_token(COMMAND_LINE_ACTOR, "gone")
    assert not tokens.revoke_token(COMMAND_LINE_ACTOR, "never")
    Token.objects.filter(name="over").update(expires_at=timezone.now())
    assert (tokens.find_token(revoked), tokens.find_token(expired)) == (None, None)
    assert [token.name for token in tokens.list_tokens()] == ["gone", "over"]


def test_the_time_of_the_last_use_is_updated_at_intervals() -> None:
    _, secret = tokens.create_token(COMMAND_LINE_ACTOR, "slack", pack="Slack")
    with CaptureQueriesContext(
        connection,
    ) as first:
        tokens.find_token(secret)
    with CaptureQueriesContext(connection) as second:
        tokens.find_token(secret)
    assert ([len(first), len(second)]) == [2, 1]
    Token.objects.update(last_used_at=timezone.now() - LAST_USED_RESOLUTION)
    noted = Token.objects.get().last_used_at
    tokens.find_token(secret)
    again = Token.objects.get().last_used_at
    assert noted is not None
    assert again is not None
    assert again > noted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101, "pack": "P"}, "1 to 100 printable characters"),
        ({"name": "a\nb", "pack": "P"}, "printable"),
        ({"name": "a\u2028b", "pack": "P"}, "printable"),
        ({"name": "a\x9bb", "pack": "P"}, "printable"),
        ({"name": "a\udcffb", "pack": "P"}, "printable"),
        ({"name": "t"}, "choose a pack or at least one scope; without either, the token allows nothing"),
        ({"name": "t", "scopes": ["flows:delete"]}, "unknown scope 'flows:delete'"),
        ({"name": "t", "scopes": ["flows:read"], "labels": {"a": "b"}}, "labels require a pack"),
        ({"name": "t", "pack": "P" * 256}, "256 characters exceeds the limit of 255"),
        ({"name": "t", "pack": "P", "expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "must be in the future"),
        ({"name": "taken", "pack": "P"}, "'taken' already exists"),
    ],
)
def test_a_token_with_invalid_options_is_not_created(options: dict[str, object], message: str) -> None:
    tokens.create_token(COMMAND_LINE_ACTOR, "taken", pack="P")
    with pytest.raises(TokenError, match=message):
        tokens.create_token(COMMAND_LINE_ACTOR, **options)  # type: ignore[arg-type]
    assert Token.objects.count() == 1


@pytest.mark.parametrize("name", ["会議\u3000室", "👩\u200d💻 deploy", "\u200fشكرا", "a\u00a0b\u202fc\u00add", "🫩"])
def test_a_name_can_have_unusual_characters(name: str) -> None:
    tokens.create_token(COMMAND_LINE_ACTOR, name, pack="P")
    assert Token.objects.get().name == name


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("Slack", "Slack", True),
        ("Slack", "slack", False),
        ("Slack", "Slack2", False),
        ("Slack*", "Slack", True),
        ("Slack*", "Slack-eu", True),
        ("*", "", True),
        ("*lack", "Slack", True),
        ("a*a", "a", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*b", "ab", False),
        ("S?ack", "Slack", False),
        ("[S]lack", "Slack", False),
        ("S.ack", "Slack", False),
        ("*a" * 40, "a" * 39 + "b", False),
        ("", "Slack", False),
    ],
)
def test_only_a_star_in_a_packs_name_is_a_wildcard(pattern: str, name: str, expected: bool) -> None:
    assert matches_pattern(pattern, name) is expected


def test_a_token_can_act_as_packs_that_have_all_its_labels() -> None:
    caller = Principal("token", "t", pack="Slack", labels={"env": "prod"})
    assert caller.can_act_as("Slack", {"env": "prod", "az": "b"})
    for name, labels in (("Slack", {}), ("Slack", {"env": "dev"}), ("Jira", {"env": "prod"})):
        assert not caller.can_act_as(name, labels)
    assert not Principal("token", "t").can_act_as("", {})
    assert Principal("oidc", "s").can_act_as("Slack", {})


NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90d", NOW + timedelta(days=90)),
        ("12h", NOW + timedelta(hours=12)),
        ("2w", NOW + timedelta(weeks=2)),
        ("1d12h", NOW + timedelta(hours=36)),
        ("1798761600", datetime(2027, 1, 1, tzinfo=UTC)),
        ("Fri, 01 Jan 2027 01:00:00 +0100", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T12:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31T12:00", datetime(2027, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_an_expiry_is_a_duration_or_a_time(text: str, expected: datetime) -> None:
    assert parse_expiry(text, NOW) == expected


def test_tokens_are_created_listed_and_revoked_on_the_command_line() -> None:
    created = manage_here("token", "create", "slack-prod", "--pack=Slack", "--label=env=prod", "--scope=datastore:read")
    secret = created.stdout.strip()
    assert created.returncode == 0
    assert secret.startswith("flyte_")
    listed = manage_here("token", "list").stdout
    assert secret not in listed
    assert "pack Slack env=prod, datastore:read" in listed
    assert "usable" in listed
    assert manage_here("token", "revoke", "slack-prod").returncode == 0
    assert "revoked" in manage_here("token", "list").stdout


@pytest.mark.parametrize(
    "wrong",
    [
        ("create", "slack-prod", "--pack=Slack"),
        ("create", "t", "--scope=all"),
        ("create", "t", "--pack=P", "--label=x"),
        ("create", "t", "--pack=P", "--label=x=1", "--label=x=2"),
        ("create", "t", "--pack=P", "--expires=soon"),
        ("revoke", "nobody"),
    ],
)
def test_a_failed_command_exits_with_1_and_one_line(wrong: tuple[str, ...]) -> None:
    assert manage_here("token", "create", "slack-prod", "--pack=Slack").returncode == 0
    done = manage_here("token", *wrong)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr


@pytest.mark.acceptance
def test_the_token_command_has_exit_codes(tmp_path: Path) -> None:
    with migrated_database(tmp_path) as url:
        environment = server_environment(url)
        created, again = (
            manage("token", "create", "slack", "--pack=Slack", folder=tmp_path, environment=environment)
            for _ in range(2)
        )
    assert (created.returncode, created.stdout[:6]) == (0, "flyte_")
    assert (again.returncode, again.stdout, again.stderr.count("\n")) == (1, "", 1)
    assert again.stderr.startswith("CommandError: ")
