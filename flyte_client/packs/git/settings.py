"""The Git pack's settings."""

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.basis import environment as variables
from flyte_client.packs.basis.configuration import Section, check_unique, sections

KNOWN = ("name", "url", "branches", "tags", "token", "user")
# What git would run a program for (ext::), or what sends everything in the clear, is only there if it is asked for.
PROTOCOLS = ("https", "ssh")
ALL_PROTOCOLS = ("https", "ssh", "http", "git", "file")
MOST_REPOSITORIES = 500
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*\Z")


@dataclass(frozen=True)
class Repository:
    """What is looked at: branches whose names match one of the patterns, and tags."""

    name: str
    url: str
    branches: tuple[str, ...]
    tags: tuple[str, ...]
    user: str = ""
    token: str = field(default="", repr=False)

    def wants(self, ref: str) -> bool:
        """Whether events are sent for a ref such as `refs/heads/main`."""
        for prefix, patterns in (("refs/heads/", self.branches), ("refs/tags/", self.tags)):
            if ref.startswith(prefix):
                return any(fnmatch.fnmatchcase(ref.removeprefix(prefix), pattern) for pattern in patterns)
        return False


@dataclass(frozen=True)
class Settings:
    """`every` and `timeout` are in seconds, `commits` is how many an event tells of at most."""

    repositories: tuple[Repository, ...]
    folder: Path
    every: float
    timeout: float
    commits: int
    protocols: tuple[str, ...]


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises `SettingsError` for what can't be used."""
    protocols = _protocols(environment)
    found = [
        (section, _repository(section, protocols, environment))
        for section in sections(environment, "FLYTE_GIT", "repositories", KNOWN, MOST_REPOSITORIES)
    ]
    check_unique([(section, repository.name) for section, repository in found])
    return Settings(
        repositories=tuple(repository for _, repository in found),
        folder=Path(variables.text(environment, "FLYTE_GIT_FOLDER", "flyte-git")).absolute(),
        every=settings.seconds(environment, "FLYTE_GIT_POLL_SECONDS", 60.0),
        timeout=settings.seconds(environment, "FLYTE_GIT_TIMEOUT", 120.0),
        commits=variables.whole(environment, "FLYTE_GIT_COMMITS", 20, 1, 200),
        protocols=protocols,
    )


def _protocols(environment: Mapping[str, str]) -> tuple[str, ...]:
    given = variables.text(environment, "FLYTE_GIT_PROTOCOLS", ",".join(PROTOCOLS))
    protocols = tuple(part.strip() for part in given.split(",") if part.strip())
    if not protocols or not set(protocols) <= set(ALL_PROTOCOLS):
        raise SettingsError(f"FLYTE_GIT_PROTOCOLS: is {given!r}, but must be some of {','.join(ALL_PROTOCOLS)}")
    return protocols


def _repository(section: Section, protocols: tuple[str, ...], environment: Mapping[str, str]) -> Repository:
    url = _url(section, protocols)
    token = section.secret("token", environment) if section.has("token") else ""
    if token and not url.startswith(("https:", "http:")):
        raise section.wrong("token", "is for https only")
    return Repository(
        name=section.name("name"),
        url=url,
        branches=section.texts("branches", ("*",)),
        tags=section.texts("tags", ("*",)),
        user=section.name("user", "git"),
        token=token,
    )


def _url(section: Section, protocols: tuple[str, ...]) -> str:
    url = section.text("url")
    try:
        parts = urlsplit(url)
        host, port, password = parts.hostname or "", parts.port, parts.password
    except ValueError:
        raise section.wrong("url", "is no address") from None
    if parts.scheme not in protocols or "://" not in url or not url.isprintable():
        raise section.wrong("url", f"must begin with one of {', '.join(f'{name}://' for name in protocols)}")
    # What begins with a dash could be taken for an option by git, ssh, or a helper of theirs.
    if parts.scheme != "file" and not HOST.match(host) and ":" not in host:
        raise section.wrong("url", "has no host name that can be used")
    if password or (parts.username and (parts.scheme != "ssh" or parts.username.startswith("-"))) or port == 0:
        raise section.wrong("url", "must hold no password or token; `token` names a variable that does")
    return url
