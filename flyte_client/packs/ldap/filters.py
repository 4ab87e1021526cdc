"""Encoding of search filters from text (RFC 4515) to LDAP's format (RFC 4511, section 4.5.1.7)."""

import re
from collections.abc import Mapping

from flyte_client.packs.ldap import ber

MAX_FILTER_LENGTH = 4000
MAX_DEPTH = 20
PLACEHOLDER = re.compile(r"\{([A-Za-z][A-Za-z0-9_]{0,63})\}")
ATTRIBUTE_NAME = r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+"
SIMPLE_ITEM = re.compile(rf"(?P<name>(?:{ATTRIBUTE_NAME})(?:;[A-Za-z0-9-]+)*)(?P<kind>=|~=|>=|<=)(?P<value>[^()\0]*)\Z")
EXTENSIBLE_ITEM = re.compile(
    rf"(?P<name>{ATTRIBUTE_NAME})?(?P<dn>:dn)?(?::(?P<rule>{ATTRIBUTE_NAME}))?:=(?P<value>[^()\0*]*)\Z"
)
OPERATOR_TAGS = {"=": 0xA3, ">=": 0xA5, "<=": 0xA6, "~=": 0xA8}
AND, OR, NOT, SUBSTRINGS, PRESENT, EXTENSIBLE_MATCH = 0xA0, 0xA1, 0xA2, 0xA4, 0x87, 0xA9


def escape_value(value: str) -> str:
    """Escape a value for use in a filter."""
    return "".join(f"\\{byte:02x}" if byte in b"*()\\\0" or byte >= 0x80 else chr(byte) for byte in value.encode())


def fill_template(template: str, values: Mapping[str, str]) -> str:
    """Replace each `{name}` in a filter by the escaped value. Raises `ValueError` for a missing value."""

    def replace_placeholder(placeholder: re.Match[str]) -> str:
        if placeholder[1] not in values:
            raise ValueError(f"no value for {{{placeholder[1]}}} in the filter")
        return escape_value(values[placeholder[1]])

    return PLACEHOLDER.sub(replace_placeholder, template)


def encode_filter(text: str) -> bytes:
    """Encode a filter. Raises `ValueError` for invalid syntax."""
    if len(text) > MAX_FILTER_LENGTH:
        raise ValueError(f"filter too long, at most {MAX_FILTER_LENGTH} characters are allowed")
    encoded_filter, end = _encode_filter(text, 0, MAX_DEPTH)
    if end != len(text):
        raise _syntax_error(text, end)
    return encoded_filter


def _encode_filter(text: str, offset: int, depth: int) -> tuple[bytes, int]:
    if text[offset : offset + 1] != "(" or not depth:
        raise _syntax_error(text, offset)
    operator = text[offset + 1 : offset + 2]
    if operator in ("&", "|", "!") and operator:
        parts, end = _encode_filters(text, offset + 2, depth - 1)
        if not parts or (operator == "!" and len(parts) != 1):
            raise _syntax_error(text, offset)
        tag = {"&": AND, "|": OR, "!": NOT}[operator]
        encoded = ber.encode_element(tag, *parts)
    else:
        end = text.find(")", offset)
        if end < 0:
            raise _syntax_error(text, offset)
        encoded = _encode_item(text[offset + 1 : end], text, offset)
    if text[end : end + 1] != ")":
        raise _syntax_error(text, end)
    return encoded, end + 1


def _encode_filters(text: str, offset: int, depth: int) -> tuple[list[bytes], int]:
    parts = []
    while text[offset : offset + 1] == "(":
        part, offset = _encode_filter(text, offset, depth)
        parts.append(part)
    return parts, offset


def _encode_item(item: str, text: str, offset: int) -> bytes:
    match = SIMPLE_ITEM.match(item)
    if match is None:
        return _encode_extensible(item, text, offset)
    name, operator, value = match["name"], match["kind"], match["value"]
    if operator == "=" and value == "*":
        return ber.encode_octets(name, PRESENT)
    pieces = [_unescape_bytes(piece, text, offset) for piece in value.split("*")]
    if len(pieces) == 1:
        return ber.encode_element(OPERATOR_TAGS[operator], ber.encode_octets(name), ber.encode_octets(pieces[0]))
    if operator != "=":
        raise _syntax_error(text, offset)
    return _encode_substrings(name, pieces)


def _encode_substrings(name: str, pieces: list[bytes]) -> bytes:
    first, *middle, last = pieces
    parts = [ber.encode_octets(first, 0x80)] if first else []
    parts += [ber.encode_octets(piece, 0x81) for piece in middle if piece]
    parts += [ber.encode_octets(last, 0x82)] if last else []
    return ber.encode_element(SUBSTRINGS, ber.encode_octets(name), ber.encode_element(ber.SEQUENCE, *parts))


def _encode_extensible(item: str, text: str, offset: int) -> bytes:
    match = EXTENSIBLE_ITEM.match(item)
    if match is None or not (match["name"] or match["rule"]):
        raise _syntax_error(text, offset)
    parts = [ber.encode_octets(match["rule"], 0x81)] if match["rule"] else []
    parts += [ber.encode_octets(match["name"], 0x82)] if match["name"] else []
    parts += [ber.encode_octets(_unescape_bytes(match["value"], text, offset), 0x83)]
    parts += [ber.encode_bool(True, 0x84)] if match["dn"] else []
    return ber.encode_element(EXTENSIBLE_MATCH, *parts)


def _unescape_bytes(value: str, text: str, offset: int) -> bytes:
    pieces = value.split("\\")
    chunks = [pieces[0].encode()]
    for piece in pieces[1:]:
        if not re.match(r"[0-9A-Fa-f]{2}", piece):
            raise _syntax_error(text, offset)
        chunks += [bytes.fromhex(piece[:2]), piece[2:].encode()]
    return b"".join(chunks)


def _syntax_error(text: str, offset: int) -> ValueError:
    return ValueError(f"invalid filter at character {offset + 1}: {text[offset : offset + 40]!r}")
