"""The site as a Django app: it has the system checks and the command that serves."""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from flyte_site.auth.routes import find_unreachable_rules


class FlyteSiteConfig(AppConfig):
    """Registers the checks of the environment."""

    name = "flyte_site"

    def ready(self) -> None:
        register(check_environment)
        register(check_policy_routes)


def check_environment(**_: Any) -> list[CheckMessage]:
    """Every variable that can't be used, under its stable id; and warnings, unless the start has told them already."""
    environment = settings.FLYTE_ENVIRONMENT
    errors: list[CheckMessage] = [
        Error(str(finding), hint=finding.hint or None, id=finding.check_id) for finding in environment.errors
    ]
    if environment.warnings_printed:
        return errors
    return errors + [
        Warning(str(finding), hint=finding.hint or None, id=finding.check_id) for finding in environment.warnings
    ]


def check_policy_routes(**_: Any) -> list[CheckMessage]:
    """Rules of the path policy that no request can meet."""
    return [
        Warning(
            f"FLYTE_AUTH_POLICY_PATH: line {rule.line}: no route of the API is under {rule.pattern.path}",
            hint="paths are whole: /v1/packs, not /packs",
            id="flyte.W011",
        )
        for rule in find_unreachable_rules(settings.FLYTE_AUTH_POLICY)
    ]
