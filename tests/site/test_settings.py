"""Every variable: what it gives, and what is said about a value that can't be used."""

from datetime import time
from pathlib import Path
from typing import Any

import pytest

from flyte_site.environment import Finding
from tests.site.conftest import Read

pytestmark = pytest.mark.unit


def findings(settings: dict[str, Any]) -> list[Finding]:
    found: list[Finding] = settings["FLYTE_ENVIRONMENT"].errors
    return found


GOOD = [
    ("FLYTE_BIND", "", "127.0.0.1"),
    ("FLYTE_BIND", "0.0.0.0", "0.0.0.0"),
    ("FLYTE_BIND", "localhost", "localhost"),
    ("FLYTE_BIND", "flyte-1.example.org", "flyte-1.example.org"),
    ("FLYTE_BIND", "::1", "[::1]"),
    ("FLYTE_BIND", "[::]", "[::]"),
    ("FLYTE_PORT", "", 8080),
    ("FLYTE_PORT", "1", 1),
    ("FLYTE_PORT", " 65535 ", 65535),
    ("FLYTE_WEB_WORKERS", "", 2),
    ("FLYTE_WEB_WORKERS", "256", 256),
    ("FLYTE_WEB_THREADS", "", 8),
    ("FLYTE_WEB_THREADS", "1", 1),
    ("FLYTE_MAX_BODY_BYTES", "", 1024 * 1024),
    ("FLYTE_MAX_BODY_BYTES", "1024", 1024),
    ("FLYTE_MAX_DATASTORE_VALUE_BYTES", "", 16 * 1024 * 1024),
    ("FLYTE_EVENT_KEEP", "", 50),
    ("FLYTE_EVENT_KEEP", "0", 0),
    ("FLYTE_TTL_IN_SECONDS", "", 31557600),
    ("FLYTE_TTL_IN_SECONDS", "60", 60),
    ("FLYTE_SHOULD_DELETE_DEAD_PACKS", "", False),
    ("FLYTE_SHOULD_DELETE_DEAD_PACKS", "true", True),
    ("FLYTE_SHOULD_DELETE_DEAD_PACKS", "T", True),
    ("FLYTE_SHOULD_DELETE_DEAD_PACKS", "1", True),
    ("FLYTE_SHOULD_DELETE_DEAD_PACKS", "False", False),
    ("FLYTE_DELETE_DEAD_PACKS_AT_HH_COLON_MM", "", time(23, 0)),
    ("FLYTE_DELETE_DEAD_PACKS_AT_HH_COLON_MM", "00:00", time(0, 0)),
    ("FLYTE_DELETE_DEAD_PACKS_AT_HH_COLON_MM", "3:05", time(3, 5)),
    ("FLYTE_PACK_GRACE_PERIOD_UNTIL_MARKED_DEAD_IN_SECONDS", "", 604800),
    ("FLYTE_REDIS_URL", "", ""),
    ("FLYTE_REDIS_URL", "redis://:secret@localhost:6379/0", "redis://:secret@localhost:6379/0"),
    ("FLYTE_REDIS_URL", "unix:///run/redis.sock", "unix:///run/redis.sock"),
    ("FLYTE_DATABASE_URL", "postgresql://u:p%40ss@h:5433/flyte", "postgresql://u:p%40ss@h:5433/flyte"),
    ("LOGLEVEL", "", "INFO"),
    ("LOGLEVEL", "debug", "DEBUG"),
    ("LOGLEVEL", "warn", "WARNING"),
    ("LOGLEVEL", "Error", "ERROR"),
    ("LOGLEVEL", "FATAL", "CRITICAL"),
    ("LOGFILE", "", ""),
]


@pytest.mark.parametrize(("variable", "value", "expected"), GOOD)
def test_a_good_value_counts(read: Read, variable: str, value: str, expected: Any) -> None:
    settings = read(**{variable: value})
    assert settings[variable] == expected
    assert type(settings[variable]) is type(expected)
    assert findings(settings) == []


