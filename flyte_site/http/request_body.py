"""Request bodies: size limits, decoding and parsing."""

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_header_parameters

from flyte_site.http.content_types import JSON_TYPE, YAML_TYPES
from flyte_site.http.parsing import DocumentError, StringFields, decode_text, parse_json, parse_yaml
from flyte_site.http.problems import ErrorItem, Problem, invalid_input

# The size that multipart adds to a value: boundaries, part headers, a description.
MULTIPART_OVERHEAD_BYTES = 64 * 1024
# A client that is still sending sees the response only after it has sent all: up to this much is read and discarded.
MAX_DRAIN_BYTES = 64 * 1024 * 1024
RESULT_PATH = re.compile(r"/v1/packs/[^/]+/actions/[^/]+/result")


class BodySizeMiddleware:
    """Middleware that rejects bodies above the limit of their path with 413, before they are read into memory."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        limit, length = get_body_limit(request.path), get_content_length(request)
        if length <= limit.max_bytes:
            return self.get_response(request)
        if limit.is_checked_by_view:
            response = self.get_response(request)
            drain_body(request, min(length, MAX_DRAIN_BYTES))
            return response
        drain_body(request, min(length, MAX_DRAIN_BYTES))
        detail = f"request body of {length} bytes exceeds the limit of {limit.max_bytes} bytes ({limit.setting})"
        return Problem(413, detail).response()


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


def get_content_length(request: HttpRequest) -> int:
    """Return the size of the request body in bytes, as the client announced it; 0 if it did not."""
    return int(request.META.get("CONTENT_LENGTH") or 0)


def format_size(size: int) -> str:
    """Format a size as `17 MiB`, `1.5 KiB` or `300 bytes`, rounded up, so that a size above a limit looks like one."""
    unit, name = (1 << 20, "MiB") if size >= 1 << 20 else (1 << 10, "KiB") if size >= 1 << 10 else (1, "bytes")
    return f"{math.ceil(size * 100 / unit) / 100:g} {name}"


def drain_body(request: HttpRequest, size: int) -> None:
    """Read and discard up to `size` bytes of the body."""
    while size > 0 and (chunk := request.read(min(size, 65536))):
        size -= len(chunk)


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
        raise invalid_input(to_error_item(error)) from None
    return text.removeprefix("\ufeff"), content_type in YAML_TYPES


def to_error_item(error: DocumentError, path: str = "") -> ErrorItem:
    """Convert a parse error to an item of an error response."""
    item: ErrorItem = {"path": path, "message": error.message}
    if error.line:
        item |= {"line": error.line, "column": error.column}
    return item
