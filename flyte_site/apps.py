"""The site as a Django app: it has the system checks and the command that serves."""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register


class FlyteSiteConfig(AppConfig):
    """Registers the checks of the environment."""

    name = "flyte_site"

    def ready(self) -> None:
        register(check_environment)


def check_environment(**_: Any) -> list[CheckMessage]:
    """Every variable that can't be used, under its stable id; and warnings, unless the start has told them already."""
    found = settings.FLYTE_ENVIRONMENT
    errors: list[CheckMessage] = [Error(str(one), hint=one.hint or None, id=one.check_id) for one in found.errors]
    if found.told:
        return errors
    return errors + [Warning(str(one), hint=one.hint or None, id=one.check_id) for one in found.warnings]
