"""The image's steps, run in a clean folder without a container engine."""

import os
import re
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from tests import processes
from tests.containers.dockerfile import FOLDER, STATE, all_of, command, copy_into, environment, health_check, is_ignored
from tests.jobs.processes import Running, program, wait_for_health, wait_until
from tests.private_postgres import free_port
from tests.programs import needs
from tests.server import ROOT

BIN = Path(sys.executable).parent
PAGES = (ROOT / "docs/reference/settings.md", ROOT / "docs/how-to/write-a-pack.md")


@pytest.mark.unit
def test_hadolint_finds_nothing() -> None:
    done = processes.run([BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


@pytest.mark.unit
@pytest.mark.parametrize("path", [".env", ".secret_key", "flyte.sqlite3", ".git", "tests", "docs", ".venv", "bench"])
def test_other_files_stay_out_of_the_image(path: str) -> None:
    assert is_ignored(path)


@pytest.mark.unit
def test_the_image_installs_from_a_lock_and_runs_as_an_unprivileged_user() -> None:
    assert any("--require-hashes" in step and "requirements-tracing.lock" in step for step in all_of("RUN"))
    assert all_of("USER") == ["10001"]
    assert all(":" in base.split()[0] and not base.split()[0].endswith(":latest") for base in all_of("FROM"))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Build the image's folder by its steps, with this virtual environment instead of a new one."""
    folder = tmp_path / "image"
    folder.mkdir()
    copy_into(folder)
    (compiling,) = (step for step in all_of("RUN") if "compileall" in step)
    (folder / ".venv").symlink_to(BIN.parent)
    processes.run(["sh", "-c", compiling], cwd=folder, check=True)
    return folder


@pytest.mark.acceptance
def test_the_images_command_serves_is_healthy_and_has_a_shell_pack(image: Path, tmp_path: Path) -> None:
    needs("curl")
    state = tmp_path / "state"
    state.mkdir()
    before = listing(image)
    image_variables = {name: value.replace(STATE, str(state)) for name, value in environment().items()}
    port = str(free_port())
    variables = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        **image_variables,
        "FLYTE_PORT": port,
        "FLYTE_MGO_HOST": "mongo",
    }
    assert command("ENTRYPOINT") == ["tini", "--"]
    with program(tmp_path, variables, within(image, *command("CMD"))) as server:
        wait_for_health(f"http://127.0.0.1:{port}", server)
        assert processes.run(health_check(), env=variables).returncode == 0
        assert server.said("open_to_everybody")
        file = next(path for path in sorted((image / "static").rglob("*")) if path.is_file()).relative_to(image)
        assert httpx.get(f"http://127.0.0.1:{port}/{file}", trust_env=False, timeout=60).status_code == 200
        assert httpx.get(f"http://127.0.0.1:{port}/admin/login/", trust_env=False, timeout=60).status_code == 200
        metrics = f"http://127.0.0.1:{port}/metrics"
        # The process for jobs writes its metrics into the folder of the web workers.
        wait_until(
            lambda: "flyte_job_seconds_count" in httpx.get(metrics, trust_env=False, timeout=60).text, server.log
        )
        shell = {**variables, "FLYTE_API_URL": f"http://127.0.0.1:{port}", "FLYTE_HEALTH_PORT": str(free_port())}
        with program(tmp_path, shell, within(image, *shell_command())) as pack:
            wait_until(lambda: "Shell" in packs(port), pack.log)
            assert processes.run(health_check(), env=shell).returncode == 0
        stopped(server)
    assert processes.run(health_check(), env=variables).returncode != 0
    assert listing(image) == before, "the image's own folder must not be written to"
    assert {path.name for path in state.iterdir()} >= {"flyte.sqlite3", "secret_key"}


def within(folder: Path, *words: str) -> list[str]:
    return ["sh", "-c", 'cd "$0" && exec "$@"', str(folder), *words]


def packs(port: str) -> list[str]:
    answer = httpx.get(f"http://127.0.0.1:{port}/v1/packs", trust_env=False, timeout=60)
    return [pack["name"] for pack in answer.json()["packs"]]


def text_of(url: str) -> str:
    return httpx.get(url, trust_env=False, timeout=60).text


def stopped(server: Running) -> None:
    assert server.stop() == 0


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if ".venv" not in path.parts}


def compose() -> dict[str, dict[str, object]]:
    services: dict[str, dict[str, object]] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return services


def shell_command() -> list[str]:
    words = compose()["shell"]["command"]
    assert isinstance(words, list)
    return words


@pytest.mark.unit
def test_compose_starts_existing_commands() -> None:
    commands = [service["command"] for service in compose().values() if service.get("image") == "flyte:latest"]
    assert len(commands) == 5
    for words in commands:
        assert isinstance(words, list)
        assert words[0] == "python"
        if words[1] == "-m":
            assert (ROOT / words[2].replace(".", "/") / "__main__.py").exists()
        elif words[2] != "migrate":
            assert (ROOT / f"flyte_site/management/commands/{words[2]}.py").exists()


@pytest.mark.unit
def test_every_variable_of_image_and_compose_is_on_a_page() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    used = set(re.findall(r"\b(?:FLYTE_\w+)(?==|:)", (ROOT / "compose.yaml").read_text())) | set(environment())
    compose_only = {"FLYTE_SHELL_TOKEN"}  # compose.yaml's, for the Shell pack's FLYTE_JWT
    assert {name for name in used - compose_only if name.startswith("FLYTE_") and f"`{name}`" not in text} == set()


@pytest.mark.unit
def test_the_page_has_the_variables_of_the_image() -> None:
    page = (ROOT / "docs/how-to/run-in-containers.md").read_text()
    rows = dict(re.findall(r"^\| `(FLYTE_\w+)` \| `([^`]*)`", page, re.MULTILINE))
    assert rows == {name: value for name, value in environment().items() if name.startswith("FLYTE_")}
    assert FOLDER in (ROOT / "Dockerfile").read_text()


@pytest.mark.acceptance
def test_make_creates_private_passwords_once(tmp_path: Path) -> None:
    make = ["make", "--file", str(ROOT / "Makefile"), ".env"]
    processes.run(make, cwd=tmp_path, check=True, capture_output=True)
    made = (tmp_path / ".env").read_text()
    assert re.fullmatch(r"POSTGRES_PASSWORD=[0-9a-f]{64}\nFLYTE_SECRET_KEY=[0-9a-f]{64}\n", made)
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    processes.run(make, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / ".env").read_text() == made
