"""Fixtures for the whole suite.

`pytest` runs it on SQLite, `python -m tests.private_postgres pytest` on PostgreSQL; both create their own databases.
On SQLite Django's test database is a file, not one in memory, so that tests marked `django_db(transaction=True)` can
use it from several threads and processes (`connection.settings_dict["NAME"]` has its path).
"""

import gc
import os
import signal
import ssl
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connections
from django.test import override_settings

from flyte_site.core.runtime import runtime
from tests import assertions, discretion, processes, roles
from tests.private_postgres import URL_VARIABLE
from tests.server import Server, StartServer, running_logs, running_server, templates

gc.disable()  # until the tests are collected: what an import allocates stays
pytest_plugins = [assertions.__name__, processes.__name__, roles.__name__]

QUICK_HASHER = "django.contrib.auth.hashers.MD5PasswordHasher"
CERTIFICATE_VARIABLES = {"SSL_CERT_FILE", "SSL_CERT_DIR"}
SECRETS_IN_LOGS = "secrets_in_logs"  # the key of what workers of pytest-xdist report


def pytest_configure(config: pytest.Config) -> None:
    """Keep tests away from a database that somebody uses."""
    url = os.environ.get("FLYTE_DATABASE_URL", "")
    if url and not url.startswith("sqlite") and url != os.environ.get(URL_VARIABLE):
        raise pytest.UsageError(
            "FLYTE_DATABASE_URL is set, and tests create and drop databases: unset it, "
            "or run `python -m tests.private_postgres pytest` for a PostgreSQL of their own"
        )
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell sets this for a suite in the background; the programs that tests stop by Ctrl-C need the signal.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Freeze the heap of modules and tests, which the garbage collector would search again and again."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Put Django's test database into a file if it would be in memory."""
    settings = connections["default"].settings_dict
    if settings["ENGINE"] == "flyte_site.db.sqlite":
        settings["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture(scope="session", autouse=True)
def allow_host_of_test_client() -> Iterator[None]:
    """Allow the host `testserver` of Django's test client: without tokens the server accepts only its own names."""
    with override_settings(FLYTE_ALLOWED_HOSTS=("testserver",)):
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_settings() -> Iterator[None]:
    """Replace settings that slow down Django's test client and that no test in this process checks.

    Without autorefresh WhiteNoise lists all static files for each `Client`. Passwords need a slow
    hash only on a server; tests/site/test_settings.py checks that servers keep Django's own hashers.
    """
    with override_settings(WHITENOISE_AUTOREFRESH=True, PASSWORD_HASHERS=[QUICK_HASHER]):
        yield


@pytest.fixture(scope="session", autouse=True)
def shared_certificates() -> Iterator[None]:
    """Read the certificate authorities once, not for each `httpx.get` and each `httpx.Client`: that takes 16 ms."""
    create, cached = httpx.create_ssl_context, cache(httpx.create_ssl_context)

    def create_once(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
        is_default = verify is True and not cert and not (trust_env and CERTIFICATE_VARIABLES & os.environ.keys())
        return cached() if is_default else create(verify, cert, trust_env)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", create_once)
        yield


@pytest.fixture(autouse=True)
def fresh_runtime() -> None:
    """Reset the caches of this process: the rows that they refer to are rolled back after each test."""
    runtime.reset()


@pytest.fixture(scope="session", autouse=True)
def migrated_template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let all processes of this run copy one migrated database."""
    folder = tmp_path_factory.getbasetemp()
    templates.folder = (folder.parent if is_worker(request.config) else folder) / "template"
    templates.folder.mkdir(exist_ok=True)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run one real server for the whole run; tests that share it use unique names."""
    with running_server(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start real servers, each with a fresh database, and stop them when the test is over."""
    with ExitStack() as stack:

        def start(environment: Mapping[str, str] | None = None) -> Server:
            return stack.enter_context(running_server(tmp_path, environment))

        yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs of the servers to the report of a failed test."""
    report = yield
    if report.failed:
        report.sections += [(f"log of {url}", log) for url, log in running_logs()]
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Search the log lines of this process for secrets."""
    discretion.read(report.capstderr, report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run whose logs contain a secret; a worker of pytest-xdist leaves that to its controller."""
    if is_worker(session.config):
        session.config.workeroutput[SECRETS_IN_LOGS] = discretion.secrets_found  # type: ignore[attr-defined]
    elif discretion.secrets_found and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Collect the secrets that a worker of pytest-xdist found in the logs of its servers."""
    discretion.secrets_found.extend(getattr(node, "workeroutput", {}).get(SECRETS_IN_LOGS, []))


def is_worker(config: pytest.Config) -> bool:
    """Return True in a worker process of pytest-xdist."""
    return hasattr(config, "workerinput")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for secret in dict.fromkeys(discretion.secrets_found):
        terminalreporter.line(f"a log contains a secret, {secret}", red=True)
