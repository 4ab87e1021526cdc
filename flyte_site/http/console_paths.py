"""Which paths are the console's; all others are the API's or files."""

import re

from django.http import HttpRequest

from flyte_site.http.content_types import prefers_html

CONSOLE_PREFIX = "/admin/"
API_PATHS = re.compile(r"/(v1|health|swagger-config)(/|$)")


def is_console_request(request: HttpRequest) -> bool:
    """Whether a person with a browser is meant to be at the other end."""
    return request.path.startswith(CONSOLE_PREFIX) or request.path == CONSOLE_PREFIX.rstrip("/")


def wants_html_page(request: HttpRequest) -> bool:
    """Whether an error is to be a page: everywhere in the console, and where a browser opens what is not the API's."""
    return is_console_request(request) or (not API_PATHS.match(request.path) and prefers_html(request))
