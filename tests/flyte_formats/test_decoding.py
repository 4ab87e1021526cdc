"""Decoding of text with a byte order mark, a declared encoding, or neither."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_formats.decoding import decode_text, find_codec, parse_charset

pytestmark = pytest.mark.unit

TEXT = "Grüße, 日本 🚀"


@pytest.mark.parametrize(
    ("mark", "codec"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@pytest.mark.parametrize("charset", ["", "utf-8", "iso-8859-1", "unknown"])
def test_a_byte_order_mark_decides_and_is_removed(mark: bytes, codec: str, charset: str) -> None:
    assert decode_text(mark + TEXT.encode(codec), charset) == TEXT


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        (TEXT.encode(), "", TEXT),
        (TEXT.encode(), "utf-8", TEXT),
        (TEXT.encode(), "UTF8", TEXT),
        (TEXT.encode(), "us-ascii", TEXT),
        (TEXT.encode(), "x-unknown", TEXT),
        (TEXT.encode(), "utf-7", TEXT),
        ("Grüße".encode("latin-1"), "iso-8859-1", "Grüße"),
        ("Grüße".encode("latin-1"), "", "Grüße"),
        ("Grüße".encode("latin-1"), "utf-8", "Grüße"),
        (b"\x80 5 \x96 \x93ok\x94", "", "€ 5 – “ok”"),
        (b"\x80 5 \x96 \x93ok\x94", "ISO-8859-1", "€ 5 – “ok”"),
        ("Привет".encode("koi8-r"), "KOI8-R", "Привет"),
        ("Привет".encode("cp1251"), "windows-1251", "Привет"),
        ("日本語".encode("shift_jis"), "Shift_JIS", "日本語"),
        ("①㈱".encode("cp932"), "shift_jis", "①㈱"),
        ("日本語".encode("iso2022_jp"), "ISO-2022-JP", "日本語"),
        ("한국어".encode("euc_kr"), "ks_c_5601-1987", "한국어"),
        ("中文镕".encode("gb18030"), "gb2312", "中文镕"),
        ("ไทย".encode("cp874"), "windows-874", "ไทย"),
        ("é".encode("utf-16-le"), "utf-16le", "é"),
        (b"", "utf-8", ""),
        (b"\xef\xbb\xbf", "", ""),
    ],
)
def test_the_declared_encoding_comes_before_utf8_and_windows_1252(data: bytes, charset: str, text: str) -> None:
    assert decode_text(data, charset) == text
    assert decode_text(data, charset, errors="strict") == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Grüße und Küsse".encode()[:-1] + b"\xc3", "Grüße und Küss\ufffd"),  # cut within a character
        ("日本語".encode() + b"\xff", "日本語\ufffd"),
        (b"a\x00b\xff", "a\x00b\ufffd"),  # binary
        (b"x\x81y", "x\ufffdy"),  # undefined in Windows-1252, too
        (codecs.BOM_UTF16_LE + b"\x00", "\ufffd"),
    ],
)
def test_text_that_is_damaged_has_replacement_characters(data: bytes, text: str) -> None:
    assert decode_text(data) == text
    with pytest.raises(UnicodeDecodeError):
        decode_text(data, errors="strict")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ('<?xml version="1.0" encoding="windows-1251"?><a>Да</a>', "Да"),
        ("\n  <?xml version='1.0' encoding='KOI8-R' standalone='yes'?><a>Да</a>", "Да"),
        ('<!doctype html><html><head><meta charset="windows-1251"></head>Да', "Да"),
        ('<html><meta http-equiv="Content-Type" content="text/html; charset=windows-1251">Да', "Да"),
    ],
)
def test_markup_declares_its_own_encoding(data: str, text: str) -> None:
    codec = "koi8-r" if "KOI8" in data else "cp1251"
    assert text in decode_text(data.encode(codec))
    assert text in decode_text(data.encode(), "utf-8")
    assert text in decode_text(codecs.BOM_UTF8 + data.encode())


def test_markup_in_ascii_that_declares_utf16_is_utf8() -> None:
    assert decode_text('<?xml version="1.0" encoding="UTF-16"?><a>é</a>'.encode()).endswith("<a>é</a>")


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/plain; charset=utf-8", "utf-8"),
        ('text/plain;charset="ISO-8859-1"; format=flowed', "ISO-8859-1"),
        ("text/plain; format=flowed; CHARSET = 'utf-8'", "utf-8"),
        ("application/json", ""),
        ("text/plain; charset=", ""),
        ("", ""),
    ],
)
def test_the_charset_is_read_from_the_content_type(content_type: str, charset: str) -> None:
    assert parse_charset(content_type) == charset


@pytest.mark.parametrize(
    "charset",
    ["utf-7", "punycode", "idna", "unicode_escape", "rot13", "zlib", "hex", "undefined", "", "é", "a\0", "a b"],
)
def test_encodings_that_are_slow_or_not_of_text_are_not_supported(charset: str) -> None:
    assert find_codec(charset) is None


@given(
    st.binary(max_size=200), st.sampled_from(["", "utf-8", "utf-16", "cp1252", "shift_jis", "iso2022_jp", "hz", "x"])
)
def test_any_bytes_are_decoded_to_text_that_can_be_encoded(data: bytes, charset: str) -> None:
    assert isinstance(decode_text(data, charset).encode(), bytes)
