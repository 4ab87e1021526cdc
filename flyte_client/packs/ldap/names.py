"""Distinguished names (RFC 4514)."""

import re

PIECE = re.compile(r"\\[0-9A-Fa-f]{2}|\\.|[^\\]", re.DOTALL)
LONGEST = 8000


def value_of(attribute: str, dn: str) -> str:
    """The first value of this attribute in a name such as `CN=Admins,OU=Groups,DC=example`; empty without one."""
    for part in _parts(dn):
        name, _, value = part.partition("=")
        if name.strip().casefold() == attribute.casefold():
            return _unescaped(value.strip())
    return ""


def _parts(dn: str) -> list[str]:
    parts = [""]
    for piece in PIECE.findall(dn[:LONGEST]):
        if piece in (",", "+"):
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _unescaped(value: str) -> str:
    found = b""
    for piece in PIECE.findall(value):
        if len(piece) == 3:
            found += bytes.fromhex(piece[1:])
        else:
            found += piece.removeprefix("\\").encode() if len(piece) == 2 else piece.encode()
    return found.decode(errors="replace")
