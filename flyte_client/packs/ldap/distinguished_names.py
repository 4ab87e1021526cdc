"""Distinguished names (RFC 4514)."""

import re

DN_PIECE = re.compile(r"\\[0-9A-Fa-f]{2}|\\.|[^\\]", re.DOTALL)
MAX_DN_LENGTH = 8000


def find_attribute_value(attribute: str, dn: str) -> str:
    """Return the first value of an attribute in a DN such as `CN=Admins,OU=Groups,DC=example`, or ''."""
    for part in _split_parts(dn):
        name, _, value = part.partition("=")
        if name.strip().casefold() == attribute.casefold():
            return _unescape(value.strip())
    return ""


def _split_parts(dn: str) -> list[str]:
    parts = [""]
    for piece in DN_PIECE.findall(dn[:MAX_DN_LENGTH]):
        if piece in (",", "+"):
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _unescape(value: str) -> str:
    unescaped = b""
    for piece in DN_PIECE.findall(value):
        if len(piece) == 3:
            unescaped += bytes.fromhex(piece[1:])
        else:
            unescaped += piece.removeprefix("\\").encode() if len(piece) == 2 else piece.encode()
    return unescaped.decode(errors="replace")