BAD = [
    ("FLYTE_PORT", "flyte.E001", ["0", "65536", "-1", "http", "8_080", "1.5", "٨٠", "9" * 5000]),
    ("FLYTE_TLS_CERT_PATH", "flyte.E002", ["/nowhere/cert.pem", "/tmp"]),
    ("FLYTE_TLS_KEY_PATH", "flyte.E003", ["/nowhere/key.pem"]),
    ("FLYTE_WEB_WORKERS", "flyte.E005", ["0", "257", "two"]),
    ("FLYTE_WEB_THREADS", "flyte.E006", ["0", "513", "x"]),
    ("FLYTE_MAX_BODY_BYTES", "flyte.E007", ["1023", "1M", str(1024**3 + 1)]),
    ("FLYTE_MAX_DATASTORE_VALUE_BYTES", "flyte.E008", ["0", "16MiB"]),
    ("FLYTE_EVENT_KEEP", "flyte.E009", ["-1", "10001"]),
    ("FLYTE_EVENT_SAMPLES", "flyte.E040", ["-1", "101"]),
    ("FLYTE_EVENT_KEEP_BYTES", "flyte.E041", ["-1", "64K"]),
    ("FLYTE_TTL_IN_SECONDS", "flyte.E010", ["0", "1e9", str(200 * 366 * 86400)]),
    ("FLYTE_SHOULD_DELETE_DEAD_PACKS", "flyte.E011", ["yes", "2", "on"]),
    ("FLYTE_DELETE_DEAD_PACKS_AT_HH_COLON_MM", "flyte.E012", ["24:00", "23:60", "23", "23:0", "11pm", "１１:００"]),
    ("FLYTE_PACK_GRACE_PERIOD_UNTIL_MARKED_DEAD_IN_SECONDS", "flyte.E013", ["0", "7d"]),
    ("FLYTE_OIDC_ISSUER_URL", "flyte.E014", ["dex", "ftp://dex", "https://", "https://[x", "https://h:99999"]),
    ("FLYTE_AUTH_POLICY_PATH", "flyte.E015", ["/nowhere/policy.yml"]),
    ("FLYTE_REDIS_URL", "flyte.E019", ["localhost:6379", "http://localhost", "redis://", "redis:h"]),
    ("LOGLEVEL", "flyte.E021", ["LOUD", "10"]),
    ("LOGFILE", "flyte.E022", ["/nowhere/flyte.log", "/tmp"]),
    ("FLYTE_BIND", "flyte.E023", ["not a host", "999.1.1.1", "h:80", "/tmp/socket", "[h]", "127.0.0.1:80"]),
    ("FLYTE_DATABASE_URL", "flyte.E018", ["x", "mysql://h/d", "sqlite://", "sqlite:///", "sqlite:flyte.db"]),
    ("FLYTE_DATABASE_URL", "flyte.E018", ["sqlite://h/flyte.db", "sqlite:////nowhere/flyte.db", "postgres:flyte"]),
    ("FLYTE_DATABASE_URL", "flyte.E018", ["postgresql://h", "postgresql://h:x/d", "postgresql://[h/d"]),
]


@pytest.mark.parametrize(
    ("variable", "check_id", "value"), [(variable, check_id, value) for variable, check_id, bad in BAD for value in bad]
)
def test_a_bad_value_is_told_under_its_id_and_the_default_is_used(
    read: Read, variable: str, check_id: str, value: str
) -> None:
    settings = read(**{variable: value})
    (error,) = [found for found in findings(settings) if found.check_id == check_id]
    assert str(error).startswith(f"{variable}: ")
    assert "\n" not in str(error)
    # A test that FLYTE_DATABASE_URL's default is in the project's folder has its own place below.
    assert variable == "FLYTE_DATABASE_URL" or settings[variable] == read()[variable]


def test_the_default_database_lies_in_the_projects_folder(read: Read, tmp_path: Path) -> None:
    settings = read()
    assert settings["FLYTE_DATABASE_URL"] == f"sqlite:///{tmp_path / 'project' / 'flyte.sqlite3'}"
    assert settings["DATABASES"]["default"]["NAME"] == str(tmp_path / "project" / "flyte.sqlite3")


