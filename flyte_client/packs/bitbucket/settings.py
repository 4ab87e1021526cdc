"""The Bitbucket pack's settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.basis import environment as variables
from flyte_client.packs.basis.rest import Access, read_access

REPOSITORY = re.compile(r"(~?[A-Za-z][A-Za-z0-9_.-]{0,127})/([A-Za-z0-9][A-Za-z0-9_.-]{0,127})\Z")
MOST_REPOSITORIES = 200


@dataclass(frozen=True)
class Settings:
    """Pull requests of `repositories`, each `PROJECT/name`, are looked at `every` so many seconds.

    What was told of them is kept in `folder`.
    """

    access: Access
    repositories: tuple[str, ...]
    folder: Path
    every: float


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises `SettingsError` for what can't be used."""
    given = variables.text(environment, "FLYTE_BITBUCKET_REPOSITORIES")
    names = tuple(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
    if len(names) > MOST_REPOSITORIES or not all(REPOSITORY.match(name) for name in names):
        raise SettingsError(
            f"FLYTE_BITBUCKET_REPOSITORIES: must be up to {MOST_REPOSITORIES} repositories, such as WEB/site,WEB/api"
        )
    return Settings(
        access=read_access(environment, "FLYTE_BITBUCKET"),
        repositories=names,
        folder=Path(variables.text(environment, "FLYTE_BITBUCKET_FOLDER", "flyte-bitbucket")).absolute(),
        every=settings.seconds(environment, "FLYTE_BITBUCKET_POLL_SECONDS", 60.0),
    )
