"""Encoding of URLs as people write them: with characters that are not ASCII, blanks, and white space around them."""

import re
from urllib.parse import quote

import idna

from flyte_formats.characters import has_control_characters, replace_surrogates
from packs.hosted.plugin_api.errors import UserFailure

# Besides letters, digits and `-._~`, the characters that a URL consists of (RFC 3986); `%` begins an encoded byte.
SAFE_CHARACTERS = "!#$%&'()*+,/:;=?@[]"
_INVALID_IN_AUTHORITY = re.compile(r"[\s\"<>\\^`{|}]")


def encode_url(url: str) -> str:
    """Return the URL in ASCII (RFC 3987, section 3.1). A valid URL stays as it is.

    Raise `UserFailure` with the reason if it can't be encoded.
    """
    url = replace_surrogates(url.strip())
    if has_control_characters(url):
        raise UserFailure("invalid URL: line breaks and other control characters are not allowed")
    scheme, separator, rest = url.partition("://")
    if not separator or not scheme.isascii():
        raise UserFailure(f"invalid URL {url[:100]!r}: must begin with http:// or https://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if _INVALID_IN_AUTHORITY.search(authority):
        raise UserFailure(f"invalid URL: {authority[:100]!r} is not a host")
    try:
        return f"{scheme}://{_encode_authority(authority)}{quote(rest[len(authority) :], safe=SAFE_CHARACTERS)}"
    except UnicodeError as error:
        raise UserFailure(f"invalid URL: {authority[:100]!r} is not a host ({error})") from None


def encode_host(host: str) -> str:
    """Return a host name in ASCII (IDNA 2008). Raise `UnicodeError`."""
    return host if host.isascii() else idna.encode(host, uts46=True).decode()


def _encode_authority(authority: str) -> str:
    userinfo, at_sign, host_and_port = authority.rpartition("@")
    host, colon, port = host_and_port.partition(":")
    if not port.isascii():
        raise UnicodeError("invalid port")
    return f"{quote(userinfo, safe=SAFE_CHARACTERS)}{at_sign}{encode_host(host)}{colon}{port}"
