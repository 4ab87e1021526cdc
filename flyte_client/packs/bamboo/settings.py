"""The Bamboo pack's settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.common import environment as variables
from flyte_client.packs.common.rest_client import RestSettings, read_rest_settings

PLAN_KEY = re.compile(r"[A-Z][A-Z0-9]{0,50}-[A-Z][A-Z0-9]{0,50}\Z")
MAX_PLANS = 200


@dataclass(frozen=True)
class BambooSettings:
    """Settings; builds of `plans` are polled every `poll_seconds`, and the sent events are recorded in `folder`."""

    rest: RestSettings
    plans: tuple[str, ...]
    folder: Path
    poll_seconds: float


def read_settings(environment: Mapping[str, str]) -> BambooSettings:
    """Read the settings. Raises `SettingsError` for invalid ones."""
    value = variables.read_text(environment, "FLYTE_BAMBOO_PLANS")
    plans = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    if len(plans) > MAX_PLANS or not all(PLAN_KEY.match(plan) for plan in plans):
        raise SettingsError(f"FLYTE_BAMBOO_PLANS: must be up to {MAX_PLANS} plan keys, such as WEB-MAIN,WEB-API")
    return BambooSettings(
        rest=read_rest_settings(environment, "FLYTE_BAMBOO"),
        plans=plans,
        folder=Path(variables.read_text(environment, "FLYTE_BAMBOO_FOLDER", "flyte-bamboo")).absolute(),
        poll_seconds=settings.read_seconds(environment, "FLYTE_BAMBOO_POLL_SECONDS", 30.0),
    )
