"""The page on the command line names every command."""

import re

import pytest

from flyte_client.cli.flyte import main
from flyte_site.management.command_line import FlyteManagementUtility
from tests.server import ROOT

pytestmark = pytest.mark.unit

PAGE = (ROOT / "docs" / "reference" / "command-line.md").read_text()
APPS = ("flyte_site", "packs", "flows", "audit", "datastore")


def test_the_help_of_manage_py_describes_each_of_flytes_commands_in_a_line_before_djangos() -> None:
    text = FlyteManagementUtility(["manage.py", "help"]).main_help_text()
    flyte_commands, _, others = text.partition("\nCommands of Django and its apps:\n")
    described = dict(re.findall(r"^  ([a-z_]+) {2,}(\S.+)$", flyte_commands, re.MULTILINE))
    files = [path for app in APPS for path in (ROOT / app / "management" / "commands").glob("[a-z]*.py")]
    assert {path.stem for path in files} | {"migrate"} == set(described)
    assert max(map(len, text.splitlines())) <= 110
    assert "makemigrations" in others


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("validate", "Did you mean manage.py flows validate, or flyte flows validate with a running server?"),
        ("packs", "Did you mean flyte packs?"),
        ("try", "Did you mean manage.py try_flow, or flyte try with a running server?"),
        ("exectuion", "Did you mean execution?"),
    ],
)
def test_a_command_with_another_name_gets_a_hint(name: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        FlyteManagementUtility(["manage.py", name]).fetch_command(name)
    assert caught.value.code == 1
    assert f"Unknown command: {name!r}. {hint}\n" in capsys.readouterr().err


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
    assert len(commands) == 7
    assert set(commands) - set(re.findall(r"`flyte ([a-z]+)", PAGE)) == set()
