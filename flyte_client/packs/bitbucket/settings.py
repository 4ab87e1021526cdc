"""The Bitbucket pack's settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.common import environment as variables
from flyte_client.packs.common.rest_client import RestSettings, read_rest_settings

REPOSITORY_PATTERN = re.compile(r"(~?[A-Za-z][A-Za-z0-9_.-]{0,127})/([A-Za-z0-9][A-Za-z0-9_.-]{0,127})\Z")
MAX_REPOSITORIES = 200


@dataclass(frozen=True)
class BitbucketSettings:
    """Settings; pull requests of `repositories`, each `PROJECT/name`, are polled every `poll_seconds`.

    The sent events are recorded in `folder`.
    """

    rest: RestSettings
    repositories: tuple[str, ...]
    folder: Path
    poll_seconds: float


def read_settings(environment: Mapping[str, str]) -> BitbucketSettings:
    """Read the settings. Raises `SettingsError` for invalid ones."""
    value = variables.read_text(environment, "FLYTE_BITBUCKET_REPOSITORIES")
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    if len(names) > MAX_REPOSITORIES or not all(REPOSITORY_PATTERN.match(name) for name in names):
        raise SettingsError(
            f"FLYTE_BITBUCKET_REPOSITORIES: must be up to {MAX_REPOSITORIES} repositories, such as WEB/site,WEB/api"
        )
    return BitbucketSettings(
        rest=read_rest_settings(environment, "FLYTE_BITBUCKET"),
        repositories=names,
        folder=Path(variables.read_text(environment, "FLYTE_BITBUCKET_FOLDER", "flyte-bitbucket")).absolute(),
        poll_seconds=settings.read_seconds(environment, "FLYTE_BITBUCKET_POLL_SECONDS", 60.0),
    )
