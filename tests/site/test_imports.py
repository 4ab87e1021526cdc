"""Modules that a command imports. Importing pages, the API, Redis or PostgreSQL takes longer than most commands."""

import re
from pathlib import Path

import pytest

from tests.site.processes import manage

pytestmark = pytest.mark.acceptance

HEAVY = (
    "audit.views.home",
    "celery",
    "django.contrib.postgres",
    "drf_spectacular.openapi",
    "flows.console",
    "gunicorn",
    "httpx",
    "jwt",
    "mozilla_django_oidc",
    "opentelemetry.sdk",
    "psycopg",
    "redis",
    "requests",
    "rest_framework.serializers",
    "rest_framework.views",
)
COMMANDS = (
    "delete_dead_packs --dry-run",
    "end_leases --dry-run",
    "expire_executions --dry-run",
    "forget_attempts --dry-run",
    "forget_changes --dry-run",
    "forget_flow_versions --dry-run",
    "forget_idempotency_keys --dry-run",
    "forget_sessions --dry-run",
    "token list",
    "version",
)
IMPORT = re.compile(r"^import time:.*\|\s+(\S+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a folder with a migrated database."""
    path = tmp_path_factory.mktemp("imports")
    done = manage("migrate", folder=path, environment={})
    assert done.returncode == 0, done.stderr
    return path


def heavy_imports(folder: Path, *arguments: str) -> set[str]:
    """Run a command, and return those of HEAVY that it imports."""
    done = manage(*arguments, folder=folder, environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    imported = set(IMPORT.findall(done.stderr))
    assert "django.core.management" in imported
    return imported.intersection(HEAVY)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_nothing_heavy(command: str, folder: Path) -> None:
    assert heavy_imports(folder, *command.split()) == set()


def test_the_commands_for_flow_files_import_nothing_heavy(folder: Path) -> None:
    assert heavy_imports(folder, "flows", "export", str(folder / "my-flows")) == set()


def test_the_system_checks_cover_the_pages_and_the_api(folder: Path) -> None:
    assert {"audit.views.home", "flows.console", "rest_framework.views"} <= heavy_imports(folder, "check")
