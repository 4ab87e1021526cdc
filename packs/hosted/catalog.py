"""The hosted plugins, their configuration, and the choice of a plugin for a command."""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points

from packs.hosted.config_overrides import with_override
from packs.hosted.plugin_api.interfaces import PluginEntry

ENTRY_POINT_GROUP = "flyte.webapi"
CONFIG_PREFIX = "webapi"


class CatalogError(ValueError):
    """An invalid setting; the message names it."""


@dataclass(frozen=True)
class Catalog:
    """The hosted plugins, in order, with the operator's configuration."""

    entries: Sequence[PluginEntry] = ()
    by_id: Mapping[str, PluginEntry] = field(init=False)

    def __post_init__(self) -> None:
        check_entries(self.entries)
        object.__setattr__(self, "by_id", {entry.id: entry for entry in self.entries})

    def find_entry(self, pack_name: str, task_type: str) -> PluginEntry | None:
        """Find the plugin for a command of a hosted pack: the pack's own, else one that supports it, else
        the default.
        """
        pack_entry = self.by_id.get(pack_name)
        if pack_entry and task_type in pack_entry.supported_task_types:
            return pack_entry
        supporting = [entry for entry in self.entries if task_type in entry.supported_task_types]
        defaults = [entry for entry in supporting if task_type in entry.default_for_task_types]
        if defaults or len(supporting) == 1:
            return (defaults or supporting)[0]
        return next((entry for entry in self.entries if entry.is_default), None)


def check_entries(entries: Sequence[PluginEntry]) -> None:
    """Check ids and defaults. Raise `CatalogError`."""
    _check_unique(("plugin id", entry.id) for entry in entries)
    _check_unique(("default plugin", "") for entry in entries if entry.is_default)
    _check_unique(
        ("default plugin for", task_type) for entry in entries for task_type in set(entry.default_for_task_types)
    )
    for entry in entries:
        if not entry.id or "/" in entry.id:
            raise CatalogError(f"invalid plugin id {entry.id!r}: must not be empty or contain a slash")
        for task_type in entry.default_for_task_types:
            if task_type not in entry.supported_task_types:
                raise CatalogError(f"{entry.id}: default for {task_type!r}, which it does not support")


def _check_unique(labeled_values: Iterable[tuple[str, str]]) -> None:
    seen = set()
    for labeled_value in labeled_values:
        if labeled_value in seen:
            raise CatalogError(f"duplicate {labeled_value[0]} {labeled_value[1]}".rstrip())
        seen.add(labeled_value)


def load_entries(names: Iterable[str], builtin: Sequence[PluginEntry]) -> list[PluginEntry]:
    """Load the entries that FLYTE_WEBAPI_PLUGINS names: ids of built-in plugins, dotted paths (`package.module.ENTRY`),
    or names of entry points in the group `flyte.webapi`. Raise `CatalogError`.
    """
    builtin_by_id = {entry.id: entry for entry in builtin}
    return [
        builtin_by_id[name] if name in builtin_by_id else _load_entry(name, sorted(builtin_by_id)) for name in names
    ]


def _load_entry(name: str, builtin_ids: Sequence[str]) -> PluginEntry:
    points = list(entry_points(group=ENTRY_POINT_GROUP, name=name))
    try:
        loaded = points[0].load() if points else _import_path(name)
    except Exception as error:  # importing the plugin's module may raise anything
        raise CatalogError(f"{name}: import failed ({type(error).__name__}: {error})") from error
    if loaded is None:
        raise CatalogError(f"{name}: plugin not found; built-in plugins: {', '.join(builtin_ids)}")
    if not isinstance(loaded, PluginEntry):
        raise CatalogError(f"{name}: not a PluginEntry")
    return loaded


def _import_path(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute) if module else None


def apply_config(entries: Iterable[PluginEntry], lines: Sequence[str], known_ids: Iterable[str]) -> list[PluginEntry]:
    """Override configurations with lines such as `webapi.HttpJob.caching.resyncInterval=10s`.

    Ignore lines for plugins in `known_ids` that are not hosted. Raise `CatalogError`.
    """
    by_id = {entry.id: entry for entry in entries}
    ignored_ids = set(known_ids) - set(by_id)
    for line in lines:
        name, _, value = (part.strip() for part in line.partition("="))
        plugin_id, path = _split_name(name, [*by_id, *ignored_ids])
        if plugin_id in by_id:
            by_id[plugin_id] = _apply_value(by_id[plugin_id], path, name, value)
    return list(by_id.values())


def _split_name(name: str, ids: Iterable[str]) -> tuple[str, list[str]]:
    for plugin_id in ids:
        if name.startswith(f"{CONFIG_PREFIX}.{plugin_id}."):
            return plugin_id, name.removeprefix(f"{CONFIG_PREFIX}.{plugin_id}.").split(".")
    raise CatalogError(f"{name}: unknown plugin")


def _apply_value(entry: PluginEntry, path: list[str], name: str, value: str) -> PluginEntry:
    try:
        return replace(entry, config=with_override(entry.config, path, value))
    except ValueError as error:
        raise CatalogError(f"{name}: {error}") from None


def parse_config_lines(text: str) -> list[str]:
    """Return the lines of a configuration that are neither empty nor comments (`#`)."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
