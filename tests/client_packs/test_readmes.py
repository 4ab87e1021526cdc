"""The packs' READMEs: they are complete, and their examples work."""

import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from flyte_client.packs.bamboo.settings import read_settings as read_bamboo
from flyte_client.packs.bitbucket.settings import read_settings as read_bitbucket
from flyte_client.packs.email.settings import read_settings as read_email
from flyte_client.packs.git.settings import read_settings as read_git
from flyte_client.packs.jira.settings import read_settings as read_jira
from flyte_client.packs.ldap.settings import read_settings as read_ldap
from flyte_client.packs.shell.settings import read_settings as read_shell
from flyte_client.packs.slack.settings import read_settings as read_slack
from flyte_client.packs.timer.settings import read_settings as read_timer
from flyte_client.packs.webhook.settings import read_settings as read_webhook
from tests import processes
from tests.client.stub_server import StubServer
from tests.docs.pages import blocks
from tests.server import ROOT

from .conftest import StartPack

pytestmark = pytest.mark.unit

PACKS = ROOT / "flyte_client" / "packs"
EXTRAS: dict[str, list[str]] = tomllib.loads((PACKS.parent / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
LIST = ROOT / "docs" / "reference" / "packs.md"
READERS: Mapping[str, Callable[[Mapping[str, str]], Any]] = {
    "bamboo": read_bamboo,
    "bitbucket": read_bitbucket,
    "email": read_email,
    "git": read_git,
    "jira": read_jira,
    "ldap": read_ldap,
    "shell": read_shell,
    "slack": read_slack,
    "timer": read_timer,
    "webhook": read_webhook,
}
SETTINGS = {
    "email": {
        "FLYTE_SMTP_HOST": "127.0.0.1",
        "FLYTE_EMAIL_FROM": "a@example.com",
        "FLYTE_IMAP_HOST": "127.0.0.1",
        "FLYTE_IMAP_USER": "u",
        "FLYTE_IMAP_PASSWORD": "p",
    },
    "bamboo": {"FLYTE_BAMBOO_URL": "http://127.0.0.1:9", "FLYTE_BAMBOO_TOKEN": "t", "FLYTE_BAMBOO_PLANS": "A-B"},
    "bitbucket": {
        "FLYTE_BITBUCKET_URL": "http://127.0.0.1:9",
        "FLYTE_BITBUCKET_TOKEN": "t",
        "FLYTE_BITBUCKET_REPOSITORIES": "A/b",
    },
    "jira": {"FLYTE_JIRA_URL": "http://127.0.0.1:9", "FLYTE_JIRA_TOKEN": "t"},
    "ldap": {"FLYTE_LDAP_URL": "ldap://127.0.0.1:9", "FLYTE_LDAP_BASE_DN": "dc=example"},
    "slack": {
        "FLYTE_SLACK_TOKEN": "xoxb-1",
        "FLYTE_SLACK_APP_TOKEN": "xapp-1",
        "FLYTE_SLACK_API_URL": "http://127.0.0.1:9",
    },
    "webhook": {
        "GITHUB_WEBHOOK_SECRET": "s",
        "SLACK_SIGNING_SECRET": "s",
        "ALERT_TOKEN": "s",
        "SENTRY_CLIENT_SECRET": "s",
        "FLYTE_WEBHOOK_PORT": "0",
    },
}
# Variables of all packs, or of the server.
OTHERS = {"FLYTE_API", "FLYTE_API_TIMEOUT", "FLYTE_MAX_BODY_BYTES"}


def page(name: str) -> Path:
    return PACKS / name / "README.md"


def read_variables(name: str) -> set[str]:
    """Return the variables that the pack's `read_settings` reads."""

    class ReadTracker(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            names_read.add(key)
            return super().get(key, default)

    names_read: set[str] = set()
    READERS[name](ReadTracker(environment(name)))
    return {variable for variable in names_read if variable.startswith("FLYTE_")}


def environment(name: str) -> dict[str, str]:
    variables = dict(SETTINGS.get(name, {}))
    for document in blocks(page(name), "yaml"):
        variables[f"FLYTE_{name.upper()}_CONFIG"] = document
    return variables


def isolated(folder: Path) -> dict[str, str]:
    """Return variables that redirect folders and addresses of the pages to the test's."""
    nowhere = "http://127.0.0.1:9"
    folders = {f"FLYTE_{name}_FOLDER": str(folder / name.lower()) for name in ("BAMBOO", "BITBUCKET", "GIT")}
    return folders | {"https_proxy": nowhere, "GIT_SSH_COMMAND": "false"}


@pytest.mark.parametrize("name", READERS)
def test_the_page_names_each_variable_and_no_other(name: str) -> None:
    assert set(re.findall(r"FLYTE_[A-Z_]+", page(name).read_text())) - OTHERS == read_variables(name)


@pytest.mark.parametrize("name", ["git", "timer", "webhook"])
def test_the_page_names_each_key_of_the_configuration(name: str) -> None:
    source = (PACKS / name / "settings.py").read_text()
    (keys,) = re.findall(r"^(?:HOOK|TIMER|REPOSITORY)_KEYS = \((.*?)\)$", source, re.MULTILINE | re.DOTALL)
    table = re.findall(r"^\| `(\w+)` \|", page(name).read_text(), re.MULTILINE)
    assert set(re.findall(r'"(\w+)"', keys)) == {key for key in table if key[0].islower()}


@pytest.mark.integration
@pytest.mark.parametrize("name", READERS)
def test_the_pack_registers_the_commands_and_the_events_on_its_page(
    name: str, stub: StubServer, start_pack: StartPack, tmp_path: Path
) -> None:
    start_pack(name, stub.url, **environment(name), **isolated(tmp_path))
    (call,) = stub.wait_for("packs")
    assert call.body["name"] == name.capitalize()
    (section,) = re.findall(r"^## Events\n(.*?)^## ", page(name).read_text(), re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))
    renamed = {"timer": {"HealthCheckDue"}, "webhook": {"SlashCommand"}}.get(name, set())
    assert {event["name"] for event in call.body["events"]} - renamed == named
    commands = page(name).read_text().partition("## Commands")[2].partition("\n## ")[0]
    assert {command["name"] for command in call.body["commands"]} <= set(re.findall(r"`(\w+)`", commands))


@pytest.mark.parametrize("name", READERS)
def test_a_page_links_to_an_example_and_is_in_the_list(name: str) -> None:
    assert re.search(r"\]\(\.\./\.\./\.\./examples/flows/\w+\.yaml\)", page(name).read_text())
    assert f"({name}/README.md)" in (PACKS / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(path.parent.name for path in PACKS.glob("*/README.md")))
def test_the_page_names_the_packs_extra_and_its_packages(name: str) -> None:
    (paragraph,) = re.findall(r"To start the pack with .*?(?=\n\n)", page(name).read_text(), re.DOTALL)
    program, install, *brought = re.findall(r"`(.*?)`", paragraph)
    assert (program, install) == (f"flyte-pack {name}", f"pip install './flyte_client[{name}]'")
    assert brought == [Requirement(text).name for text in EXTRAS[name]]
    assert "pip install" not in page(name).read_text().replace(install, "")


@pytest.mark.integration
@pytest.mark.parametrize("name", READERS)
def test_the_list_of_packs_names_commands_and_events(
    name: str, stub: StubServer, start_pack: StartPack, tmp_path: Path
) -> None:
    start_pack(name, stub.url, **environment(name), **isolated(tmp_path))
    (call,) = stub.wait_for("packs")
    (row,) = [line for line in LIST.read_text().splitlines() if f"`flyte_client.packs.{name}` |" in line]
    commands, events = (
        {cell.strip() for cell in column.split(",")} - {"–"} for column in row.strip("| ").split(" | ")[2:]
    )
    declared = {command["name"]: set(command["events"]) for command in call.body["commands"]}
    assert set(declared) == commands
    if name not in ("timer", "webhook"):  # their events are named by the operator
        undeclared = {event["name"] for event in call.body["events"]} - set().union(*declared.values())
        assert undeclared == events


@pytest.mark.integration
@pytest.mark.parametrize("name", READERS)
def test_help_describes_the_pack(name: str) -> None:
    command = [sys.executable, "-m", f"flyte_client.packs.{name}", "--help"]
    done = processes.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith(f"usage: python -m flyte_client.packs.{name}")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("timer", "yaml"),
        ("webhook", "cheroot"),
        ("git", "yaml"),
        ("email", "imapclient"),
        ("slack", "slack_sdk"),
    ],
)
def test_a_missing_package_is_reported_in_one_line(
    name: str, module: str, stub: StubServer, start_pack: StartPack, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{module!r}] = None\n")
    program = start_pack(name, stub.url, **environment(name), **isolated(tmp_path), PYTHONPATH=str(tmp_path))
    assert program.exit_code() == 2
    assert (
        program.log[-1] == f"{name.capitalize()}: {module} is not installed: run pip install 'flyte-client[{name}]'\n"
    )
    assert not [line for line in program.log if "Traceback" in line]
