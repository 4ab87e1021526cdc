"""The Bamboo pack's settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.basis import environment as variables
from flyte_client.packs.basis.rest import Access, read_access

PLAN = re.compile(r"[A-Z][A-Z0-9]{0,50}-[A-Z][A-Z0-9]{0,50}\Z")
MOST_PLANS = 200


@dataclass(frozen=True)
class Settings:
    """The builds of `plans` are looked at `every` so many seconds; what was told of them is kept in `folder`."""

    access: Access
    plans: tuple[str, ...]
    folder: Path
    every: float


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises `SettingsError` for what can't be used."""
    given = variables.text(environment, "FLYTE_BAMBOO_PLANS")
    plans = tuple(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
    if len(plans) > MOST_PLANS or not all(PLAN.match(plan) for plan in plans):
        raise SettingsError(f"FLYTE_BAMBOO_PLANS: must be up to {MOST_PLANS} plans' keys, such as WEB-MAIN,WEB-API")
    return Settings(
        access=read_access(environment, "FLYTE_BAMBOO"),
        plans=plans,
        folder=Path(variables.text(environment, "FLYTE_BAMBOO_FOLDER", "flyte-bamboo")).absolute(),
        every=settings.seconds(environment, "FLYTE_BAMBOO_POLL_SECONDS", 30.0),
    )
