import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.server import ROOT, server_environment

Read = Callable[..., dict[str, Any]]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Read:
    """Return a function that reads the settings with the passed variables only, in an empty project folder."""
    module = tmp_path / "project" / "flyte_site" / "settings.py"
    module.parent.mkdir(parents=True)
    shutil.copy(ROOT / "flyte_site" / "settings.py", module)

    def read_settings(**variables: str) -> dict[str, Any]:
        inherited = {k: v for k, v in server_environment("").items() if not k.startswith("FLYTE_")}
        with monkeypatch.context() as patch:
            patch.setattr("os.environ", inherited | variables)
            return runpy.run_path(str(module))

    return read_settings


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Issue a certificate for 127.0.0.1; return the file of the chain with the authority, and the file of the key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_pem.write_to_path(str(key))
    for pem in (*issued.cert_chain_pems, authority.cert_pem):
        pem.write_to_path(str(certificate), append=True)
    return certificate, key
