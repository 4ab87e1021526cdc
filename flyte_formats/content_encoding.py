"""Decompression of HTTP bodies by their `Content-Encoding` (RFC 9110, section 8.4)."""

import zlib

MAX_ENCODINGS = 3
# Each member is copied with all that follow, so many small ones would take long.
MAX_MEMBERS = 100
_GZIP = 16 + zlib.MAX_WBITS
_RAW_DEFLATE = -zlib.MAX_WBITS


class ContentEncodingError(ValueError):
    """A content encoding that is not supported."""


class CorruptContentError(ValueError):
    """A body that does not match its content encoding."""


class ContentTooLargeError(ValueError):
    """A body that is larger than allowed when it is decompressed."""


def decompress(body: bytes, content_encoding: str, max_bytes: int) -> bytes:
    """Decompress a body of the encodings gzip and deflate.

    Raises `ContentEncodingError`, `CorruptContentError`, and `ContentTooLargeError` above `max_bytes`.
    """
    names = [name.strip().lower() for name in content_encoding.split(",")]
    encodings = [name for name in names if name not in ("", "identity")]
    if len(encodings) > MAX_ENCODINGS:
        raise ContentEncodingError(f"{len(encodings)} content encodings, at most {MAX_ENCODINGS} are allowed")
    for name in reversed(encodings):
        if name in ("gzip", "x-gzip"):
            body = _inflate_members(body, max_bytes) if body else b""
        elif name == "deflate":
            body = _inflate(body, _choose_deflate_format(body), max_bytes)[0] if body else b""
        else:
            raise ContentEncodingError(f"unsupported content encoding {name[:40]!r}: use gzip, deflate or none")
    return body


def _inflate_members(body: bytes, max_bytes: int) -> bytes:
    """Decompress gzip, which can have several members (RFC 1952); zero bytes after the last are padding."""
    parts: list[bytes] = []
    while body.strip(b"\0") or not parts:
        if len(parts) == MAX_MEMBERS:
            raise CorruptContentError(f"invalid compressed content: more than {MAX_MEMBERS} gzip members")
        part, body = _inflate(body, _GZIP, max_bytes - sum(map(len, parts)))
        parts.append(part)
    return b"".join(parts)


def _choose_deflate_format(body: bytes) -> int:
    """Return the format of `deflate`: with zlib's header, as the standard says, or without, as some senders do."""
    has_header = len(body) >= 2 and body[0] & 0x0F == zlib.DEFLATED and (body[0] << 8 | body[1]) % 31 == 0
    return zlib.MAX_WBITS if has_header else _RAW_DEFLATE


def _inflate(body: bytes, window_bits: int, max_bytes: int) -> tuple[bytes, bytes]:
    """Return the decompressed content and the bytes after it."""
    inflater = zlib.decompressobj(window_bits)
    try:
        content = inflater.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise CorruptContentError(f"invalid compressed content: {error}") from None
    if len(content) > max_bytes:
        raise ContentTooLargeError(f"decompressed content exceeds the limit of {max_bytes} bytes")
    if not inflater.eof:
        raise CorruptContentError("invalid compressed content: the end is missing")
    return content, inflater.unused_data
