"""The Jira pack's settings."""

from collections.abc import Mapping

from flyte_client.packs.common.rest_client import RestSettings, read_rest_settings


def read_settings(environment: Mapping[str, str]) -> RestSettings:
    """Read the settings. Raises `SettingsError` for invalid ones."""
    return read_rest_settings(environment, "FLYTE_JIRA")
