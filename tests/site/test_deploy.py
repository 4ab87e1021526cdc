"""Django's own deployment checks of a server with TLS."""

import secrets
import sys
from pathlib import Path

import pytest
import trustme

from tests import processes
from tests.server import ROOT, server_environment

pytestmark = pytest.mark.acceptance


def test_the_checks_for_deployment_find_nothing_with_tls(tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    variables = {
        "FLYTE_TLS_CERT_PATH": str(tmp_path / "cert.pem"),
        "FLYTE_TLS_KEY_PATH": str(tmp_path / "key.pem"),
        "FLYTE_SECRET_KEY": secrets.token_urlsafe(64),
    }
    done = processes.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=server_environment(f"sqlite:///{tmp_path / 'flyte.sqlite3'}", variables),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
