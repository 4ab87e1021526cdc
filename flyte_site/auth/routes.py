"""The API's routes as lists of path segments, and rules of the path policy that match none of them."""

from collections.abc import Iterator

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from flyte_site.auth.policy import PathPolicy, PolicyRule
from flyte_site.http.paths import CONSOLE_PREFIX


def is_outside_api(path: str) -> bool:
    """Return True for paths of the console, which has sessions, and of static files, which are public."""
    return path.startswith((CONSOLE_PREFIX, settings.STATIC_URL)) or path == CONSOLE_PREFIX.rstrip("/")


def list_api_routes() -> list[list[str | None]]:
    """Return the segments of each API route; None for a variable segment."""
    routes = [f"/{route}" for route in _iter_routes(get_resolver())]
    return [
        [None if segment.startswith("<") else segment for segment in route[1:].split("/")]
        for route in routes
        if not is_outside_api(route)
    ]


def _iter_routes(resolver: URLResolver) -> Iterator[str]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from (str(entry.pattern) + inner for inner in _iter_routes(entry))
        elif isinstance(entry, URLPattern):
            yield str(entry.pattern)


def find_unreachable_rules(policy: PathPolicy | None) -> list[PolicyRule]:
    """Return the rules that match no route of the API, probably because of a mistyped path."""
    routes = list_api_routes()
    rules = policy.rules if policy else ()
    return [rule for rule in rules if not any(rule.pattern.match(route) is not None for route in routes)]
