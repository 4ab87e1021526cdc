"""The files of `docs/how-to/run-as-a-service.md`: a proxy's configuration, systemd's units, and their settings."""

import os
import re
import shutil
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import trustme

from tests import processes
from tests.docs.pages import PATIENCE
from tests.private_postgres import free_port
from tests.programs import needs
from tests.server import ROOT, Server, StartServer

FOLDER = ROOT / "examples" / "service"
PAGE = (ROOT / "docs" / "how-to" / "run-as-a-service.md").read_text()
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@pytest.mark.unit
def test_every_variable_of_the_settings_file_is_a_setting() -> None:
    names = re.findall(r"^(\w+)=", (FOLDER / "flyte.env").read_text(), re.MULTILINE)
    assert len(names) > 5
    settings = (ROOT / "docs" / "reference" / "settings.md").read_text()
    assert [name for name in names if f"| `{name}` |" not in settings] == []


@pytest.mark.unit
def test_the_units_start_existing_programs() -> None:
    starts = {unit.stem: re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE) for unit in units()}
    python = "/srv/flyte/current/.venv/bin/python"
    assert starts == {
        "flyte-jobs@": [f"{python} manage.py %i"],
        "flyte-pack@": [f"{python} -m flyte_client.packs.%i"],
        "flyte-web@": [f"{python} manage.py serve"],
    }
    for name in ("serve", *re.findall(r"flyte-jobs@(\w+)", PAGE)):
        assert (ROOT / "flyte_site" / "management" / "commands" / f"{name}.py").exists(), name
    for name in re.findall(r"flyte-pack@(\w+)", PAGE):
        assert (ROOT / "flyte_client" / "packs" / name).is_dir(), name


@pytest.mark.unit
def test_the_page_names_every_file_of_the_folder() -> None:
    assert [path.name for path in FOLDER.iterdir() if path.name not in PAGE] == []


def units() -> list[Path]:
    return sorted(FOLDER.glob("*.service"))


@pytest.mark.acceptance
def test_behind_the_proxy_links_and_ids_are_right_while_a_web_process_is_down(
    start_server: StartServer, tmp_path: Path
) -> None:
    if NGINX is None:
        needs("nginx")
    server, port = start_server(), free_port()
    with proxy(server, port, tmp_path) as authority:
        context = ssl.create_default_context(cafile=str(authority))
        with httpx.Client(base_url=f"https://localhost:{port}", verify=context, trust_env=False) as client:
            wait_until_up(client)
            forged = {"X-Forwarded-Host": "evil.example.org", "X-Flyte-Host": "evil", "X-Request-ID": "forged"}
            answers = [client.get("/v1", headers=forged) for _ in range(6)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["links"][0]["href"] for answer in answers} == {f"https://localhost:{port}/v1"}
    assert len({answer.headers["X-Request-ID"] for answer in answers} - {"forged"}) == 6
    assert answers[0].headers["Strict-Transport-Security"].startswith("max-age=")


@contextmanager
def proxy(server: Server, port: int, folder: Path) -> Iterator[Path]:
    """Run nginx with the documented configuration and other addresses and files; the second web process is down."""
    issued = trustme.CA()
    certificate = issued.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "tls.pem"))
    issued.cert_pem.write_to_path(str(folder / "authority.pem"))
    printed = (FOLDER / "nginx.conf").read_text()
    for documented, actual in {
        "127.0.0.1:8081": server.url.removeprefix("http://"),
        "127.0.0.1:8082": f"127.0.0.1:{free_port()}",
        "listen 443": f"listen 127.0.0.1:{port}",
        "/etc/flyte/tls.pem": str(folder / "tls.pem"),
        "/etc/flyte/tls.key": str(folder / "tls.pem"),
    }.items():
        assert printed.count(documented) == 1, documented
        printed = printed.replace(documented, actual)
    temporary = "".join(
        f"{kind}_temp_path {folder / kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder / 'pid'}; worker_processes 1; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{printed}}}\n"
    )
    command = [str(NGINX), "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = processes.start(command)
    try:
        yield folder / "authority.pem"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def wait_until_up(client: httpx.Client) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            client.get("/health")
            return
        except httpx.ConnectError:
            assert time.monotonic() < deadline, "the proxy does not answer"
            time.sleep(0.05)
