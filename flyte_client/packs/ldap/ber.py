"""The encoding of LDAP messages: BER with definite lengths (RFC 4511, section 5.1)."""

from collections.abc import Iterator

BOOLEAN, INTEGER, OCTETS, ENUMERATED, SEQUENCE, SET = 0x01, 0x02, 0x04, 0x0A, 0x30, 0x31
MAX_LENGTH_BYTES = 4


class BerError(Exception):
    """Bytes that are not valid BER for LDAP."""


def encode_element(tag: int, *contents: bytes) -> bytes:
    """Encode an element with the concatenated contents."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content


def encode_int(value: int, tag: int = INTEGER) -> bytes:
    return encode_element(tag, value.to_bytes(value.bit_length() // 8 + 1, signed=True))


def encode_octets(text: str | bytes, tag: int = OCTETS) -> bytes:
    return encode_element(tag, text.encode() if isinstance(text, str) else text)


def encode_bool(value: bool, tag: int = BOOLEAN) -> bytes:
    return encode_element(tag, b"\xff" if value else b"\x00")


def read_header(data: bytes, offset: int = 0) -> tuple[int, int, int] | None:
    """Return tag, start and end of the contents of the element at `offset`; None if the header is incomplete."""
    if len(data) < offset + 2:
        return None
    tag, first = data[offset], data[offset + 1]
    if tag & 0x1F == 0x1F:
        raise BerError("multi-byte tag")
    if first < 0x80:
        return tag, offset + 2, offset + 2 + first
    count = first & 0x7F
    if not 0 < count <= MAX_LENGTH_BYTES:
        raise BerError("indefinite or too long length")
    start = offset + 2 + count
    if len(data) < start:
        return None
    return tag, start, start + int.from_bytes(data[offset + 2 : start])


def iter_elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and contents of each element in `data`. Raises `BerError` for a truncated element."""
    offset = 0
    while offset < len(data):
        header = read_header(data, offset)
        if header is None or len(data) < header[2]:
            raise BerError("truncated element")
        tag, start, offset = header
        yield tag, data[start:offset]


def decode_int(content: bytes) -> int:
    if not 0 < len(content) <= 8:
        raise BerError("empty or too large number")
    return int.from_bytes(content, signed=True)
