"""Environment variables: their values, and the errors of values that cannot be used."""

import re
from datetime import time
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from flyte_site.core.environment import EnvironmentFinding
from tests.server import ROOT
from tests.site.conftest import Read

pytestmark = pytest.mark.unit


def findings(settings: dict[str, Any]) -> list[EnvironmentFinding]:
    errors: list[EnvironmentFinding] = settings["FLYTE_ENVIRONMENT"].errors
    return errors


GOOD = [
    ("FLYTE_BIND", "", "127.0.0.1"),
    ("FLYTE_BIND", "0.0.0.0", "0.0.0.0"),
    ("FLYTE_BIND", "localhost", "localhost"),
    ("FLYTE_BIND", "flyte-1.example.org", "flyte-1.example.org"),
    ("FLYTE_BIND", "::1", "[::1]"),
    ("FLYTE_BIND", "[::]", "[::]"),
    ("FLYTE_AUTH", "", "none"),
    ("FLYTE_AUTH", "Tokens", "tokens"),
    ("FLYTE_ALLOW_ANONYMOUS", "", False),
    ("FLYTE_ALLOW_ANONYMOUS", "true", True),
    ("FLYTE_ALLOWED_HOSTS", "", ()),
    (
        "FLYTE_ALLOWED_HOSTS",
        "Flyte.example.org, .Inner.example.org,10.0.0.1,*",
        ("flyte.example.org", ".inner.example.org", "10.0.0.1", "*"),
    ),
    ("FLYTE_TRUSTED_PROXIES", "", (ip_network("127.0.0.0/8"), ip_network("::1"))),
    ("FLYTE_TRUSTED_PROXIES", "10.0.0.1, fd00::/8", (ip_network("10.0.0.1"), ip_network("fd00::/8"))),
    ("FLYTE_TRUSTED_PROXIES", "none", ()),
    ("FLYTE_PORT", "", 8080),
    ("FLYTE_PORT", "1", 1),
    ("FLYTE_PORT", " 65535 ", 65535),
    ("FLYTE_WEB_WORKERS", "", 2),
    ("FLYTE_WEB_WORKERS", "256", 256),
    ("FLYTE_WEB_THREADS", "", 320),
    ("FLYTE_WEB_THREADS", "1", 1),
    ("FLYTE_MAX_BODY_BYTES", "", 1024 * 1024),
    ("FLYTE_MAX_BODY_BYTES", "1024", 1024),
    ("FLYTE_MAX_DATASTORE_VALUE_BYTES", "", 16 * 1024 * 1024),
    ("FLYTE_MAX_RESULT_BYTES", "", 16 * 1024 * 1024),
    ("FLYTE_MAX_RESULT_BYTES", "1024", 1024),
    ("FLYTE_MAX_RESULT_BYTES_IN_FLIGHT", "", 64 * 1024 * 1024),
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
    ("FLYTE_ENCRYPTION_KEYS", "", ""),
    ("FLYTE_ENCRYPTION_KEYS", f"{'A' * 43}=, {'b' * 43}=", f"{'A' * 43}=, {'b' * 43}="),
    ("LOGLEVEL", "", "INFO"),
    ("LOGLEVEL", "debug", "DEBUG"),
    ("LOGLEVEL", "warn", "WARNING"),
    ("LOGLEVEL", "Error", "ERROR"),
    ("LOGLEVEL", "FATAL", "CRITICAL"),
    ("LOGFILE", "", ""),
    ("FLYTE_WEBAPI_PLUGINS", "", "WaitUntil,Approval"),
    ("FLYTE_WEBAPI_PLUGINS", "-", "-"),
    ("FLYTE_WEBAPI_CONFIG", "webapi.A.b=c", "webapi.A.b=c"),
    ("FLYTE_WEBAPI_ALLOWED_HOSTS", "", ""),
    ("FLYTE_WEBAPI_SECRETS_PATH", "/tmp", "/tmp"),
]


