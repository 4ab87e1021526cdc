"""Which paths are the console's; all others are the API's or files."""

from django.http import HttpRequest

PREFIX = "/admin/"


def is_console(request: HttpRequest) -> bool:
    """Whether a person with a browser is meant to be at the other end."""
    return request.path.startswith(PREFIX) or request.path == PREFIX.rstrip("/")
