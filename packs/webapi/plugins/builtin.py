"""The plugins that come with the server, by id."""

from packs.webapi.interfaces import PluginEntry
from packs.webapi.plugins import approval, http_job, http_request, wait_until


def builtin_entries(allowed_hosts: str) -> list[PluginEntry]:
    """All of them; those that call somebody may call these hosts (FLYTE_WEBAPI_ALLOWED_HOSTS)."""
    calling = [http_request.entry(allowed_hosts), http_job.entry(allowed_hosts)]
    return [wait_until.ENTRY, approval.ENTRY, *calling]
