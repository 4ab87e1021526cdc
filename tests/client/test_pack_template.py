"""`flyte-pack new`: the created pack passes its test, installs and runs."""

import os
import sys
from pathlib import Path

import pytest

from flyte_client.cli import flyte_pack
from flyte_client.cli.pack_template import derive_module_name
from tests import processes

from .conftest import Start
from .program import ROOT
from .stub_server import StubServer

SECONDS = 120.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    monkeypatch.chdir(tmp_path)
    assert flyte_pack.main(["new", "HelloWorld"]) == 0
    assert capsys.readouterr().out.startswith("created hello-world/")
    return tmp_path / "hello-world"


def run(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = processes.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.integration
def test_its_own_test_passes(folder: Path) -> None:
    assert "2 passed" in run(folder, "-m", "pytest", "-p", "no:django", "-p", "no:cacheprovider")


@pytest.mark.integration
def test_it_runs_as_its_readme_says(folder: Path, stub: StubServer, start: Start) -> None:
    assert "python hello_world.py" in (folder / "README.md").read_text()
    stub.queue("Greet", {"name": "Ann"})
    start(str(folder / "hello_world.py"), PYTHONPATH=str(ROOT))
    stub.wait_for("packs", name="HelloWorld")
    stub.wait_for("result", event="Greeted", payload={"text": "Hello Ann!"})


@pytest.mark.integration
def test_its_wheel_is_listed_by_flyte_pack(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    pip = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--no-index"]
    run(folder, *pip, "--no-build-isolation", "--target", str(target), ".")
    code = (
        f"import sys; sys.path.insert(0, {str(target)!r}); from flyte_client.cli.flyte_pack import main; main(['list'])"
    )
    assert "hello-world  from hello-world" in run(tmp_path, "-c", code)


@pytest.mark.unit
def test_all_files_of_a_pack_are_created_with_its_name(folder: Path) -> None:
    written = {file.name: file.read_text() for file in folder.iterdir()}
    names = {"Dockerfile", "README.md", "hello_world.py", "pyproject.toml", "test_hello_world.py"}
    assert set(written) == names
    assert not [name for name, text in written.items() if "$" in text]


@pytest.mark.unit
def test_the_user_of_the_image_may_write_to_the_spool_of_its_readme(folder: Path) -> None:
    image, readme = (folder / "Dockerfile").read_text(), (folder / "README.md").read_text()
    assert "--env FLYTE_SPOOL=/spool --volume hello-world-spool:/spool" in readme
    assert "useradd --uid 10001 pack && install --directory --owner pack /spool" in image
    assert "\nUSER 10001\n" in image


@pytest.mark.unit
@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("Greeter", "greeter"),
        ("JiraCloud", "jira_cloud"),
        ("Jira Cloud", "jira_cloud"),
        ("jira-cloud_2", "jira_cloud_2"),
        ("AWS", "aws"),
        ("Email", "email_pack"),
        ("Class", "class_pack"),
    ],
)
def test_the_module_name_is_valid_and_hides_no_other(name: str, module: str) -> None:
    assert derive_module_name(name) == module


@pytest.mark.unit
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "usage: flyte-pack new NAME"),
        (["--help"], "usage: flyte-pack new NAME"),
        (["One", "Two"], "usage: flyte-pack new NAME"),
        (["1st"], "flyte-pack: invalid pack name '1st': use letters A to Z and digits, a letter first"),
        (["../up"], "flyte-pack: invalid pack name '../up'"),
        (["Hello World"], "hello-world already exists"),
        (["a" * 65], "invalid pack name 'aaaa"),
    ],
)
def test_a_pack_that_cannot_be_created_is_reported_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert flyte_pack.main(["new", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
