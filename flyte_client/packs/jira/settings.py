"""The Jira pack's settings."""

from collections.abc import Mapping

from flyte_client.packs.basis.rest import Access, read_access


def read_settings(environment: Mapping[str, str]) -> Access:
    """Raises `SettingsError` for what can't be used."""
    return read_access(environment, "FLYTE_JIRA")
