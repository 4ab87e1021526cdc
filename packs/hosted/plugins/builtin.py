"""The built-in plugins."""

from packs.hosted.plugin_api.interfaces import PluginEntry
from packs.hosted.plugins import approval, http_job, http_request, wait_until


def builtin_entries(allowed_hosts: str) -> list[PluginEntry]:
    """Return all built-in entries. Plugins that make HTTP calls may call only these
    hosts (FLYTE_WEBAPI_ALLOWED_HOSTS).
    """
    http_entries = [http_request.build_entry(allowed_hosts), http_job.build_entry(allowed_hosts)]
    return [wait_until.ENTRY, approval.ENTRY, *http_entries]
