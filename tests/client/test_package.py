"""The client library as a package: it installs without the server, and its program lists the packs."""

import tomllib
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

import flyte_client
from flyte_client.cli import flyte_pack
from flyte_client.cli.pack_discovery import discover_packs

from .conftest import Start
from .program import ROOT
from .stub_server import StubServer
from .wheel import build_wheel, install, run

PROJECT = tomllib.loads((ROOT / "flyte_client" / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
PACKS = sorted(path.parent.name for path in (ROOT / "flyte_client" / "packs").glob("*/__main__.py"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.mark.integration
def test_the_wheel_runs_without_the_server(wheel: Path, tmp_path: Path) -> None:
    programs = install(wheel, tmp_path / "venv", "httpx")
    python, pack = str(programs / "python"), str(programs / "flyte-pack")
    output = run(
        [python, "-c", "import flyte_client; print(flyte_client.__version__, flyte_client.__file__)"], tmp_path
    )
    assert output.split()[0] == flyte_client.__version__
    assert output.split()[1].startswith(str(tmp_path))
    script = "import importlib.util as u; print([n for n in ('django', 'flyte_site', 'yaml') if u.find_spec(n)])"
    assert run([python, "-c", script], tmp_path) == "[]\n"
    assert [line.split()[0] for line in run([pack, "list"], tmp_path).splitlines()] == PACKS
    assert run([pack, "new", "Greeter"], tmp_path).startswith("created greeter/")
    for name in PACKS:
        assert run([pack, name, "--help"], tmp_path).startswith("usage: ")


@pytest.mark.integration
def test_the_wheel_has_every_module_and_the_typing_marker(wheel: Path) -> None:
    folder = ROOT / "flyte_client"
    shared = [file for name in ("flow_files", "flyte_formats", "flyte_time") for file in (ROOT / name).rglob("*.py")]
    files = [*folder.rglob("*.py"), *shared, *(folder / "new_pack").iterdir()]
    modules = {str(path.relative_to(ROOT)) for path in files} | {"flyte_client/py.typed"}
    assert modules - set(ZipFile(wheel).namelist()) == set()
    assert "flyte_client/pyproject.toml" not in ZipFile(wheel).namelist()


@pytest.mark.unit
def test_each_pack_has_an_extra_that_the_projects_own_versions_satisfy() -> None:
    assert sorted(EXTRAS) == sorted([*PACKS, "completion"])
    for text in {*PROJECT["dependencies"], *(text for extra in EXTRAS.values() for text in extra)}:
        requirement = Requirement(text)
        assert requirement.specifier.contains(version(requirement.name)), text


@pytest.mark.unit
def test_each_pack_is_listed_with_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert flyte_pack.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1)[0] for line in lines] == PACKS
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.unit
def test_it_prints_its_usage_without_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert flyte_pack.main([]) == 0
    assert "flyte-pack list" in capsys.readouterr().out


@pytest.mark.unit
def test_an_unknown_pack_is_reported_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert flyte_pack.main(["shall"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"flyte-pack: pack 'shall' not found; available: {', '.join(PACKS)}"


@pytest.mark.unit
def test_packs_of_other_packages_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = tmp_path / "greeter-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[flyte_client.packs]\ngreeter = greeter_of_a_test:main\n")
    (tmp_path / "greeter_of_a_test.py").write_text("def main(arguments):\n    return len(arguments)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert discover_packs()["greeter"].summary == "from greeter"
    assert flyte_pack.main(["greeter", "one", "two", "three"]) == 3


@pytest.mark.integration
def test_it_runs_a_pack_in_the_projects_folder(stub: StubServer, start: Start) -> None:
    stub.queue("Shell", "echo hello")
    start("-m", "flyte_client", "shell")
    (call,) = stub.wait_for("result", event="Output")
    assert call.body["payload"]["stdout"] == "hello\n"
    assert stub.of("packs")[0].headers["User-Agent"] == f"flyte-client-python/{flyte_client.__version__}"
