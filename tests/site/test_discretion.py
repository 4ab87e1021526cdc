"""Failure of a test run if a log contains a secret."""

import sys
from pathlib import Path

import jwt
import pytest

from flyte_site.auth.tokens import TOKEN_PREFIX
from tests import discretion, processes
from tests.server import ROOT

START = "timestamp=2026-01-01T00:00:00Z level=info logger=x event="
TOKEN = TOKEN_PREFIX + "A" * 43


@pytest.mark.unit
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"refused token={TOKEN}", ["a token"]),
        (f"refused header='Bearer {TOKEN}'", ["a token", "an authorization"]),
        ("sent to=postgres://flyte:hunter2@db/flyte", ["a password in an address"]),
        ("sent to=redis://:hunter2@cache:6379", ["a password in an address"]),
        ("connected to=redis://:**@cache:6379", []),
        ("started key=Kx7-very-own", ["FLYTE_SECRET_KEY"]),
        (f"token_made shown={TOKEN[:12]} at=http://127.0.0.1:8080/v1/packs/a@b", []),
    ],
)
def test_a_secret_is_recognized_by_its_shape_or_by_the_servers_settings(line: str, expected: list[str]) -> None:
    findings = discretion.find_secrets(f"first\n{START}{line}\nlast", {"FLYTE_SECRET_KEY": "Kx7-very-own"})
    assert [finding.partition(":")[0] for finding in findings] == expected


@pytest.mark.unit
def test_debug_lines_and_other_output_do_not_count() -> None:
    assert not list(discretion.find_secrets(f"password: {TOKEN}\n{START.replace('info', 'debug')}x token={TOKEN}"))


@pytest.mark.unit
def test_tokens_of_a_provider_are_recognized() -> None:
    token = jwt.encode({"sub": "ana"}, "k" * 32, "HS256")
    assert len(list(discretion.find_secrets(f"{START}x {token}"))) == 1


LEAKING_TESTS = f"""
import pytest
import structlog
from tests import discretion


@pytest.fixture(scope="session")
def server():
    yield
    discretion.read("{START}refused token={TOKEN}", "http://loose")


def test_loose(server):
    assert structlog.get_logger("loose").warning("refused", token="{TOKEN}") is None
"""


@pytest.mark.acceptance
@pytest.mark.parametrize("options", [[], ["-n1"]], ids=["one process", "a worker"])
def test_a_run_fails_if_a_log_of_a_test_or_of_a_server_contains_a_token(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    file = tmp_path / "test_loose.py"
    file.write_text(LEAKING_TESTS)
    done = processes.run(
        [sys.executable, "-m", "pytest", "-q", *options, "--rootdir", str(ROOT), "-c", "pyproject.toml", str(file)],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "a log contains a secret" in done.stdout
    assert "test_loose: a token" in done.stdout
    assert "http://loose: a token" in done.stdout
