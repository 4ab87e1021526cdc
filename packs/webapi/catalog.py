"""Which plugins there are, which are hosted, and which of them answers a command."""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points

from packs.webapi.fields import laid_over
from packs.webapi.interfaces import PluginEntry

ENTRY_POINTS = "flyte.webapi"
PREFIX = "webapi"


class CatalogError(ValueError):
    """Something is wrong with what the operator set; the message says what."""


@dataclass(frozen=True)
class Catalog:
    """The hosted plugins, in order, with what the operator configured."""

    entries: Sequence[PluginEntry] = ()
    by_id: Mapping[str, PluginEntry] = field(init=False)

    def __post_init__(self) -> None:
        check_entries(self.entries)
        object.__setattr__(self, "by_id", {entry.id: entry for entry in self.entries})

    def answering(self, pack_name: str, task_type: str) -> PluginEntry | None:
        """The plugin for a command of a hosted pack: the pack's own, else one that names it, else the default."""
        own = self.by_id.get(pack_name)
        if own and task_type in own.supported_task_types:
            return own
        naming = [entry for entry in self.entries if task_type in entry.supported_task_types]
        chosen = [entry for entry in naming if task_type in entry.default_for_task_types]
        if chosen or len(naming) == 1:
            return (chosen or naming)[0]
        return next((entry for entry in self.entries if entry.is_default), None)


def check_entries(entries: Sequence[PluginEntry]) -> None:
    """The rules on ids and defaults. Raises `CatalogError`."""
    _no_two(("the id", entry.id) for entry in entries)
    _no_two(("the default plugin", "") for entry in entries if entry.is_default)
    _no_two(("the default for", one) for entry in entries for one in set(entry.default_for_task_types))
    for entry in entries:
        if not entry.id or "/" in entry.id:
            raise CatalogError(f"a plugin can't have the id {entry.id!r}")
        for one in entry.default_for_task_types:
            if one not in entry.supported_task_types:
                raise CatalogError(f"{entry.id} is the default for {one!r}, which it does not support")


def _no_two(claims: Iterable[tuple[str, str]]) -> None:
    seen = set()
    for claim in claims:
        if claim in seen:
            raise CatalogError(f"two plugins are {claim[0]} {claim[1]}".rstrip())
        seen.add(claim)


def chosen(names: Iterable[str], builtin: Sequence[PluginEntry]) -> list[PluginEntry]:
    """The entries that FLYTE_WEBAPI_PLUGINS names: ids of the server's own, dotted paths (`package.module.ENTRY`), or
    names of entry points in the group `flyte.webapi`. Raises `CatalogError`."""
    own = {entry.id: entry for entry in builtin}
    return [own[name] if name in own else _found(name, sorted(own)) for name in names]


def _found(name: str, own: Sequence[str]) -> PluginEntry:
    points = list(entry_points(group=ENTRY_POINTS, name=name))
    try:
        found = points[0].load() if points else _by_path(name)
    except Exception as error:  # whatever the plugin's module does when it is imported
        raise CatalogError(f"{name}: can't be imported ({type(error).__name__}: {error})") from error
    if found is None:
        raise CatalogError(f"{name}: there is no such plugin; the server's own are {', '.join(own)}")
    if not isinstance(found, PluginEntry):
        raise CatalogError(f"{name}: is no PluginEntry")
    return found


def _by_path(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute) if module else None


def configured(entries: Iterable[PluginEntry], lines: Sequence[str], known: Iterable[str]) -> list[PluginEntry]:
    """The entries with lines such as `webapi.HttpJob.caching.resyncInterval=10s` laid over their configurations.

    Lines for plugins that are `known` but not hosted are passed over. Raises `CatalogError`.
    """
    found = {entry.id: entry for entry in entries}
    passed_over = set(known) - set(found)
    for line in lines:
        name, _, value = (part.strip() for part in line.partition("="))
        plugin_id, path = _split(name, [*found, *passed_over])
        if plugin_id in found:
            found[plugin_id] = _set(found[plugin_id], path, name, value)
    return list(found.values())


def _split(name: str, ids: Iterable[str]) -> tuple[str, list[str]]:
    for plugin_id in ids:
        if name.startswith(f"{PREFIX}.{plugin_id}."):
            return plugin_id, name.removeprefix(f"{PREFIX}.{plugin_id}.").split(".")
    raise CatalogError(f"{name}: there is no plugin of this name")


def _set(entry: PluginEntry, path: list[str], name: str, value: str) -> PluginEntry:
    try:
        return replace(entry, config=laid_over(entry.config, path, value))
    except ValueError as error:
        raise CatalogError(f"{name}: {error}") from None


def config_lines(text: str) -> list[str]:
    """The lines that count of a configuration: not the empty ones, nor those that begin with `#`."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
