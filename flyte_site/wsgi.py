"""The WSGI application that gunicorn serves."""

import io
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

# Proxies may send the whole URL as the target (RFC 9112, 3.2.2).
_ABSOLUTE_FORM = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flyte_site.settings")
exit_on_errors(settings.FLYTE_ENVIRONMENT)


def keep_escaped_slashes(environ: Environ) -> None:
    """WSGI hands over a path with `%2F` already turned into `/`, so that a name with a slash looks like two segments.

    Where the server tells the path as it was sent, `%2F` and `%25` stay escaped, and `NameConverter` unescapes them.
    """
    raw_path = _ABSOLUTE_FORM.sub("", environ.get("RAW_URI", "")).split("?", 1)[0]
    if "%2f" not in raw_path.lower() and "%25" not in raw_path:
        return
    escaped_path = raw_path.replace("%25", "%2525").replace("%2F", "%252F").replace("%2f", "%252F")
    environ["PATH_INFO"] = unquote_to_bytes(escaped_path).decode("latin-1")


def buffer_chunked_body(environ: Environ) -> None:
    """Django reads as many bytes as Content-Length says; a chunked body has none, so it is read here first.

    One byte more than any path takes is enough for the size check to refuse it.
    """
    if environ.get("wsgi.input_terminated") and not environ.get("CONTENT_LENGTH"):
        limit = max(settings.FLYTE_MAX_BODY_BYTES, settings.FLYTE_MAX_DATASTORE_VALUE_BYTES) + 1024 * 1024
        body = environ["wsgi.input"].read(limit)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))


def drop_invalid_content_type(environ: Environ) -> None:
    """Django fails before any view where a parameter names a charset that there is not, as in `charset*=klingon''x`."""
    if ";" not in environ.get("CONTENT_TYPE", ""):
        return
    try:
        parse_header_parameters(environ.get("CONTENT_TYPE", ""))
    except ValueError:
        environ["CONTENT_TYPE"] = "application/octet-stream"


def wrap_application(inner: WSGIApplication) -> WSGIApplication:
    def wrapper(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        keep_escaped_slashes(environ)
        buffer_chunked_body(environ)
        drop_invalid_content_type(environ)
        return inner(environ, start_response)

    return wrapper


class UTF8Request(WSGIRequest):
    """Reads queries and forms as UTF-8.

    Django would read them in the charset that the body is said to have, and fail before any view where that is
    `rot13` or another of Python's codecs that is none for text.
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
