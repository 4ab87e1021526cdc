"""Checks of all files of `examples/flows` and `examples/data`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .world import DATA, FLOWS, ExampleClient, flow_files, read

pytestmark = pytest.mark.acceptance

# The functions and filters that the manual documents, and `split`, which its example uses; the original
# has `unmarshalJson` without documentation.
FUNCTIONS = ("randomInt", "randomAlpha", "base64Encode", "base64Decode", "datastore", "template", "unmarshalJson")
FILTERS = ("kvp", "key", "index", "match", "matchesCron", "split")


def constants(path: Path) -> dict[str, Any]:
    """Return the constants at the top of a module."""
    assigned = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign)]
    literals = [node for node in assigned if isinstance(node.value, ast.Constant | ast.Dict)]
    return {
        node.targets[0].id: ast.literal_eval(node.value) for node in literals if isinstance(node.targets[0], ast.Name)
    }


def files_with_tests() -> list[str]:
    """Return the example files that the test modules load."""
    files = []
    for path in Path(__file__).parent.glob("test_*.py"):
        assigned = constants(path)
        if "FLOW" in assigned and "\ndef test_" in path.read_text():
            files += [assigned["FLOW"], *assigned.get("DATASTORE", {}).values()]
    return files


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


def test_every_file_has_a_test() -> None:
    assert sorted(files_with_tests()) == sorted(path.name for path in [*FLOWS.iterdir(), *DATA.iterdir()])


def test_every_documented_function_and_filter_is_in_an_example() -> None:
    templates = "\n".join(text for path in flow_files() for text in strings(read(path)) if "{{" in text or "{%" in text)
    missing = [name for name in FUNCTIONS if not re.search(rf"\b{name}\(", templates)]
    missing += [name for name in FILTERS if not re.search(rf"\|{name}\b", templates)]
    assert missing == []


@pytest.mark.parametrize("path", flow_files(), ids=lambda path: path.name)
def test_the_server_has_no_warnings_if_the_packs_are_registered(world: ExampleClient, path: Path) -> None:
    flow = read(path)
    commands: dict[str, dict[str, list[str]]] = {}
    for step in flow["steps"]:
        commands.setdefault(step["event"]["packName"], {})
        commands.setdefault(step["command"]["packName"], {})[step["command"]["name"]] = []
    for name, declared in commands.items():
        world.pack(name, declared)
    assert world.load(path.name) == ""
    assert [step["id"] for step in world.flow(flow["name"])["steps"]] == [step["id"] for step in flow["steps"]]