@pytest.mark.parametrize(("variable", "value", "expected"), GOOD)
def test_a_valid_value_is_used(read: Read, variable: str, value: str, expected: Any) -> None:
    settings = read(**{"FLYTE_ALLOW_ANONYMOUS": "true" if variable == "FLYTE_BIND" else "", variable: value})
    assert settings[variable] == expected
    assert type(settings[variable]) is type(expected)
    assert findings(settings) == []


BAD = [
    ("FLYTE_PORT", "flyte.E001", ["0", "65536", "-1", "http", "8_080", "1.5", "٨٠", "9" * 5000]),
    ("FLYTE_TLS_CERT_PATH", "flyte.E002", ["/nowhere/cert.pem", "/tmp"]),
    ("FLYTE_TLS_KEY_PATH", "flyte.E003", ["/nowhere/key.pem"]),
    ("FLYTE_WEB_WORKERS", "flyte.E005", ["0", "257", "two"]),
    ("FLYTE_WEB_THREADS", "flyte.E006", ["0", "4097", "x"]),
    ("FLYTE_MAX_BODY_BYTES", "flyte.E007", ["1023", "1M", str(1024**3 + 1)]),
    ("FLYTE_MAX_DATASTORE_VALUE_BYTES", "flyte.E008", ["0", "16MiB"]),
    ("FLYTE_MAX_RESULT_BYTES", "flyte.E093", ["0", "16MiB"]),
    ("FLYTE_MAX_RESULT_BYTES_IN_FLIGHT", "flyte.E094", ["0"]),
    ("FLYTE_WEB_CONNECTIONS", "flyte.E095", ["15", "65537"]),
    ("FLYTE_WEB_CONNECTIONS_PER_ADDRESS", "flyte.E096", ["0", "65537"]),
    ("FLYTE_MAX_HEADER_BYTES", "flyte.E097", ["8191", "1048577"]),
    ("FLYTE_HEADER_TIMEOUT_SECONDS", "flyte.E098", ["0", "3601"]),
    ("FLYTE_CLIENT_TIMEOUT_SECONDS", "flyte.E099", ["0", "30s"]),
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
    ("FLYTE_ENCRYPTION_KEYS", "flyte.E050", ["x", "A" * 43, ",", f"{'A' * 43}=,", f"{'A' * 43}=;{'b' * 43}="]),
    ("FLYTE_ENCRYPTION_KEYS", "flyte.E050", [f"{'A' * 43}= {'b' * 43}=", "ключ", "A" * 64]),
    ("LOGLEVEL", "flyte.E021", ["LOUD", "10"]),
    ("LOGFILE", "flyte.E022", ["/nowhere/flyte.log", "/tmp"]),
    ("FLYTE_BIND", "flyte.E023", ["not a host", "999.1.1.1", "h:80", "/tmp/socket", "[h]", "127.0.0.1:80"]),
    ("FLYTE_WEBAPI_CONFIG", "flyte.E080", ["/nowhere/file", "webapi.A.b=1\nno line", "x"]),
    ("FLYTE_WEBAPI_SECRETS_PATH", "flyte.E081", ["/nowhere", "/etc/passwd"]),
    ("FLYTE_AUTH", "flyte.E060", ["yes", "basic"]),
    ("FLYTE_ALLOW_ANONYMOUS", "flyte.E063", ["yes"]),
    ("FLYTE_ALLOWED_HOSTS", "flyte.E065", ["https://h", "h:80", "a b", "a,,b", "*.example.org"]),
    ("FLYTE_TRUSTED_PROXIES", "flyte.E066", ["proxy", "10.0.0.0/40", "10.0.0.1/8", "*"]),
    ("FLYTE_CONSOLE_ROLES", "flyte.E071", ["admin", "groups:a", "groups:=admin", "groups:a=admin,"]),
    ("FLYTE_CONSOLE_SCOPES", "flyte.E072", ["profile email", "openids"]),
    ("FLYTE_LOCAL_ACCOUNTS", "flyte.E073", ["no"]),
    ("FLYTE_SESSION_SECONDS", "flyte.E075", ["0", "59", "7d"]),
    ("FLYTE_SESSION_IDLE_SECONDS", "flyte.E076", ["0", "-1"]),
    ("FLYTE_DATABASE_URL", "flyte.E018", ["x", "mysql://h/d", "sqlite://", "sqlite:///", "sqlite:flyte.db"]),
    ("FLYTE_DATABASE_URL", "flyte.E018", ["sqlite://h/flyte.db", "sqlite:////nowhere/flyte.db", "postgres:flyte"]),
    ("FLYTE_DATABASE_URL", "flyte.E018", ["postgresql://h", "postgresql://h:x/d", "postgresql://[h/d"]),
]


