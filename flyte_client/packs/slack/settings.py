"""The Slack pack's settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.common import environment as variables

DEFAULT_API_URL = "https://slack.com/api"


@dataclass(frozen=True)
class SlackSettings:
    """Settings; `timeout` is for one call, `retry_seconds` is the maximum wait for a rate limit, both in seconds.

    Without `app_token` the pack only sends messages and receives no events.
    """

    api_url: str
    default_channel: str
    timeout: float
    retry_seconds: float
    token: str = field(repr=False)
    app_token: str = field(default="", repr=False)


def read_settings(environment: Mapping[str, str]) -> SlackSettings:
    """Read the settings. Raises `SettingsError` for invalid ones."""
    return SlackSettings(
        api_url=variables.read_url(environment, "FLYTE_SLACK_API_URL", DEFAULT_API_URL),
        default_channel=variables.read_text(environment, "FLYTE_SLACK_DEFAULT_JOIN_CHANNEL"),
        timeout=settings.read_seconds(environment, "FLYTE_SLACK_TIMEOUT", 30.0),
        retry_seconds=settings.read_seconds(environment, "FLYTE_SLACK_WAIT_SECONDS", 60.0),
        token=_read_token(environment, "FLYTE_SLACK_TOKEN", required=True),
        app_token=_read_token(environment, "FLYTE_SLACK_APP_TOKEN", required=False),
    )


def _read_token(environment: Mapping[str, str], name: str, *, required: bool) -> str:
    token = variables.read_secret(environment, name)
    if required and not token:
        raise SettingsError(f"{name}: required; set it to the token of a Slack app's bot, such as xoxb-…")
    if token.startswith("xapp-") == (name == "FLYTE_SLACK_TOKEN") and token:
        raise SettingsError(f"{name}: wrong kind of token; xoxb-… is the bot's, xapp-… is the app's")
    return token
