"""Decoding of text from outside, whose encoding may be missing or wrong.

The order is: byte order mark, declared encoding, UTF-8, Windows-1252.
"""

import codecs
import re

# Only these: some of Python's codecs are extremely slow (punycode) or can return invalid text (utf-7).
_SUPPORTED_CODECS = re.compile(
    r"utf-8(-sig)?|utf-(16|32)(-le|-be)?|ascii|iso8859-\d+|cp\d{3,4}|koi8-[rut]|mac-[a-z]+\d?|tis-620|ptcp154|"
    r"big5(hkscs)?|gb2312|gbk|gb18030|euc_jp|euc_kr|johab|shift_jis|iso2022_(jp(_\d|_ext)?|kr)|hz"
)
# The encoding that a label means in practice, which has more characters (https://encoding.spec.whatwg.org/).
_SUPERSETS = {
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
# Labels that Python does not know.
_ALIASES = {
    "iso-8859-8-i": "iso8859-8",
    "utf8mb4": "utf-8",
    "windows-31j": "cp932",
    "windows-874": "cp874",
    "windows-949": "cp949",
    "x-gbk": "gbk",
    "x-mac-roman": "mac-roman",
    "x-sjis": "cp932",
}
_CHARSET = re.compile(r"[!-~]{1,40}")
# The mark of UTF-32 begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHARSET_PARAMETER = re.compile(r";\s*charset\s*=\s*[\"']?([^\s;\"',]+)", re.IGNORECASE)
# The encoding that an XML or HTML document declares at its beginning.
_MARKUP_DECLARATION = re.compile(
    rb"<(?:\?xml\s[^>]{0,200}?encoding|meta\s[^>]{0,200}?charset)\s*=\s*[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE
)
_MARKUP_DECLARATION_BYTES = 1024


def find_codec(charset: str) -> str | None:
    """Return the name of Python's codec for a charset such as `ISO-8859-1`; None if it is not supported."""
    if not _CHARSET.fullmatch(charset):
        return None
    try:
        name = codecs.lookup(_ALIASES.get(charset.lower(), charset)).name
    except LookupError:
        return None
    return name if _SUPPORTED_CODECS.fullmatch(name) else None


def parse_charset(content_type: str) -> str:
    """Return the charset of a content type such as `text/plain; charset=utf-8`, '' without one."""
    match = _CHARSET_PARAMETER.search(content_type)
    return match[1] if match else ""


def describe_decode_error(error: UnicodeDecodeError) -> str:
    """Describe why `decode_text` can't decode a file: `invalid UTF-8`."""
    return "neither UTF-8 nor Windows-1252" if error.encoding == "charmap" else f"invalid {error.encoding.upper()}"


def decode_text(data: bytes, charset: str = "", *, errors: str = "replace") -> str:
    """Decode a text of any origin. `charset` is the declared encoding, '' if it is not known.

    Bytes that are invalid in all encodings become U+FFFD; with `errors="strict"` they raise `UnicodeDecodeError`.
    """
    for mark, codec in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(codec, errors)
    for codec in _list_declared_codecs(data, charset):
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            continue
    return _decode_invalid_utf8(data, errors)


def _list_declared_codecs(data: bytes, charset: str) -> list[str]:
    """Return the declared codec, if it is supported, and UTF-8."""
    codec = find_codec(charset or _find_markup_charset(data))
    # Senders declare ASCII for any text, so it says nothing.
    return ["utf-8"] if codec in (None, "ascii", "utf-8", "utf-8-sig") else [_SUPERSETS.get(codec, codec), "utf-8"]


def _find_markup_charset(data: bytes) -> str:
    if not data[:100].lstrip().startswith(b"<"):
        return ""
    match = _MARKUP_DECLARATION.search(data, 0, _MARKUP_DECLARATION_BYTES)
    # A declaration in ASCII can be read, so the text is not in UTF-16, whatever it declares.
    return match[1].decode() if match and not match[1].lower().startswith((b"utf-16", b"utf-32")) else ""


def _decode_invalid_utf8(data: bytes, errors: str) -> str:
    """Decode as Windows-1252, or as UTF-8 if most characters are valid there, as in a text that was truncated."""
    text = data.decode("utf-8", "replace")
    invalid = text.count("\ufffd")
    valid = sum(1 for character in text if character > "\x7f") - invalid
    is_utf8 = 0 < valid >= invalid or b"\0" in data
    return data.decode("utf-8" if is_utf8 else "cp1252", errors)
