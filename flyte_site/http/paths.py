"""Paths of the API and the console, and names of packs, flows and items as path segments."""

import re
from urllib.parse import quote

from django.http import HttpRequest
from django.urls.converters import StringConverter

from flyte_site.http.content_types import prefers_html

# The characters that RFC 3986 allows unescaped in a path segment, which do not include "/".
SEGMENT_SAFE = "!$&'()*+,;=:@"
CONSOLE_PREFIX = "/admin/"
API_PATHS = re.compile(r"/(v1|health|swagger-config)(/|$)")


def is_console_request(request: HttpRequest) -> bool:
    """Return True for a path of the console."""
    return request.path.startswith(CONSOLE_PREFIX) or request.path == CONSOLE_PREFIX.rstrip("/")


def wants_html_page(request: HttpRequest) -> bool:
    """Return True if errors must be pages: in the console, and for browsers on paths outside the API."""
    return is_console_request(request) or (not API_PATHS.match(request.path) and prefers_html(request))


def unescape_segment(segment: str) -> str:
    """Unescape `%2F` and `%25`, which `flyte_site.wsgi` keeps escaped in paths."""
    return segment.replace("%2F", "/").replace("%25", "%")


class NameConverter(StringConverter):
    """A path segment that holds any name; a `/` in it is sent as `%2F` (see `flyte_site.wsgi`)."""

    def to_python(self, value: str) -> str:
        if "\x00" in value:
            raise ValueError("NUL in a name")  # Django responds with 404; PostgreSQL would raise an error
        return unescape_segment(value)

    def to_url(self, value: str) -> str:
        return quote(value, safe=SEGMENT_SAFE)
