"""Bodies of requests: how large they may be, and what is read from them."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_header_parameters

from flyte_site.rest.documents import DocumentError, TextPlaces, decode_text, parse_json, parse_yaml
from flyte_site.rest.media import JSON, YAML_TYPES
from flyte_site.rest.problems import InputError, Problem, bad_input

# What multipart adds around a value: boundaries, part headers, a description.
MULTIPART_ALLOWANCE = 64 * 1024
# A caller that is still sending sees the answer only when it is done: this much more is read and thrown away.
DRAIN_BYTES = 64 * 1024 * 1024


class BodySizeMiddleware:
    """Refuses with 413 what is larger than its path takes, before anything is read into memory."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        limit = body_limit(request.path)
        length = int(request.META.get("CONTENT_LENGTH") or 0)
        if length <= limit:
            return self.get_response(request)
        drain(request, min(length, DRAIN_BYTES))
        return Problem(413, f"the body has {length} bytes; {limit} are taken here").response()


def body_limit(path: str) -> int:
    """Bytes that a request to `path` may carry."""
    if path.startswith(("/v1/datastore/", "/admin/datastore/")):
        return int(settings.FLYTE_MAX_DATASTORE_VALUE_BYTES) + MULTIPART_ALLOWANCE
    return int(settings.FLYTE_MAX_BODY_BYTES)


def drain(request: HttpRequest, size: int) -> None:
    while size > 0 and (chunk := request.read(min(size, 65536))):
        size -= len(chunk)


def whole_body(request: HttpRequest) -> bytes:
    """The body's bytes. Raises `Problem` 400 where the caller went away in the middle: half of it may look whole."""
    body: bytes = request.body
    if len(body) < int(request.META.get("CONTENT_LENGTH") or 0):
        raise Problem(400, "the body ends before its end")
    return body


def media_type(request: HttpRequest) -> tuple[str, dict[str, str]]:
    """The content type in lower case and its parameters; ('', {}) where none was sent."""
    sent = request.META.get("CONTENT_TYPE", "")
    if sent == JSON:
        return JSON, {}
    kind, parameters = parse_header_parameters(sent)
    return kind.lower(), parameters


def read_document(request: HttpRequest, text_places: TextPlaces | None = None, *, unique_keys: bool = False) -> Any:
    """The value that the body holds: YAML where its content type says so, else JSON, as the original takes it.

    `text_places` says where YAML means text (see `documents.TextPlaces`). Raises `Problem` 400.
    """
    text, is_yaml = read_text(request)
    if not text.strip():
        raise bad_input({"path": "", "message": "the body is empty"})
    try:
        if is_yaml:
            return parse_yaml(text, text_places, unique_keys=unique_keys)
        return parse_json(text, unique_keys=unique_keys)
    except DocumentError as error:
        if not is_yaml:
            error.message += _content_type_hint(media_type(request)[0])
        raise bad_input(located(error)) from None


def _content_type_hint(kind: str) -> str:
    """What to say to someone who sends YAML and has not said so: the most common slip with curl."""
    if "json" in kind:
        return ""
    return f" (the content type is {kind[:60] or 'missing'}; for YAML send 'content-type: {YAML_TYPES[0]}')"


def read_text(request: HttpRequest) -> tuple[str, bool]:
    """The body as text, and whether it is YAML."""
    kind, parameters = media_type(request)
    try:
        text = decode_text(whole_body(request), parameters.get("charset", "utf-8"))
    except DocumentError as error:
        raise bad_input(located(error)) from None
    return text.removeprefix("\ufeff"), kind in YAML_TYPES


def located(error: DocumentError, path: str = "") -> InputError:
    """A reading error in the shape of the API's errors."""
    found: InputError = {"path": path, "message": error.message}
    if error.line:
        found |= {"line": error.line, "column": error.column}
    return found
