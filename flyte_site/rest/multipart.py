"""Multipart form data (RFC 7578), whole or not at all.

Django's own parser takes a body that ends too early for a whole one, and a boundary in the middle of a line for the end
of a part: a value would be cut without a word.
"""

import re
from dataclasses import dataclass

from django.utils.http import parse_header_parameters

MAX_PARTS = 100
MAX_HEADER_BYTES = 16 * 1024


class MultipartError(ValueError):
    """The body is no multipart form data with this boundary."""


@dataclass(frozen=True)
class Part:
    """One part. `filename` is '' where it is no file; `content_type` is as it was sent, '' where none was."""

    name: str
    filename: str
    content_type: str
    data: bytes


def parse_multipart(body: bytes, boundary: str) -> list[Part]:
    """The parts of a body in their order. Raises `MultipartError`."""
    if not 0 < len(boundary) <= 200 or not boundary.isascii():
        raise MultipartError("there is no boundary in its content type")
    # A delimiter stands on a line of its own; the line break before it belongs to it. The first needs none.
    delimiter = re.compile(rb"(?:\A|\r\n)--" + re.escape(boundary.encode()) + rb"(--)?[ \t]*(?=\r\n|\Z)")
    parts: list[Part] = []
    begin = None
    for found in delimiter.finditer(body):
        if begin is not None:
            parts.append(_part(body[begin : found.start()]))
        if found[1]:
            return parts
        if len(parts) >= MAX_PARTS:
            raise MultipartError(f"it has more than {MAX_PARTS} parts")
        begin = found.end()
    raise MultipartError("it ends without its last boundary" if begin is not None else "its boundary is not in it")


def _part(text: bytes) -> Part:
    head, separator, data = text.partition(b"\r\n\r\n")
    if not separator or len(head) > MAX_HEADER_BYTES:
        raise MultipartError("a part has no headers, or too many")
    headers = _headers(head)
    try:
        kind, parameters = parse_header_parameters(headers.get("content-disposition", ""))
    except ValueError as error:
        raise MultipartError(f"a part's name can't be read: {error}") from None
    if kind != "form-data":
        raise MultipartError("a part is no form data")
    name, filename = parameters.get("name", ""), parameters.get("filename", "")
    return Part(name, filename, headers.get("content-type", ""), data)


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("utf-8", "replace").split("\r\n")
    pairs = [line.partition(":") for line in lines if ":" in line]
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
