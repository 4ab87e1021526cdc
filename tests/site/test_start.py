"""Start of the server as by an operator: errors, warnings, and TLS."""

import socket
import ssl
import time
from pathlib import Path

import httpx
import pytest

from tests.private_postgres import free_port
from tests.server import StartServer, fresh_database, migrated_database, server_environment
from tests.site.processes import PATIENCE, manage, serving

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize(
    ("command", "environment", "variable"),
    [
        ("serve", {"FLYTE_PORT": "http"}, "FLYTE_PORT"),
        ("migrate", {"LOGFILE": "/nowhere/flyte.log"}, "LOGFILE"),
        ("migrate", {"FLYTE_DATABASE_URL": "mysql://u:hunter2@h/d"}, "FLYTE_DATABASE_URL"),
    ],
)
def test_a_bad_value_stops_with_code_2_and_one_line_that_names_the_variable(
    tmp_path: Path, command: str, environment: dict[str, str], variable: str
) -> None:
    done = manage(command, folder=tmp_path, environment=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"flyte: {variable}: ")
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_several_bad_values_are_told_at_once_each_in_its_line(tmp_path: Path) -> None:
    bad = {"FLYTE_PORT": "0", "LOGLEVEL": "LOUD", "FLYTE_OIDC_ISSUER_CLIENT_ID": "flyte"}
    done = manage("serve", folder=tmp_path, environment=bad)
    named = [line.split(": ")[1] for line in done.stderr.splitlines()]
    assert named == [
        "FLYTE_PORT",
        "FLYTE_OIDC_ISSUER_URL",
        "FLYTE_AUTH_POLICY_PATH",
        "LOGLEVEL",
    ]
    assert done.returncode == 2


def test_manage_check_lists_all_bad_ones_with_their_ids(tmp_path: Path) -> None:
    bad = {"FLYTE_PORT": "0", "FLYTE_EVENT_KEEP": "many", "LOGLEVEL": "LOUD", "FLYTE_MGO_HOST": "mongo"}
    done = manage("check", folder=tmp_path, environment=bad)
    assert done.returncode == 1
    for line in (
        "(flyte.E001) FLYTE_PORT",
        "(flyte.E009) FLYTE_EVENT_KEEP",
        "(flyte.E021) LOGLEVEL",
        "(flyte.W001) FLYTE_MGO_HOST",
    ):
        assert line in done.stderr


def test_manage_check_has_nothing_to_say_about_the_defaults(tmp_path: Path) -> None:
    done = manage("check", folder=tmp_path, environment={})
    assert (done.returncode, done.stderr, "no issues" in done.stdout) == (0, "", True)


def test_the_originals_mongo_host_is_told_in_one_line_and_the_start_goes_on(
    tmp_path: Path, start_server: StartServer
) -> None:
    done = manage("migrate", "--verbosity=0", folder=tmp_path, environment={"FLYTE_MGO_HOST": "mongo"})
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("flyte: FLYTE_MGO_HOST: ")
    assert done.stderr.count("\n") == 1
    served = start_server({"FLYTE_MGO_HOST": "mongo"})
    assert served.logs().count("FLYTE_MGO_HOST") == 1


def test_with_certificate_and_key_it_serves_https_alone(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    tls = {"FLYTE_TLS_CERT_PATH": str(certificate[0]), "FLYTE_TLS_KEY_PATH": str(certificate[1])}
    port = free_port()
    with migrated_database(tmp_path) as database_url:
        environment = server_environment(database_url, {**tls, "FLYTE_PORT": str(port)})
        with serving(tmp_path / "serve.log", environment):
            answer = answer_when_up(f"https://127.0.0.1:{port}/", certificate[0])
            assert answer.json()["links"][0]["href"] == f"https://127.0.0.1:{port}/"
            plain = httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
            assert (plain.status_code, "this port serves HTTPS" in plain.text) == (400, True)


def test_while_the_database_is_away_it_serves_and_says_so(tmp_path: Path) -> None:
    port = free_port()
    environment = server_environment(
        f"postgresql://flyte:hunter2@127.0.0.1:{free_port()}/flyte", {"FLYTE_WEB_WORKERS": "1"}
    )
    log = tmp_path / "serve.log"
    with serving(log, {**environment, "FLYTE_PORT": str(port)}):
        health = answer_when_up(f"http://127.0.0.1:{port}/health")
        packs = httpx.get(f"http://127.0.0.1:{port}/v1/packs", trust_env=False, timeout=PATIENCE)
    assert (health.status_code, health.json()["status"]) == (500, 500)
    assert (packs.status_code, packs.json()["status"], packs.headers["Retry-After"]) == (503, 503, "5")
    lines = [line for line in log.read_text().splitlines() if "level=error" in line]
    assert ["event=database_away" in line for line in lines] == [True, True], "one at the start, one of both requests"
    assert "hunter2" not in health.text + packs.text + log.read_text()


def answer_when_up(url: str, authority: Path | None = None) -> httpx.Response:
    """Send GET requests until the server responds, and return the response; `authority` is the trusted certificate."""
    context = ssl.create_default_context(cafile=str(authority)) if authority else True
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return httpx.get(url, verify=context, trust_env=False, timeout=PATIENCE)
        except httpx.ConnectError:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)


def test_an_address_that_can_not_be_had_stops_the_start_with_one_line(tmp_path: Path) -> None:
    with migrated_database(tmp_path) as database_url, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        environment = server_environment(database_url)
        away = {"FLYTE_BIND": "203.0.113.1", "FLYTE_ALLOW_ANONYMOUS": "true"}
        for variables, named in (({"FLYTE_PORT": port}, "FLYTE_PORT"), (away, "FLYTE_BIND")):
            done = manage("serve", folder=tmp_path, environment={**environment, **variables})
            assert (done.returncode, done.stderr.count("\n")) == (2, 1)
            assert done.stderr.startswith(f"flyte: {named}: can't listen on ")
            hint = "; stop the process that uses it, or set FLYTE_PORT to a different port\n"
            assert done.stderr.endswith(hint) == (named == "FLYTE_PORT")


@pytest.mark.parametrize("command", ["serve", "jobs", "worker", "beat"])
def test_a_database_without_its_migrations_stops_the_start_with_one_line(tmp_path: Path, command: str) -> None:
    variables = {"FLYTE_PORT": str(free_port()), "FLYTE_REDIS_URL": f"redis://127.0.0.1:{free_port()}"}
    with fresh_database(tmp_path) as database_url:
        done = manage(command, folder=tmp_path, environment=server_environment(database_url, variables))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("flyte: FLYTE_DATABASE_URL: ")
    assert "migrations are missing: run `manage.py migrate` first" in done.stderr


@pytest.mark.parametrize("command", ["migrate", "serve", "jobs"])
def test_a_file_that_is_no_database_stops_the_start_with_one_line(tmp_path: Path, command: str) -> None:
    (tmp_path / "none.sqlite3").write_text("no database" * 100)
    url = f"sqlite:///{tmp_path / 'none.sqlite3'}"
    environment = server_environment(url, {"FLYTE_PORT": str(free_port())})
    done = manage(command, folder=tmp_path, environment=environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "FLYTE_DATABASE_URL" in done.stderr
