"""The encoding that LDAP's messages have: BER with definite lengths (RFC 4511, section 5.1)."""

from collections.abc import Iterator

BOOLEAN, INTEGER, OCTETS, ENUMERATED, SEQUENCE, SET = 0x01, 0x02, 0x04, 0x0A, 0x30, 0x31
LONGEST_LENGTH = 4


class BerError(Exception):
    """These bytes are no BER that LDAP allows."""


def element(tag: int, *contents: bytes) -> bytes:
    """An element with these contents, one after the other."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content


def number(value: int, tag: int = INTEGER) -> bytes:
    return element(tag, value.to_bytes(value.bit_length() // 8 + 1, signed=True))


def octets(text: str | bytes, tag: int = OCTETS) -> bytes:
    return element(tag, text.encode() if isinstance(text, str) else text)


def boolean(value: bool, tag: int = BOOLEAN) -> bytes:
    return element(tag, b"\xff" if value else b"\x00")


def header(data: bytes, at: int = 0) -> tuple[int, int, int] | None:
    """Of the element at `at`: its tag, where its contents begin, where they end; None before all of that is there."""
    if len(data) < at + 2:
        return None
    tag, first = data[at], data[at + 1]
    if tag & 0x1F == 0x1F:
        raise BerError("a tag of several bytes")
    if first < 0x80:
        return tag, at + 2, at + 2 + first
    count = first & 0x7F
    if not 0 < count <= LONGEST_LENGTH:
        raise BerError("a length that is indefinite or too long")
    start = at + 2 + count
    if len(data) < start:
        return None
    return tag, start, start + int.from_bytes(data[at + 2 : start])


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements in `data`, each with its tag and its contents. Raises `BerError` where one is cut off."""
    at = 0
    while at < len(data):
        found = header(data, at)
        if found is None or len(data) < found[2]:
            raise BerError("an element that is cut off")
        tag, start, at = found
        yield tag, data[start:at]


def integer(content: bytes) -> int:
    if not 0 < len(content) <= 8:
        raise BerError("a number that is empty or too large")
    return int.from_bytes(content, signed=True)
