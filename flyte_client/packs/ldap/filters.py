"""Search filters as people write them (RFC 4515), as LDAP sends them (RFC 4511, section 4.5.1.7)."""

import re
from collections.abc import Mapping

from flyte_client.packs.ldap import ber

LONGEST = 4000
DEEPEST = 20
PLACE = re.compile(r"\{([A-Za-z][A-Za-z0-9_]{0,63})\}")
NAME = r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+"
ITEM = re.compile(rf"(?P<name>(?:{NAME})(?:;[A-Za-z0-9-]+)*)(?P<kind>=|~=|>=|<=)(?P<value>[^()\0]*)\Z")
EXTENSIBLE = re.compile(rf"(?P<name>{NAME})?(?P<dn>:dn)?(?::(?P<rule>{NAME}))?:=(?P<value>[^()\0*]*)\Z")
KINDS = {"=": 0xA3, ">=": 0xA5, "<=": 0xA6, "~=": 0xA8}
AND, OR, NOT, SUBSTRINGS, PRESENT, MATCHING = 0xA0, 0xA1, 0xA2, 0xA4, 0x87, 0xA9


def escaped(value: str) -> str:
    """A value that can mean nothing but itself in a filter."""
    return "".join(f"\\{byte:02x}" if byte in b"*()\\\0" or byte >= 0x80 else chr(byte) for byte in value.encode())


def filled(template: str, values: Mapping[str, str]) -> str:
    """The filter with each `{name}` replaced by that value, escaped. Raises `ValueError` for one without a value."""

    def value(place: re.Match[str]) -> str:
        if place[1] not in values:
            raise ValueError(f"the filter has {{{place[1]}}}, for which there is no value")
        return escaped(values[place[1]])

    return PLACE.sub(value, template)


def encoded(text: str) -> bytes:
    """Raises `ValueError` for what is no filter."""
    if len(text) > LONGEST:
        raise ValueError(f"a filter must have at most {LONGEST} characters")
    found, end = _filter(text, 0, DEEPEST)
    if end != len(text):
        raise _wrong(text, end)
    return found


def _filter(text: str, at: int, depth: int) -> tuple[bytes, int]:
    if text[at : at + 1] != "(" or not depth:
        raise _wrong(text, at)
    sign = text[at + 1 : at + 2]
    if sign in ("&", "|", "!") and sign:
        parts, end = _filters(text, at + 2, depth - 1)
        if not parts or (sign == "!" and len(parts) != 1):
            raise _wrong(text, at)
        tag = {"&": AND, "|": OR, "!": NOT}[sign]
        found = ber.element(tag, *parts)
    else:
        end = text.find(")", at)
        if end < 0:
            raise _wrong(text, at)
        found = _item(text[at + 1 : end], text, at)
    if text[end : end + 1] != ")":
        raise _wrong(text, end)
    return found, end + 1


def _filters(text: str, at: int, depth: int) -> tuple[list[bytes], int]:
    parts = []
    while text[at : at + 1] == "(":
        part, at = _filter(text, at, depth)
        parts.append(part)
    return parts, at


def _item(item: str, text: str, at: int) -> bytes:
    match = ITEM.match(item)
    if match is None:
        return _extensible(item, text, at)
    name, kind, value = match["name"], match["kind"], match["value"]
    if kind == "=" and value == "*":
        return ber.octets(name, PRESENT)
    pieces = [_bytes(piece, text, at) for piece in value.split("*")]
    if len(pieces) == 1:
        return ber.element(KINDS[kind], ber.octets(name), ber.octets(pieces[0]))
    if kind != "=":
        raise _wrong(text, at)
    return _substrings(name, pieces)


def _substrings(name: str, pieces: list[bytes]) -> bytes:
    first, *middle, last = pieces
    parts = [ber.octets(first, 0x80)] if first else []
    parts += [ber.octets(piece, 0x81) for piece in middle if piece]
    parts += [ber.octets(last, 0x82)] if last else []
    return ber.element(SUBSTRINGS, ber.octets(name), ber.element(ber.SEQUENCE, *parts))


def _extensible(item: str, text: str, at: int) -> bytes:
    match = EXTENSIBLE.match(item)
    if match is None or not (match["name"] or match["rule"]):
        raise _wrong(text, at)
    parts = [ber.octets(match["rule"], 0x81)] if match["rule"] else []
    parts += [ber.octets(match["name"], 0x82)] if match["name"] else []
    parts += [ber.octets(_bytes(match["value"], text, at), 0x83)]
    parts += [ber.boolean(True, 0x84)] if match["dn"] else []
    return ber.element(MATCHING, *parts)


def _bytes(value: str, text: str, at: int) -> bytes:
    pieces = value.split("\\")
    found = [pieces[0].encode()]
    for piece in pieces[1:]:
        if not re.match(r"[0-9A-Fa-f]{2}", piece):
            raise _wrong(text, at)
        found += [bytes.fromhex(piece[:2]), piece[2:].encode()]
    return b"".join(found)


def _wrong(text: str, at: int) -> ValueError:
    return ValueError(f"the filter can't be read from its character {at + 1} on: {text[at : at + 40]!r}")
