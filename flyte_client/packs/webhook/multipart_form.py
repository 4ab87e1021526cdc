"""Parsing of `multipart/form-data` (RFC 7578), within limits."""

import base64
from io import BytesIO
from typing import Any

from flyte_client.packs.common.optional_import import require_extra
from flyte_client.packs.webhook.http_messages import RequestBodyError
from flyte_formats.characters import replace_surrogates
from flyte_formats.decoding import decode_text, parse_charset

MAX_PARTS = 100


def parse_multipart(content_type: str, body: bytes) -> dict[str, Any]:
    """Parse a form to names with their value, or with a list of values for repeated names.

    A file is an object like an attachment of the Email pack: `name`, `type`, `size` and `content` in base64. Raises
    `RequestBodyError`.
    """
    with require_extra("webhook"):
        from multipart import (  # type: ignore[import-untyped]  # noqa: PLC0415
            MultipartError,
            MultipartParser,
            ParserLimitReached,
            parse_options_header,
        )
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not boundary:
        raise RequestBodyError(400, "invalid multipart body: boundary not found in Content-Type")
    size = len(body) + 1
    parser = MultipartParser(
        BytesIO(body), boundary, part_limit=MAX_PARTS, spool_limit=size, memory_limit=size, disk_limit=0
    )
    try:
        parts = parser.parts()
    except ParserLimitReached:
        raise RequestBodyError(413, f"too many or too large parts, at most {MAX_PARTS} parts are allowed") from None
    except (MultipartError, ValueError) as error:
        raise RequestBodyError(400, f"invalid multipart body: {str(error)[:200]}") from None
    values_by_name: dict[str, list[Any]] = {}
    for part in parts:
        values_by_name.setdefault(replace_surrogates(part.name), []).append(_read_part(part))
    return {name: values[0] if len(values) == 1 else values for name, values in values_by_name.items()}


def _read_part(part: Any) -> Any:
    if not part.filename:
        return decode_text(part.raw, parse_charset(part.headers.get("Content-Type", "")))
    return {
        "name": replace_surrogates(part.filename),
        "type": part.content_type,
        "size": part.size,
        "content": base64.b64encode(part.raw).decode(),
    }
