"""What this server hosts, by its settings; and the work that its workers do for that."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone

from flyte_site.changes import SERVER
from packs import queue, registry
from packs.models import Pack
from packs.webapi import resources
from packs.webapi.catalog import Catalog, chosen, config_lines, configured
from packs.webapi.hosts import Host
from packs.webapi.interfaces import PluginEntry
from packs.webapi.outbound import AllowedHosts
from packs.webapi.plugins.builtin import builtin_entries
from packs.webapi.rounds import Flows, Round, lease_seconds
from packs.webapi.secrets import SecretFiles

log = structlog.get_logger(__name__)

SEEN_AGAIN = timedelta(minutes=1)


@dataclass(frozen=True)
class Hosting:
    """The hosted plugins of this process."""

    catalog: Catalog
    hosts: Mapping[str, Host]

    def answering(self, pack_name: str, task_type: str) -> Host | None:
        """The host of the plugin that answers a command of a hosted pack."""
        entry = self.catalog.answering(pack_name, task_type)
        return self.hosts[entry.id] if entry else None

    def work(self, plugin_id: str, flows: Flows) -> int:
        """A round for a plugin; nothing where one is under way in this process. How much was done."""
        host = self.hosts[plugin_id]
        if not host.working.acquire(blocking=False):
            return 0
        try:
            return Round(host, pack_of(host.entry), self, flows).run()
        finally:
            try:
                host.counts.flush()
            finally:
                host.working.release()

    def upkeep(self) -> int:
        """Keep packs registered and leases from ending, and find what was cancelled. How much was to be done."""
        now = timezone.now()
        retire(self.hosts)
        for host in self.hosts.values():
            pack = pack_of(host.entry)
            Pack.objects.filter(pk=pack.pk, last_seen__lt=now - SEEN_AGAIN).update(last_seen=now)
        ids = list(self.hosts)
        queue.hold(resources.leased(ids), now, lease_seconds())
        return resources.call_off(ids, now)


def hosting() -> Hosting:
    """What the settings ask for. Raises `CatalogError`."""
    return _hosting(
        settings.FLYTE_WEBAPI_PLUGINS,
        settings.FLYTE_WEBAPI_CONFIG,
        settings.FLYTE_WEBAPI_ALLOWED_HOSTS,
        settings.FLYTE_WEBAPI_SECRETS_PATH,
        settings.FLYTE_REDIS_URL,
    )


@lru_cache(maxsize=8)
def _hosting(plugins: str, config: str, allowed_hosts: str, secrets_path: str, redis_url: str) -> Hosting:
    catalog = read_catalog(plugins, config, allowed_hosts)
    secrets = SecretFiles(secrets_path)
    return Hosting(catalog, {entry.id: Host(entry, secrets, redis_url) for entry in catalog.entries})


def read_catalog(plugins: str, config: str, allowed_hosts: str) -> Catalog:
    """The plugins that the settings name, configured. Raises `CatalogError`."""
    own = builtin_entries(allowed_hosts)
    entries = chosen(plugin_names(plugins), own)
    known = [entry.id for entry in own]
    return Catalog(configured(entries, config_lines(config), known))


def note_faults() -> None:
    """Note what is wrong with the settings among the environment's errors: the start then stops with one line."""
    own = builtin_entries(settings.FLYTE_WEBAPI_ALLOWED_HOSTS)
    variable, check_id = "FLYTE_WEBAPI_ALLOWED_HOSTS", "flyte.E083"
    try:
        AllowedHosts.read(settings.FLYTE_WEBAPI_ALLOWED_HOSTS)
        variable, check_id = "FLYTE_WEBAPI_PLUGINS", "flyte.E082"
        entries = Catalog(chosen(plugin_names(settings.FLYTE_WEBAPI_PLUGINS), own)).entries
        variable, check_id = "FLYTE_WEBAPI_CONFIG", "flyte.E084"
        configured(entries, config_lines(settings.FLYTE_WEBAPI_CONFIG), [entry.id for entry in own])
    except ValueError as error:
        settings.FLYTE_ENVIRONMENT.error(check_id, variable, str(error))


def plugin_names(plugins: str) -> list[str]:
    """The names in FLYTE_WEBAPI_PLUGINS; `-` means none."""
    return [] if plugins.strip() == "-" else [name.strip() for name in plugins.split(",") if name.strip()]


def pack_of(entry: PluginEntry) -> Pack:
    """The plugin's pack, registered where it is not, or not as it is now."""
    values = registration(entry)
    known = Pack.objects.filter(identity=entry.id).first()
    if known and known.hosted and (known.commands, known.events) == (values["commands"], values["events"]):
        return known
    log.info("pack_hosted", pack=entry.id)
    return registry.register(values, SERVER, hosted=True)


def registration(entry: PluginEntry) -> dict[str, Any]:
    """The plugin as a pack that registers."""
    commands = [{"name": one, "events": list(entry.events.get(one, []))} for one in entry.supported_task_types]
    events = [{"name": one} for one in entry.progress_events]
    return {"name": entry.id, "labels": {}, "commands": commands, "events": events, "links": []}


def retire(hosted: Mapping[str, Host]) -> None:
    """Packs of plugins that are hosted no more become packs like others: somebody else may be them now."""
    Pack.objects.filter(hosted=True).exclude(identity__in=list(hosted)).update(hosted=False)
