"""The site as a Django app: system checks and the management commands of the server."""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from flyte_site.auth.routes import find_unreachable_rules


class FlyteSiteConfig(AppConfig):
    """App configuration that registers the system checks."""

    name = "flyte_site"

    def ready(self) -> None:
        register(check_environment)
        register(check_policy_routes)


def check_environment(**_: Any) -> list[CheckMessage]:
    """Report each invalid variable under its stable id, and warnings that have not been printed at startup."""
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
    """Warn of each rule of the path policy that no route can match."""
    return [
        Warning(
            f"FLYTE_AUTH_POLICY_PATH: line {rule.line}: no API route matches {rule.pattern.path}",
            hint="use the whole path, such as /v1/packs instead of /packs",
            id="flyte.W011",
        )
        for rule in find_unreachable_rules(settings.FLYTE_AUTH_POLICY)
    ]
