"""Paths of the console; all others belong to the API or are static files."""

import re

from django.http import HttpRequest

from flyte_site.http.content_types import prefers_html

CONSOLE_PREFIX = "/admin/"
API_PATHS = re.compile(r"/(v1|health|swagger-config)(/|$)")


def is_console_request(request: HttpRequest) -> bool:
    """Return True for a path of the console."""
    return request.path.startswith(CONSOLE_PREFIX) or request.path == CONSOLE_PREFIX.rstrip("/")


def wants_html_page(request: HttpRequest) -> bool:
    """Return True if errors must be pages: in the console, and for browsers on paths outside the API."""
    return is_console_request(request) or (not API_PATHS.match(request.path) and prefers_html(request))