def test_sqlite_is_set_up_for_several_processes_and_postgresql_for_a_database_that_is_away(read: Read) -> None:
    sqlite = read(FLYTE_DATABASE_URL="sqlite:////tmp/x.sqlite3")["DATABASES"]["default"]
    assert sqlite["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in sqlite["OPTIONS"]["init_command"]
    postgres = read(FLYTE_DATABASE_URL="postgresql://u:p@h/d?sslmode=require")["DATABASES"]["default"]
    assert postgres["OPTIONS"] == {"connect_timeout": 3, "tcp_user_timeout": 10_000, "sslmode": "require"}


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/d", "postgresql://u:hunter2#x@h/d", "postgresql://u:hunter2@h"])
def test_a_database_url_that_is_refused_never_shows_its_password(read: Read, url: str) -> None:
    (error,) = findings(read(FLYTE_DATABASE_URL=url))
    assert "hunter2" not in str(error)


AUTH = {"FLYTE_OIDC_ISSUER_URL": "https://dex.example.org", "FLYTE_OIDC_ISSUER_CLIENT_ID": "flyte"}


@pytest.mark.parametrize("absent", ["FLYTE_OIDC_ISSUER_URL", "FLYTE_OIDC_ISSUER_CLIENT_ID", "FLYTE_AUTH_POLICY_PATH"])
def test_each_missing_auth_variable_is_named(read: Read, tmp_path: Path, absent: str) -> None:
    policy = tmp_path / "policy.yml"
    policy.touch()
    given = {name: value for name, value in {**AUTH, "FLYTE_AUTH_POLICY_PATH": str(policy)}.items() if name != absent}
    assert [error.variable for error in findings(read(**given)) if error.check_id == "flyte.E016"] == [absent]


def test_one_auth_variable_alone_names_the_other_two(read: Read) -> None:
    errors = findings(read(FLYTE_OIDC_ISSUER_CLIENT_ID="flyte"))
    missing = [error.variable for error in errors if error.check_id == "flyte.E016"]
    assert missing == ["FLYTE_OIDC_ISSUER_URL", "FLYTE_AUTH_POLICY_PATH"]


def test_every_auth_variable_that_is_set_stops_the_start_as_long_as_no_token_is_checked(
    read: Read, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yml"
    policy.touch()
    errors = findings(read(**AUTH, FLYTE_AUTH_POLICY_PATH=str(policy)))
    assert {error.check_id for error in errors} == {"flyte.E017"}
    assert {error.variable for error in errors} == {*AUTH, "FLYTE_AUTH_POLICY_PATH"}


def test_tls_needs_both_files(read: Read, certificate: tuple[Path, Path]) -> None:
    alone = findings(read(FLYTE_TLS_CERT_PATH=str(certificate[0])))
    assert [(error.check_id, error.variable) for error in alone] == [("flyte.E004", "FLYTE_TLS_KEY_PATH")]
    alone = findings(read(FLYTE_TLS_KEY_PATH=str(certificate[1])))
    assert [(error.check_id, error.variable) for error in alone] == [("flyte.E004", "FLYTE_TLS_CERT_PATH")]


def test_with_tls_the_port_is_8443_unless_another_is_set(read: Read, certificate: tuple[Path, Path]) -> None:
    tls = {"FLYTE_TLS_CERT_PATH": str(certificate[0]), "FLYTE_TLS_KEY_PATH": str(certificate[1])}
    assert read(**tls)["FLYTE_PORT"] == 8443
    assert read(**tls, FLYTE_PORT="9000")["FLYTE_PORT"] == 9000


def test_files_that_hold_no_certificate_and_its_key_are_refused(
    read: Read, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    for cert, key in ((junk, certificate[1]), (certificate[0], junk), certificate[::-1]):
        errors = findings(read(FLYTE_TLS_CERT_PATH=str(cert), FLYTE_TLS_KEY_PATH=str(key)))
        assert [(error.check_id, error.variable) for error in errors] == [("flyte.E024", "FLYTE_TLS_CERT_PATH")]


def test_an_unreadable_file_is_not_called_missing_as_well(read: Read, certificate: tuple[Path, Path]) -> None:
    errors = findings(read(FLYTE_TLS_CERT_PATH="/nowhere", FLYTE_TLS_KEY_PATH=str(certificate[1])))
    assert [error.check_id for error in errors] == ["flyte.E002"]


def test_the_originals_mongo_host_is_a_warning_and_no_error(read: Read) -> None:
    environment = read(FLYTE_MGO_HOST="mongo.example.org")["FLYTE_ENVIRONMENT"]
    (warning,) = environment.warnings
    assert (warning.check_id, environment.errors) == ("flyte.W001", [])
    assert "FLYTE_DATABASE_URL" in str(warning)


def test_a_secret_key_that_is_set_is_used_and_none_is_kept(read: Read, tmp_path: Path) -> None:
    assert read(FLYTE_SECRET_KEY="the operator's own")["SECRET_KEY"] == "the operator's own"
    assert not (tmp_path / "project" / ".secret_key").exists()


def test_without_one_the_same_kept_secret_key_is_used_each_time(read: Read, tmp_path: Path) -> None:
    first = read()["SECRET_KEY"]
    assert len(first) >= 50
    assert read()["SECRET_KEY"] == first == (tmp_path / "project" / ".secret_key").read_text()


def test_where_no_secret_key_can_be_kept_one_must_be_set(read: Read, tmp_path: Path) -> None:
    (tmp_path / "project" / ".secret_key").mkdir()
    assert [(error.check_id, error.variable) for error in findings(read())] == [("flyte.E020", "FLYTE_SECRET_KEY")]


def test_a_variable_that_is_set_but_empty_counts_as_not_set(read: Read) -> None:
    blank = read(**{variable: " " for variable, *_ in BAD})
    assert findings(blank) == []
