"""Which paths are the console's; all others are the API's or files."""

import re

from django.http import HttpRequest

from flyte_site.rest.media import prefers_html

PREFIX = "/admin/"
API = re.compile(r"/(v1|health|swagger-config)(/|$)")


def is_console(request: HttpRequest) -> bool:
    """Whether a person with a browser is meant to be at the other end."""
    return request.path.startswith(PREFIX) or request.path == PREFIX.rstrip("/")


def wants_page(request: HttpRequest) -> bool:
    """Whether an error is to be a page: everywhere in the console, and where a browser opens what is not the API's."""
    return is_console(request) or (not API.match(request.path) and prefers_html(request))
