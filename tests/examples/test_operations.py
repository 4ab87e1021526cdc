"""The flows of examples/operations in the real engine, with events as the packs send them, and real scripts."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from datastore.models import Item
from flows.definition import FLOW_TEXT_FIELDS, parse_flow, store
from flows.models import Execution
from flyte_client.packs.shell.commands import build_shell_pack
from flyte_client.packs.shell.settings import ShellSettings
from flyte_client.testing import PackTester
from flyte_site.http.input.parsing import parse_yaml
from packs.queue.take import take as take_action
from tests.flows import builders as b

from .operations import FLOWS, TEAMS, OperationCase, read_cases, read_event, write_programs

CASES = read_cases()

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_every_flow_has_cases_with_and_without_a_result() -> None:
    assert {case.flow for case in CASES} == {path.stem for path in FLOWS.glob("*.yaml")}


@pytest.mark.parametrize("path", sorted(FLOWS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_flow_has_the_name_of_its_file_and_no_warnings(path: Path) -> None:
    flow = parse_flow(parse_yaml(path.read_text(), FLOW_TEXT_FIELDS))
    assert (flow.name, [warning.message for warning in flow.warnings]) == (path.stem, [])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_flow_has_the_expected_actions(case: OperationCase, tmp_path: Path) -> None:
    write_programs(case, tmp_path / "bin")
    Item.objects.create(key="mail_of_teams", content_type="application/json", value=json.dumps(TEAMS).encode())
    store.save_flow(parse_flow(parse_yaml((FLOWS / f"{case.flow}.yaml").read_text(), FLOW_TEXT_FIELDS)))
    shell, email = b.pack("Shell"), b.pack("Email")
    pack_name, event_name, payload = read_event(case)
    b.tell(email if pack_name == "Email" else b.pack(pack_name), event_name, payload)
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    tester = PackTester(build_shell_pack(ShellSettings(60.0, 100_000, tmp_path, environment)))
    for expected in case.scripts:
        action = b.take(shell)
        result = tester.command("Shell", action.input)
        assert_script(action.input, expected, result.payload)
        b.give(shell, action, result.name, result.payload)
    if case.mail:
        action = b.take(email)
        assert (action.name, action.input) == ("SendEmail", case.mail)
        b.give(email, action, "EmailSent", {})
    assert (take_action(shell), take_action(email)) == (None, None)
    assert Execution.objects.count() == (1 if case.scripts or case.mail else 0)
    assert [error for execution in Execution.objects.all() for error in execution.errors] == []


def assert_script(action_input: Any, expected: Any, payload: Any) -> None:
    """Assert that the script got this text from the event, and had this output."""
    data = action_input if isinstance(action_input, dict) else {}
    assert {key: data[key] for key in ("env", "stdin") if key in data} == {
        key: expected[key] for key in ("env", "stdin") if key in expected
    }
    if "stdout" in expected:
        assert payload["stdout"] == expected["stdout"], payload
