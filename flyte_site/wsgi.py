"""The WSGI application that gunicorn serves."""

import os
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

from flyte_site.core.environment import exit_on_errors

Environ = dict[str, Any]
WSGIApplication = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

# A proxy can send the whole URL as the request target (RFC 9112, 3.2.2).
_ABSOLUTE_FORM = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flyte_site.settings")
exit_on_errors(settings.FLYTE_ENVIRONMENT)


def keep_escaped_slashes(environ: Environ) -> None:
    """Keep `%2F` and `%25` of the path escaped; `NameConverter` unescapes them later.

    WSGI passes the path unescaped, so a name with a slash would look like two segments. This needs gunicorn's RAW_URI.
    """
    raw_path = _ABSOLUTE_FORM.sub("", environ.get("RAW_URI", "")).split("?", 1)[0]
    if "%2f" not in raw_path.lower() and "%25" not in raw_path:
        return
    escaped_path = raw_path.replace("%25", "%2525").replace("%2F", "%252F").replace("%2f", "%252F")
    environ["PATH_INFO"] = unquote_to_bytes(escaped_path).decode("latin-1")


def drop_invalid_content_type(environ: Environ) -> None:
    """Replace a Content-Type with an unknown charset (`charset*=klingon''x`): Django would fail before any view."""
    if ";" not in environ.get("CONTENT_TYPE", ""):
        return
    try:
        parse_header_parameters(environ.get("CONTENT_TYPE", ""))
    except ValueError:
        environ["CONTENT_TYPE"] = "application/octet-stream"


def wrap_application(inner: WSGIApplication) -> WSGIApplication:
    """Wrap Django's application to fix the environment of each request first."""

    def wrapper(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        keep_escaped_slashes(environ)
        drop_invalid_content_type(environ)
        return inner(environ, start_response)

    return wrapper


class UTF8Request(WSGIRequest):
    """A request whose query and form are always UTF-8.

    Django would decode them with the charset of the Content-Type, and fail before any view if it names a Python codec
    that is not for text, such as `rot13`.
    """

    @property
    def encoding(self) -> None:
        return None

    @encoding.setter
    def encoding(self, charset: str) -> None:
        pass


handler = get_wsgi_application()
handler.request_class = UTF8Request
application = wrap_application(handler)
