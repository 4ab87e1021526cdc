"""The packs that this server hosts by its settings, and the work of its workers for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone

from flyte_site.auth.activity_log import SERVER_ACTOR
from flyte_site.core.runtime import process_wide
from packs import registry
from packs.hosted import resources
from packs.hosted.catalog import Catalog, apply_config, load_entries, parse_config_lines
from packs.hosted.plugin_api.interfaces import PluginEntry
from packs.hosted.plugins.builtin import builtin_entries
from packs.hosted.plugins.file_secrets import FileSecretManager
from packs.hosted.reconciler import Reconciler, hosted_lease_seconds
from packs.hosted.runtime import PluginRuntime
from packs.hosted.ssrf_guard import AllowedHosts
from packs.hosted.transitions import ResultSink
from packs.models import Pack
from packs.queue.leases import extend_leases

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class HostedRegistry:
    """The hosted plugins of this process."""

    catalog: Catalog
    runtimes: Mapping[str, PluginRuntime]

    def find_runtime(self, pack_name: str, task_type: str) -> PluginRuntime | None:
        """Find the runtime of the plugin for a command of a hosted pack."""
        entry = self.catalog.find_entry(pack_name, task_type)
        return self.runtimes[entry.id] if entry else None

    def reconcile(self, plugin_id: str, sink: ResultSink) -> int:
        """Run a round for a plugin, unless one is running in this process; return the amount of work done."""
        runtime = self.runtimes[plugin_id]
        if not runtime.round_lock.acquire(blocking=False):
            return 0
        try:
            return Reconciler(runtime, ensure_registered(runtime.entry), self.find_runtime, sink).run()
        finally:
            try:
                runtime.counters.flush()
            finally:
                runtime.round_lock.release()

    def run_upkeep(self) -> int:
        """Keep packs registered, extend leases, and find ended attempts; return the number of resources to delete."""
        now = timezone.now()
        release_unhosted_packs(self.runtimes)
        for runtime in self.runtimes.values():
            registry.mark_seen(ensure_registered(runtime.entry))
        ids = list(self.runtimes)
        extend_leases(resources.find_leased_actions(ids), hosted_lease_seconds())
        return resources.cancel_orphaned(ids, now)


def get_hosted_registry() -> HostedRegistry:
    """Return the registry for the current settings. Raise `CatalogError`."""
    return _build_registry(
        settings.FLYTE_WEBAPI_PLUGINS,
        settings.FLYTE_WEBAPI_CONFIG,
        settings.FLYTE_WEBAPI_ALLOWED_HOSTS,
        settings.FLYTE_WEBAPI_SECRETS_PATH,
        settings.FLYTE_REDIS_URL,
    )


@process_wide
def _build_registry(plugins: str, config: str, allowed_hosts: str, secrets_path: str, redis_url: str) -> HostedRegistry:
    catalog = build_catalog(plugins, config, allowed_hosts)
    secrets = FileSecretManager(secrets_path)
    return HostedRegistry(catalog, {entry.id: PluginRuntime(entry, secrets, redis_url) for entry in catalog.entries})


def build_catalog(plugins: str, config: str, allowed_hosts: str) -> Catalog:
    """Build the catalog of the configured plugins. Raise `CatalogError`."""
    builtin = builtin_entries(allowed_hosts)
    entries = load_entries(parse_plugin_names(plugins), builtin)
    builtin_ids = [entry.id for entry in builtin]
    return Catalog(apply_config(entries, parse_config_lines(config), builtin_ids))


def check_settings() -> None:
    """Record invalid settings as errors of the environment: the server then stops at startup with one line."""
    builtin = builtin_entries(settings.FLYTE_WEBAPI_ALLOWED_HOSTS)
    variable, check_id = "FLYTE_WEBAPI_ALLOWED_HOSTS", "flyte.E083"
    try:
        AllowedHosts.parse(settings.FLYTE_WEBAPI_ALLOWED_HOSTS)
        variable, check_id = "FLYTE_WEBAPI_PLUGINS", "flyte.E082"
        entries = Catalog(load_entries(parse_plugin_names(settings.FLYTE_WEBAPI_PLUGINS), builtin)).entries
        variable, check_id = "FLYTE_WEBAPI_CONFIG", "flyte.E084"
        apply_config(entries, parse_config_lines(settings.FLYTE_WEBAPI_CONFIG), [entry.id for entry in builtin])
    except ValueError as error:
        settings.FLYTE_ENVIRONMENT.error(check_id, variable, str(error))


def parse_plugin_names(plugins: str) -> list[str]:
    """Parse the names in FLYTE_WEBAPI_PLUGINS; `-` means none."""
    return [] if plugins.strip() == "-" else [name.strip() for name in plugins.split(",") if name.strip()]


def ensure_registered(entry: PluginEntry) -> Pack:
    """Return the plugin's pack; register it if it is missing or outdated."""
    values = build_registration(entry)
    existing = Pack.objects.filter(identity=entry.id).first()
    if existing and existing.hosted and (existing.commands, existing.events) == (values["commands"], values["events"]):
        return existing
    log.info("pack_hosted", pack=entry.id)
    return registry.register(values, SERVER_ACTOR, hosted=True)


def build_registration(entry: PluginEntry) -> dict[str, Any]:
    """Return the registration of the plugin as a pack."""
    commands = [{"name": name, "events": list(entry.events.get(name, []))} for name in entry.supported_task_types]
    events = [{"name": name} for name in entry.progress_events]
    return {"name": entry.id, "labels": {}, "commands": commands, "events": events, "links": []}


def release_unhosted_packs(runtimes: Mapping[str, PluginRuntime]) -> None:
    """Turn packs of plugins that are no longer hosted into ordinary packs, which anybody may register."""
    Pack.objects.filter(hosted=True).exclude(identity__in=list(runtimes)).update(hosted=False)
