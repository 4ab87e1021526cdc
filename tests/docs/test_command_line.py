"""The page on the command line names every command that there is."""

import re

import pytest

from flyte_client.cli.flyte import main
from tests.server import ROOT

pytestmark = pytest.mark.unit

PAGE = (ROOT / "docs" / "reference" / "command-line.md").read_text()
APPS = ("flyte_site", "packs", "flows", "audit", "datastore")


def test_every_command_of_manage_py_is_named() -> None:
    files = [path for app in APPS for path in (ROOT / app / "management" / "commands").glob("*.py")]
    names = {path.stem for path in files} - {"__init__"}
    assert len(names) > 20
    named = set(re.findall(r"`([a-z_]+)", PAGE.partition("## `manage.py`")[2]))
    assert {name for name in names if not name.startswith("forget_")} - named == set()


def test_every_command_of_flyte_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = re.findall(r"^    ([a-z]+)(?:  |$)", capsys.readouterr().out, re.MULTILINE)
    assert len(commands) == 6
    assert set(commands) - set(re.findall(r"`flyte ([a-z]+)", PAGE)) == set()
