"""A plugin that deselects tests whose outcome no database can change: `pytest -p tests.suite.selection`.

Unit tests, and integration tests without access to a database (pytest-django refuses it to them), have the same
outcome on SQLite and on PostgreSQL. So have the paths below. A test marked `database` always runs on both.
"""

import re
from pathlib import Path

import pytest

STORE_INDEPENDENT = {
    "tests/auth/test_access.py": "permissions; tests/contract and tests/site/test_problems.py ask every route",
    "tests/auth/test_console_access.py": "permissions; tests/console/test_every_route.py asks every route",
    "tests/auth/test_check_policy.py": "a policy and claims",
    "tests/auth/test_cross_site.py": "headers of requests",
    "tests/client/": "programs that know the server by HTTP alone",
    "tests/client_packs/": "programs that know the server by HTTP alone",
    "tests/containers/": "the files of an image",
    "tests/docs/": "commands and examples of the documentation",
    "tests/examples/": "flows with packs, over HTTP",
    "tests/flows/test_dry_run.py": "the engine without a queue; tests/flows/test_dry_run_api.py runs it on both",
    "tests/flows/test_parsing_work.py": "parsers",
    "tests/template/": "the template language",
    "tests/jobs/test_celery.py::test_without_redis_worker_and_beat_say_what_to_use": "a missing setting",
    "tests/jobs/test_private_redis.py": "the tests' own Redis",
    "tests/jobs/test_run.py::test_the_jobs_start_without_the_database": "PostgreSQL's address on both",
    "tests/jobs/test_run.py::test_a_port_in_use_is_reported_and_stops_the_start": "a port",
    "tests/jobs/test_run_on_terminal.py": "lines on a terminal",
    "tests/jobs/test_supervisor.py": "processes and signals",
    "tests/site/test_request_ids.py": "request ids in logs",
    "tests/site/test_clients.py": "connections of HTTP",
    "tests/site/test_documentation.py": "the OpenAPI document",
    "tests/site/test_live.py": "HTTP",
    "tests/site/test_negotiation.py": "formats of responses",
    "tests/site/test_request_bodies.py": "bodies of requests",
    "tests/site/test_deploy.py": "what a reverse proxy is configured with",
    "tests/site/test_discretion.py": "the tests' own check of logs",
    "tests/site/test_imports.py": "imports of commands, with a file of SQLite on both",
    "tests/site/test_logs.py": "where logs are written",
    "tests/site/test_start.py::test_a_bad_value": "values of settings",
    "tests/site/test_start.py::test_a_file_that_is_no_database": "a file of SQLite on both",
    "tests/site/test_start.py::test_an_address_that_can_not_be_had": "a port",
    "tests/site/test_start.py::test_manage_check": "values of settings",
    "tests/site/test_start.py::test_several_bad_values": "values of settings",
    "tests/site/test_start.py::test_while_the_database_is_away": "PostgreSQL's address on both",
    "tests/site/test_start.py::test_with_certificate_and_key": "certificates",
    "tests/site/test_tls.py": "certificates",
    "tests/site/test_tracing.py": "traces",
    "tests/suite/": "the tests' own program",
    "tests/test_assertions.py": "the tests' own check of assertions",
    "tests/test_processes.py": "the tests' own processes",
}
DATABASE_MARK = re.compile(r"\bmark\.(database|django_db)\b")
UNIT_TESTS = re.compile(r"^pytestmark = pytest\.mark\.unit$", re.MULTILINE)
FIXTURES_WITH_A_DATABASE = {"db", "transactional_db", "django_db_reset_sequences", "django_db_serialized_rollback"}


def depends_on_store(item: pytest.Item) -> bool:
    """Return True if the outcome of a test can depend on the database that it runs on."""
    markers = {marker.name for marker in item.iter_markers()}
    if "database" in markers:
        return True
    if item.nodeid.startswith(tuple(STORE_INDEPENDENT)):
        return False
    has_database = "django_db" in markers or not FIXTURES_WITH_A_DATABASE.isdisjoint(getattr(item, "fixturenames", ()))
    return has_database or markers.isdisjoint({"unit", "integration"})


def is_store_independent(nodeid: str, path: Path) -> bool:
    """Return True if no test of a module depends on the database: all are unit tests, or its path is listed above."""
    if path.suffix != ".py":
        return False
    text = path.read_text()
    if nodeid.startswith(tuple(STORE_INDEPENDENT)):
        return "mark.database" not in text
    return bool(UNIT_TESTS.search(text)) and not DATABASE_MARK.search(text)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip the import of a file if none of its tests depends on the database: it takes a third of the collection."""
    path = collection_path.relative_to(config.rootpath).as_posix()
    return is_store_independent(path, collection_path) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.hook.pytest_deselected(items=[item for item in items if not depends_on_store(item)])
    items[:] = [item for item in items if depends_on_store(item)]