@pytest.mark.parametrize(
    ("variable", "check_id", "value"), [(variable, check_id, value) for variable, check_id, bad in BAD for value in bad]
)
def test_an_invalid_value_is_reported_by_its_check_and_the_default_is_used(
    read: Read, variable: str, check_id: str, value: str
) -> None:
    settings = read(**{variable: value})
    (error,) = [finding for finding in findings(settings) if finding.check_id == check_id]
    assert str(error).startswith(f"{variable}: ")
    assert "\n" not in str(error)
    # The default of FLYTE_DATABASE_URL depends on the project folder; another test checks it.
    assert variable == "FLYTE_DATABASE_URL" or settings[variable] == read()[variable]


def test_the_default_database_is_in_the_project_folder(read: Read, tmp_path: Path) -> None:
    settings = read()
    assert settings["FLYTE_DATABASE_URL"] == f"sqlite:///{tmp_path / 'project' / 'flyte.sqlite3'}"
    assert settings["DATABASES"]["default"]["NAME"] == str(tmp_path / "project" / "flyte.sqlite3")


def test_sqlite_is_configured_for_several_processes_and_postgresql_with_timeouts(read: Read) -> None:
    sqlite = read(FLYTE_DATABASE_URL="sqlite:////tmp/x.sqlite3")["DATABASES"]["default"]
    assert sqlite["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in sqlite["OPTIONS"]["init_command"]
    postgres = read(FLYTE_DATABASE_URL="postgresql://u:p@h/d?sslmode=require")["DATABASES"]["default"]
    prepared = {"server_side_binding": True, "prepare_threshold": 5}
    timeouts = {"connect_timeout": 3, "tcp_user_timeout": 10_000}
    keepalives = {"keepalives_idle": 10, "keepalives_interval": 10, "keepalives_count": 3}
    assert postgres["OPTIONS"] == {**prepared, **timeouts, **keepalives, "sslmode": "require"}


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/d", "postgresql://u:hunter2#x@h/d", "postgresql://u:hunter2@h"])
def test_a_database_url_that_is_refused_never_shows_its_password(read: Read, url: str) -> None:
    (error,) = findings(read(FLYTE_DATABASE_URL=url))
    assert "hunter2" not in str(error)


def test_a_refused_key_is_identified_by_its_position_and_never_shown(read: Read) -> None:
    (error,) = findings(read(FLYTE_ENCRYPTION_KEYS=f"{'A' * 43}=,hunter2"))
    assert "key 2 of 2" in str(error)
    assert "hunter2" not in str(error)


AUTH = {"FLYTE_OIDC_ISSUER_URL": "https://dex.example.org", "FLYTE_OIDC_ISSUER_CLIENT_ID": "flyte"}


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yml"
    path.write_text("- path: /v1/packs\n  claims: {groups: [dev]}\n")
    return path


@pytest.mark.parametrize("absent", ["FLYTE_OIDC_ISSUER_URL", "FLYTE_OIDC_ISSUER_CLIENT_ID", "FLYTE_AUTH_POLICY_PATH"])
def test_each_missing_auth_variable_is_named(read: Read, policy: Path, absent: str) -> None:
    variables = {
        name: value for name, value in {**AUTH, "FLYTE_AUTH_POLICY_PATH": str(policy)}.items() if name != absent
    }
    assert [error.variable for error in findings(read(**variables)) if error.check_id == "flyte.E016"] == [absent]


def test_a_single_auth_variable_requires_the_other_two(read: Read) -> None:
    errors = findings(read(FLYTE_OIDC_ISSUER_CLIENT_ID="flyte"))
    missing = [error.variable for error in errors if error.check_id == "flyte.E016"]
    assert missing == ["FLYTE_OIDC_ISSUER_URL", "FLYTE_AUTH_POLICY_PATH"]


def test_oidc_without_its_variables_names_all_three(read: Read) -> None:
    errors = findings(read(FLYTE_AUTH="oidc"))
    assert [(error.check_id, error.variable) for error in errors] == [
        ("flyte.E016", name) for name in (*AUTH, "FLYTE_AUTH_POLICY_PATH")
    ]


def test_the_three_variables_enable_oidc(read: Read, policy: Path) -> None:
    settings = read(**AUTH, FLYTE_AUTH_POLICY_PATH=str(policy))
    assert (settings["FLYTE_AUTH"], findings(settings)) == ("oidc", [])
    assert len(settings["FLYTE_AUTH_POLICY"].rules) == 1


@pytest.mark.parametrize("mode", ["none", "tokens"])
def test_a_mode_that_contradicts_the_variables_is_refused(read: Read, policy: Path, mode: str) -> None:
    errors = findings(read(**AUTH, FLYTE_AUTH_POLICY_PATH=str(policy), FLYTE_AUTH=mode))
    assert [(error.check_id, error.variable) for error in errors] == [("flyte.E061", "FLYTE_AUTH")]


@pytest.mark.parametrize("variable", ["FLYTE_CONSOLE_CLIENT_ID", "FLYTE_CONSOLE_CLIENT_SECRET", "FLYTE_CONSOLE_ROLES"])
def test_the_consoles_sign_on_needs_an_issuer_and_a_client(read: Read, variable: str) -> None:
    errors = findings(read(**{variable: "groups:a=admin"}))
    assert [(error.check_id, error.variable) for error in errors] == [("flyte.E070", "FLYTE_OIDC_ISSUER_URL")]


def test_the_consoles_sign_on_uses_the_apis_client_by_default(read: Read, policy: Path) -> None:
    api = {**AUTH, "FLYTE_AUTH_POLICY_PATH": str(policy)}
    assert not read(**api)["FLYTE_CONSOLE_SIGN_ON"]
    settings = read(**api, FLYTE_CONSOLE_CLIENT_SECRET="s")
    assert (settings["FLYTE_AUTH"], settings["FLYTE_CONSOLE_SIGN_ON"], findings(settings)) == ("oidc", True, [])
    assert settings["FLYTE_CONSOLE_CLIENT_ID"] == AUTH["FLYTE_OIDC_ISSUER_CLIENT_ID"]


@pytest.mark.parametrize("mode", ["none", "tokens"])
def test_the_console_may_use_a_provider_that_the_api_does_not_use(read: Read, mode: str) -> None:
    console = {"FLYTE_OIDC_ISSUER_URL": AUTH["FLYTE_OIDC_ISSUER_URL"], "FLYTE_CONSOLE_CLIENT_ID": "console"}
    settings = read(**console, FLYTE_AUTH=mode)
    assert (settings["FLYTE_AUTH"], settings["FLYTE_CONSOLE_SIGN_ON"], findings(settings)) == (mode, True, [])
    assert "flyte.E016" in {error.check_id for error in findings(read(**console))}


def test_local_accounts_are_required_without_a_provider(read: Read) -> None:
    errors = findings(read(FLYTE_LOCAL_ACCOUNTS="false"))
    assert [(error.check_id, error.variable) for error in errors] == [("flyte.E074", "FLYTE_LOCAL_ACCOUNTS")]


def test_a_broken_policy_is_refused_with_its_line(read: Read, policy: Path) -> None:
    policy.write_text("- path: /v1\n- path: /health\n  clams: {a: [b]}\n")
    (error,) = findings(read(**AUTH, FLYTE_AUTH_POLICY_PATH=str(policy)))
    assert (error.check_id, error.variable) == ("flyte.E062", "FLYTE_AUTH_POLICY_PATH")
    assert f"{policy}, line 3: unknown key 'clams'" in str(error)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.1", "flyte.example.org"])
def test_anonymous_access_from_a_network_must_be_allowed_explicitly(read: Read, policy: Path, address: str) -> None:
    errors = findings(read(FLYTE_BIND=address))
    assert [(error.check_id, error.variable) for error in errors] == [("flyte.E064", "FLYTE_BIND")]
    oidc = {**AUTH, "FLYTE_AUTH_POLICY_PATH": str(policy)}
    for safe in ({"FLYTE_AUTH": "tokens"}, {"FLYTE_ALLOW_ANONYMOUS": "true"}, oidc):
        assert findings(read(FLYTE_BIND=address, **safe)) == []


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_tokens(read: Read, address: str) -> None:
    assert findings(read(FLYTE_BIND=address)) == []


@pytest.mark.parametrize(
    ("issuer", "warned"), [("http://dex", True), ("http://127.0.0.1:5556", False), ("https://dex", False)]
)
def test_an_issuer_without_tls_is_a_warning(read: Read, policy: Path, issuer: str, warned: bool) -> None:
    variables = {**AUTH, "FLYTE_AUTH_POLICY_PATH": str(policy), "FLYTE_OIDC_ISSUER_URL": issuer}
    check_ids = [warning.check_id for warning in read(**variables)["FLYTE_ENVIRONMENT"].warnings]
    assert check_ids == (["flyte.W010"] if warned else [])


def test_tls_needs_both_files(read: Read, certificate: tuple[Path, Path]) -> None:
    errors = findings(read(FLYTE_TLS_CERT_PATH=str(certificate[0])))
    assert [(error.check_id, error.variable) for error in errors] == [("flyte.E004", "FLYTE_TLS_KEY_PATH")]
    errors = findings(read(FLYTE_TLS_KEY_PATH=str(certificate[1])))
    assert [(error.check_id, error.variable) for error in errors] == [("flyte.E004", "FLYTE_TLS_CERT_PATH")]


def test_with_tls_the_port_is_8443_unless_another_is_set(read: Read, certificate: tuple[Path, Path]) -> None:
    tls = {"FLYTE_TLS_CERT_PATH": str(certificate[0]), "FLYTE_TLS_KEY_PATH": str(certificate[1])}
    assert read(**tls)["FLYTE_PORT"] == 8443
    assert read(**tls, FLYTE_PORT="9000")["FLYTE_PORT"] == 9000


def test_files_without_a_certificate_and_its_key_are_refused(
    read: Read, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    for cert, key in ((junk, certificate[1]), (certificate[0], junk), certificate[::-1]):
        errors = findings(read(FLYTE_TLS_CERT_PATH=str(cert), FLYTE_TLS_KEY_PATH=str(key)))
        assert [(error.check_id, error.variable) for error in errors] == [("flyte.E024", "FLYTE_TLS_CERT_PATH")]


def test_an_unreadable_file_is_not_reported_as_missing_too(read: Read, certificate: tuple[Path, Path]) -> None:
    errors = findings(read(FLYTE_TLS_CERT_PATH="/nowhere", FLYTE_TLS_KEY_PATH=str(certificate[1])))
    assert [error.check_id for error in errors] == ["flyte.E002"]


def test_the_originals_mongo_host_is_a_warning_and_not_an_error(read: Read) -> None:
    environment = read(FLYTE_MGO_HOST="mongo.example.org")["FLYTE_ENVIRONMENT"]
    (warning,) = environment.warnings
    assert (warning.check_id, environment.errors) == ("flyte.W001", [])
    assert "FLYTE_DATABASE_URL" in str(warning)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("FLYTE_LOGFORMAT", "FLYTE_LOG_FORMAT"),
        ("FLYTE_PROT", "FLYTE_PORT"),
        ("FLYTE_ENCRYPTION_KEY", "FLYTE_ENCRYPTION_KEYS"),
        ("FLYTE_REDIS", "FLYTE_REDIS_URL"),
        ("FLYTE_LOGLEVEL", "LOGLEVEL"),
    ],
)
def test_a_misspelled_variable_is_a_warning(read: Read, variable: str, meant: str) -> None:
    environment = read(**{variable: "x"})["FLYTE_ENVIRONMENT"]
    (warning,) = environment.warnings
    assert (warning.check_id, warning.variable, environment.errors) == ("flyte.W002", variable, [])
    assert str(warning).endswith(f"did you mean {meant}?")


