"""The Git pack's settings."""

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.common import environment as variables
from flyte_client.packs.common.configuration import ConfigSection, check_unique_names, read_sections
from flyte_formats.characters import has_control_characters

REPOSITORY_KEYS = ("name", "url", "branches", "tags", "token", "user")
# `ext::`, which runs programs, is never allowed; unencrypted protocols only if configured.
DEFAULT_PROTOCOLS = ("https", "ssh")
ALLOWED_PROTOCOLS = ("https", "ssh", "http", "git", "file")
MAX_REPOSITORIES = 500
HOST_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*\Z")


@dataclass(frozen=True)
class WatchedRepository:
    """A repository, and the patterns of the watched branches and tags."""

    name: str
    url: str
    branches: tuple[str, ...]
    tags: tuple[str, ...]
    user: str = ""
    token: str = field(default="", repr=False)

    def matches_ref(self, ref: str) -> bool:
        """Return True if events are sent for a ref such as `refs/heads/main`."""
        for prefix, patterns in (("refs/heads/", self.branches), ("refs/tags/", self.tags)):
            if ref.startswith(prefix):
                return any(fnmatch.fnmatchcase(ref.removeprefix(prefix), pattern) for pattern in patterns)
        return False


@dataclass(frozen=True)
class GitSettings:
    """Settings; `timeout` is in seconds, `max_commits` is the limit of commits in one event."""

    repositories: tuple[WatchedRepository, ...]
    folder: Path
    poll_seconds: float
    timeout: float
    max_commits: int
    protocols: tuple[str, ...]


def read_settings(environment: Mapping[str, str]) -> GitSettings:
    """Read the settings. Raises `SettingsError` for invalid ones."""
    protocols = _read_protocols(environment)
    repositories = [
        (section, _parse_repository(section, protocols, environment))
        for section in read_sections(environment, "FLYTE_GIT", "repositories", REPOSITORY_KEYS, MAX_REPOSITORIES)
    ]
    check_unique_names([(section, repository.name) for section, repository in repositories])
    return GitSettings(
        repositories=tuple(repository for _, repository in repositories),
        folder=Path(variables.read_text(environment, "FLYTE_GIT_FOLDER", "flyte-git")).absolute(),
        poll_seconds=settings.read_seconds(environment, "FLYTE_GIT_POLL_SECONDS", 60.0),
        timeout=settings.read_seconds(environment, "FLYTE_GIT_TIMEOUT", 120.0),
        max_commits=variables.read_int(environment, "FLYTE_GIT_COMMITS", 20, 1, 200),
        protocols=protocols,
    )


def _read_protocols(environment: Mapping[str, str]) -> tuple[str, ...]:
    value = variables.read_text(environment, "FLYTE_GIT_PROTOCOLS", ",".join(DEFAULT_PROTOCOLS))
    protocols = tuple(part.strip() for part in value.split(",") if part.strip())
    if not protocols or not set(protocols) <= set(ALLOWED_PROTOCOLS):
        raise SettingsError(
            f"FLYTE_GIT_PROTOCOLS: invalid value {value!r}, must be a list of {','.join(ALLOWED_PROTOCOLS)}"
        )
    return protocols


def _parse_repository(
    section: ConfigSection, protocols: tuple[str, ...], environment: Mapping[str, str]
) -> WatchedRepository:
    url = _parse_url(section, protocols)
    token = section.get_secret("token", environment) if section.has_value("token") else ""
    if token and not url.startswith(("https:", "http:")):
        raise section.setting_error("token", "only allowed with https")
    return WatchedRepository(
        name=section.get_name("name"),
        url=url,
        branches=section.get_texts("branches", ("*",)),
        tags=section.get_texts("tags", ("*",)),
        user=section.get_name("user", "git"),
        token=token,
    )


def _parse_url(section: ConfigSection, protocols: tuple[str, ...]) -> str:
    url = section.get_text("url")
    try:
        parts = urlsplit(url)
        host, port, password = parts.hostname or "", parts.port, parts.password
    except ValueError:
        raise section.setting_error("url", "invalid address") from None
    if parts.scheme not in protocols or "://" not in url or has_control_characters(url):
        raise section.setting_error("url", f"must start with one of {', '.join(f'{name}://' for name in protocols)}")
    # A host that starts with a dash could be interpreted as an option by git, ssh or their helpers.
    if parts.scheme != "file" and not HOST_PATTERN.match(host) and ":" not in host:
        raise section.setting_error("url", "invalid host name")
    if password or (parts.username and (parts.scheme != "ssh" or parts.username.startswith("-"))) or port == 0:
        raise section.setting_error("url", "a password or token is not allowed here; use `token` to name a variable")
    return url
