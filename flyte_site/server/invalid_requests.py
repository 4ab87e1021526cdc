"""Responses to requests that are not valid HTTP, or that the server can't accept, in the format of all other errors."""

import json
from http import HTTPStatus

from gunicorn.http.errors import (
    ConfigurationProblem,
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)

from flyte_site.server.connections import MAX_REQUEST_LINE_BYTES

MAX_HEADER_FIELDS = 100
MAX_DETAIL_LENGTH = 300


def build_problem(status: int, detail: str) -> bytes:
    """Build a whole response with a problem, for a connection that closes."""
    title = HTTPStatus(status).phrase
    body = json.dumps({"title": title, "status": status, "detail": detail or title}).encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\nContent-Type: application/problem+json; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def describe_invalid_request(error: BaseException, max_head_bytes: int) -> tuple[int, str] | None:
    """Return status and detail for a request that is not valid HTTP; None for other errors."""
    if isinstance(error, LimitRequestLine):
        return 414, f"the request line exceeds the limit of {MAX_REQUEST_LINE_BYTES} bytes"
    if isinstance(error, LimitRequestHeaders):
        return 431, (
            f"the headers exceed the limit of {max_head_bytes} bytes (FLYTE_MAX_HEADER_BYTES) "
            f"or of {MAX_HEADER_FIELDS} headers"
        )
    if isinstance(error, UnsupportedTransferCoding):
        return 501, f"{error}"[:MAX_DETAIL_LENGTH]
    if isinstance(error, ExpectationFailed):
        return 417, f"{error}"[:MAX_DETAIL_LENGTH]
    if isinstance(error, ParseException) and not isinstance(error, ConfigurationProblem):
        return 400, f"invalid request: {error}"[:MAX_DETAIL_LENGTH]
    return None