def test_no_documented_variable_counts_as_misspelled(read: Read) -> None:
    pages = [ROOT / "docs/reference/settings.md", *(ROOT / "flyte_client").rglob("*.md")]
    names = {name for page in pages for name in re.findall(r"`(FLYTE_[A-Z0-9_]*[A-Z0-9])[`=]", page.read_text())}
    assert {"FLYTE_LOG_FORMAT", "FLYTE_SECRET_KEY_PATH", "FLYTE_WEBHOOK_THREADS"} < names
    warnings = read(**dict.fromkeys(names, "x"))["FLYTE_ENVIRONMENT"].warnings
    assert [str(warning) for warning in warnings if warning.check_id == "flyte.W002"] == []


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("short", "has only 5 characters"),
        ("0123456789abcdef0123456789abcde", "has only 31 characters"),
        ("abcd" * 20, "has only 4 different characters"),
        ("0123456789abcdef0123456789abcdef", ""),
        ("abcde" * 7, ""),
    ],
)
def test_a_weak_secret_key_is_a_warning_that_does_not_show_it(read: Read, key: str, reason: str) -> None:
    environment = read(FLYTE_SECRET_KEY=key)["FLYTE_ENVIRONMENT"]
    warnings = [(warning.check_id, warning.variable, str(warning)) for warning in environment.warnings]
    assert [warning[:2] for warning in warnings] == ([("flyte.W003", "FLYTE_SECRET_KEY")] if reason else [])
    assert all(reason in text and key not in text for _, _, text in warnings)
    assert environment.errors == []


def test_a_secret_key_that_is_set_is_used_and_not_stored(read: Read, tmp_path: Path) -> None:
    assert read(FLYTE_SECRET_KEY="the operator's own")["SECRET_KEY"] == "the operator's own"
    assert not (tmp_path / "project" / ".secret_key").exists()


def test_without_a_setting_the_stored_secret_key_is_used(read: Read, tmp_path: Path) -> None:
    first = read()["SECRET_KEY"]
    assert len(first) >= 50
    assert read()["SECRET_KEY"] == first == (tmp_path / "project" / ".secret_key").read_text()


def test_a_secret_key_must_be_set_if_it_cannot_be_stored(read: Read, tmp_path: Path) -> None:
    (tmp_path / "project" / ".secret_key").mkdir()
    assert [(error.check_id, error.variable) for error in findings(read())] == [("flyte.E020", "FLYTE_SECRET_KEY")]


def test_a_variable_that_is_set_but_empty_counts_as_not_set(read: Read) -> None:
    blank = read(**{variable: " " for variable, *_ in BAD})
    assert findings(blank) == []


def test_passwords_are_hashed_by_the_hashers_that_django_prefers(read: Read) -> None:
    assert "PASSWORD_HASHERS" not in read()
