"""Request bodies: size limits, decoding and parsing."""

import math
import re
from collections.abc import Callable
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import Any, NamedTuple, cast

from django.conf import settings
from django.core.handlers.wsgi import LimitedStream
from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_header_parameters

from flyte_site.http.content_types import JSON_TYPE, YAML_TYPES
from flyte_site.http.input.parsing import DocumentError, StringFields, decode_text, parse_json, parse_yaml
from flyte_site.http.paths import is_console_request
from flyte_site.http.problems import ErrorItem, Problem, invalid_input

# The size that multipart adds to a value: boundaries, part headers, a description.
MULTIPART_OVERHEAD_BYTES = 64 * 1024
# A body of this size has arrived when a thread handles its request: see `flyte_site.server.connections`.
MAX_SHORT_BODY_BYTES = 16 * 1024
MAX_SPOOL_MEMORY_BYTES = CHUNK_BYTES = 64 * 1024
METHODS_WITH_BODY = ("POST", "PUT", "PATCH")
INCOMPLETE_BODY = "the request body is invalid or incomplete: the client disconnected, or sent too slowly"
# The key in the WSGI environment of a function that closes the connection after the response.
CLOSE_CONNECTION_KEY = "flyte.close_connection"
RESULT_PATH = re.compile(r"/v1/packs/[^/]+/actions/[^/]+/result")


