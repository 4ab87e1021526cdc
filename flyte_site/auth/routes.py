"""The routes of the API, as the policy and its tests see them."""

from collections.abc import Iterator

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from flyte_site.auth.policy import Policy, Rule
from flyte_site.console.paths import PREFIX


def is_console(path: str) -> bool:
    """Whether this is none of the API's paths: the console knows its users by their sessions, its files are for all."""
    return path.startswith((PREFIX, settings.STATIC_URL)) or path == PREFIX.rstrip("/")


def api_routes() -> list[list[str | None]]:
    """Each route's segments; None is one that may have any name."""
    routes = [f"/{route}" for route in _routes(get_resolver())]
    return [
        [None if segment.startswith("<") else segment for segment in route[1:].split("/")]
        for route in routes
        if not is_console(route)
    ]


def _routes(resolver: URLResolver) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from (str(pattern.pattern) + inner for inner in _routes(pattern))
        elif isinstance(pattern, URLPattern):
            yield str(pattern.pattern)


def rules_without_route(policy: Policy | None) -> list[Rule]:
    """Rules that no request to this API can meet: what they were meant for is for nobody, or goes by another rule."""
    routes = api_routes()
    rules = policy.rules if policy else ()
    return [rule for rule in rules if not any(rule.pattern.match(route) is not None for route in routes)]
