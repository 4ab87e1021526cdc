"""The catalog of hosted plugins: ids, defaults, and the plugin for a command."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from packs.hosted.catalog import Catalog, CatalogError, apply_config, load_entries, parse_config_lines
from packs.hosted.plugin_api.interfaces import Plugin, PluginEntry, PluginSetupContext

pytestmark = pytest.mark.unit


def fail_to_load(_: PluginSetupContext) -> Plugin:
    raise AssertionError("loaded before it was used")


def entry(id: str, types: str = "", **changes: Any) -> PluginEntry:
    return PluginEntry(id, tuple(types.split()), fail_to_load, **changes)


BY_PATH = entry("ByPath", "Go")
NO_ENTRY = "text"


def test_the_plugin_of_the_pack_takes_precedence() -> None:
    catalog = Catalog([entry("A", "Run"), entry("B", "Run", default_for_task_types=("Run",))])
    assert catalog.find_entry("A", "Run") is catalog.by_id["A"]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry("A"), entry("B", "Run")], "B"),
        ([entry("A"), entry("B", "Run"), entry("C", "Run", default_for_task_types=("Run",))], "C"),
        ([entry("A"), entry("B", "Run", default_for_task_types=("Run",)), entry("C", is_default=True)], "B"),
        ([entry("A"), entry("B", "Other"), entry("C", is_default=True)], "C"),
        ([entry("A"), entry("B", "Run"), entry("C", "Run"), entry("D", is_default=True)], "D"),
        ([entry("A"), entry("B", "Run"), entry("C", "Run")], None),
        ([entry("A"), entry("B", "Other")], None),
    ],
)
def test_a_command_that_the_pack_does_not_name_is_answered_by_a_default(
    entries: Sequence[PluginEntry], expected: str | None
) -> None:
    selected = Catalog(entries).find_entry("A", "Run")
    assert (selected.id if selected else None) == expected


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry("A"), entry("A")], "duplicate plugin id A"),
        ([entry("A", is_default=True), entry("B", is_default=True)], "duplicate default plugin"),
        (
            [entry(id, "Run", default_for_task_types=("Run",)) for id in ("A", "B")],
            "duplicate default plugin for Run",
        ),
        ([entry("A", "Run", default_for_task_types=("Go",))], "A: default for 'Go', which it does not support"),
        ([entry("")], "invalid plugin id ''"),
    ],
)
def test_violated_rules_are_reported(entries: Sequence[PluginEntry], message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        Catalog(entries)


def test_plugins_are_named_by_id_or_by_dotted_path() -> None:
    builtin = [entry("A"), entry("B")]
    assert load_entries(["B", "tests.hosted.test_catalog.BY_PATH"], builtin) == [builtin[1], BY_PATH]


def test_an_installed_package_provides_its_plugin_by_an_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "offered-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[flyte.webapi]\nOffered = tests.hosted.test_catalog:BY_PATH\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert load_entries(["Offered"], [entry("A")]) == [BY_PATH]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("C", "plugin not found; built-in plugins: A, B"),
        ("no.such.module", r"import failed \(ModuleNotFoundError"),
        ("tests.hosted.test_catalog.NO_ENTRY", "not a PluginEntry"),
        ("tests.hosted.test_catalog.NOTHING", r"import failed \(AttributeError"),
    ],
)
def test_an_invalid_plugin_name_is_reported(name: str, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        load_entries([name], [entry("A"), entry("B")])


def test_lines_configure_the_plugins_that_they_name() -> None:
    lines = parse_config_lines("# all\n\nwebapi.A.caching.workers=3\n  webapi.Known.caching.size = x\n")
    a, b = apply_config([entry("A"), entry("B")], lines, known_ids=["Known"])
    assert (a.config.caching.workers, b.config.caching.workers) == (3, 10)


@pytest.mark.parametrize("line", ["webapi.C.caching.size=1", "A.caching.size=1", "webapi.A=1", "webapi.A.caching.x=1"])
def test_a_line_for_an_unknown_field_is_reported(line: str) -> None:
    with pytest.raises(CatalogError, match=line.partition("=")[0]):
        apply_config([entry("A")], [line], known_ids=[])