class BodySizeMiddleware:
    """Middleware that receives bodies, and rejects those above the limit of their path with 413.

    It comes after authentication. A body that is being received is in a file, except for the first 64 KiB, so that slow
    clients cost little memory. Bodies of the console are received later, after its own authentication.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if self.has_other_receiver(request) or not has_body(request):
            return self.get_response(request)
        limit = get_body_limit(request.path)
        if get_content_length(request) <= limit.max_bytes:
            if not self.may_send_body(request):
                return self.respond_without_body(request)
            with SpooledTemporaryFile(MAX_SPOOL_MEMORY_BYTES) as spool:
                try:
                    is_received = receive_body(request, spool, limit.max_bytes)
                except Problem as problem:
                    close_connection(request)
                    return problem.response()
                if is_received:
                    return self.get_response(request)
        if limit.is_checked_by_view:
            return self.respond_without_body(request)
        close_connection(request)
        size = describe_body_size(request)
        detail = f"request body of {size} exceeds the limit of {limit.max_bytes} bytes ({limit.setting})"
        return Problem(413, detail).response()

    def respond_without_body(self, request: HttpRequest) -> HttpResponse:
        close_connection(request)
        cast(Any, request)._stream = LimitedStream(BytesIO(), 0)
        return self.get_response(request)

    def has_other_receiver(self, request: HttpRequest) -> bool:
        return is_console_request(request)

    def may_send_body(self, request: HttpRequest) -> bool:
        return True


class ConsoleBodySizeMiddleware(BodySizeMiddleware):
    """Middleware that receives bodies of the console: without a sign-in only short ones, as of the sign-in form.

    Views handle a request with any other body as if the form were empty, so that its CSRF token is missing.
    """

    def has_other_receiver(self, request: HttpRequest) -> bool:
        return False

    def may_send_body(self, request: HttpRequest) -> bool:
        return is_body_short(request) or request.user.is_authenticated


class BodyLimit(NamedTuple):
    """The size limit of request bodies, and the setting that it follows from.

    If it `is_checked_by_view`, the view handles the request without reading the body.
    """

    max_bytes: int
    setting: str
    is_checked_by_view: bool = False


def get_body_limit(path: str) -> BodyLimit:
    """Return the size limit of request bodies for this path."""
    if path.startswith(("/v1/datastore/", "/admin/datastore/")):
        max_bytes = int(settings.FLYTE_MAX_DATASTORE_VALUE_BYTES) + MULTIPART_OVERHEAD_BYTES
        return BodyLimit(max_bytes, "FLYTE_MAX_DATASTORE_VALUE_BYTES")
    if RESULT_PATH.fullmatch(path):
        return BodyLimit(int(settings.FLYTE_MAX_RESULT_BYTES), "FLYTE_MAX_RESULT_BYTES", is_checked_by_view=True)
    return BodyLimit(int(settings.FLYTE_MAX_BODY_BYTES), "FLYTE_MAX_BODY_BYTES")


def has_body(request: HttpRequest) -> bool:
    """Return True if the request has a body that a view can use."""
    return request.method in METHODS_WITH_BODY and (is_chunked(request) or get_content_length(request) > 0)


def is_chunked(request: HttpRequest) -> bool:
    """Return True if the end of the body is marked in the body, instead of by a Content-Length."""
    return bool(request.META.get("wsgi.input_terminated")) and not request.META.get("CONTENT_LENGTH")


def is_body_short(request: HttpRequest) -> bool:
    """Return True if the body had arrived before a thread was used for the request."""
    return not is_chunked(request) and get_content_length(request) <= MAX_SHORT_BODY_BYTES


def receive_body(request: HttpRequest, spool: "SpooledTemporaryFile[bytes]", limit: int) -> bool:
    """Receive the body into the file, and let the request read it from there; return False if it is too large.

    Sets the Content-Length of a chunked body, without which Django reads nothing; of one that is too large it is
    `limit` + 1. Raises `Problem` 400 if the body is invalid or incomplete.
    """
    source = request.META["wsgi.input"] if is_chunked(request) else cast(Any, request)._stream
    size = 0
    while size <= limit and (chunk := _read_chunk(source)):
        size += len(chunk)
        spool.write(chunk)
    if size < get_content_length(request):
        raise Problem(400, "request body is shorter than Content-Length")
    spool.seek(0)
    request.META["CONTENT_LENGTH"] = str(min(size, limit + 1))
    cast(Any, request)._stream = LimitedStream(cast(Any, spool), size)
    return size <= limit


def _read_chunk(source: Any) -> bytes:
    try:
        chunk: bytes = source.read(CHUNK_BYTES)
    except Exception:  # OSError, or an error of the web server, which commands don't import
        raise Problem(400, INCOMPLETE_BODY) from None
    return chunk


def close_connection(request: HttpRequest) -> None:
    """Close the connection after the response, because the client still sends a body that nobody reads."""
    request.META.get(CLOSE_CONNECTION_KEY, lambda: None)()


def refuse_body(request: HttpRequest) -> None:
    """Leave the body of a rejected request unread. The connection can be used again if the body has arrived."""
    if not is_body_short(request):
        close_connection(request)


def get_content_length(request: HttpRequest) -> int:
    """Return the size of the request body in bytes, as the client announced it; 0 if it did not."""
    return int(request.META.get("CONTENT_LENGTH") or 0)


def describe_body_size(request: HttpRequest) -> str:
    """Return the size of the body as text. Of a chunked body that is too large, only the limit is known."""
    size = get_content_length(request)
    return f"more than {size - 1} bytes" if "HTTP_TRANSFER_ENCODING" in request.META else f"{size} bytes"


def format_size(size: int) -> str:
    """Format a size as `17 MiB`, `1.5 KiB` or `300 bytes`, rounded up, so that a size above a limit looks like one."""
    unit, name = (1 << 20, "MiB") if size >= 1 << 20 else (1 << 10, "KiB") if size >= 1 << 10 else (1, "bytes")
    return f"{math.ceil(size * 100 / unit) / 100:g} {name}"


def read_body(request: HttpRequest) -> bytes:
    """Return the body. Raises `Problem` 400 if the client disconnected early: a part can look like a complete body."""
    body: bytes = request.body
    if len(body) < get_content_length(request):
        raise Problem(400, "request body is shorter than Content-Length")
    return body


def parse_content_type(request: HttpRequest) -> tuple[str, dict[str, str]]:
    """Return the content type in lower case and its parameters; ('', {}) if it is missing."""
    header = request.META.get("CONTENT_TYPE", "")
    if header == JSON_TYPE:
        return JSON_TYPE, {}
    content_type, parameters = parse_header_parameters(header)
    return content_type.lower(), parameters


def parse_body(request: HttpRequest, string_fields: StringFields | None = None, *, unique_keys: bool = False) -> Any:
    """Parse the body: as YAML if its content type is one of YAML_TYPES, else as JSON, like the original server.

    `string_fields` are the fields whose YAML scalars are strings (see `parsing.StringFields`). Raises `Problem` 400.
    """
    text, is_yaml = read_text_body(request)
    if not text.strip():
        raise invalid_input({"path": "", "message": "request body is empty"})
    try:
        if is_yaml:
            return parse_yaml(text, string_fields, unique_keys=unique_keys)
        return parse_json(text, unique_keys=unique_keys)
    except DocumentError as error:
        if not is_yaml:
            error.message += _content_type_hint(parse_content_type(request)[0])
        raise invalid_input(to_error_item(error)) from None


def _content_type_hint(content_type: str) -> str:
    """Build a hint for a sender of YAML without its content type, the most common mistake with curl."""
    if "json" in content_type:
        return ""
    return f" (the content type is {content_type[:60] or 'missing'}; for YAML, send 'content-type: {YAML_TYPES[0]}')"


def read_text_body(request: HttpRequest) -> tuple[str, bool]:
    """Return the body as text, and whether it is YAML. Raises `Problem` 400."""
    content_type, parameters = parse_content_type(request)
    try:
        text = decode_text(read_body(request), parameters.get("charset", "utf-8"))
    except DocumentError as error:
        if encoding := request.headers.get("Content-Encoding", ""):
            error.message = f"unsupported content encoding {encoding[:40]!r}; send the body without it"
        raise invalid_input(to_error_item(error)) from None
    return text.removeprefix("\ufeff"), content_type in YAML_TYPES


def to_error_item(error: DocumentError, path: str = "") -> ErrorItem:
    """Convert a parse error to an item of an error response."""
    item: ErrorItem = {"path": path, "message": error.message}
    if error.line:
        item |= {"line": error.line, "column": error.column}
    return item
