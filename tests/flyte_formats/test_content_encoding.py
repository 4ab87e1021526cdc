"""Decompression of bodies, within limits."""

import gzip
import zlib

import pytest

from flyte_formats.content_encoding import (
    ContentEncodingError,
    ContentTooLargeError,
    CorruptContentError,
    decompress,
)

pytestmark = pytest.mark.unit

TEXT = b"hello, " * 20


def compress_gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


ZERO_BOMB = compress_gzip(b"\0" * 10_000_000)


def deflate_raw(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (TEXT, ""),
        (TEXT, "identity"),
        (compress_gzip(TEXT), "gzip"),
        (compress_gzip(TEXT), " X-GZIP "),
        (compress_gzip(TEXT[:50]) + compress_gzip(TEXT[50:]), "gzip"),
        (compress_gzip(TEXT) + b"\0" * 10, "gzip"),
        (zlib.compress(TEXT), "deflate"),
        (deflate_raw(TEXT), "deflate"),
        (compress_gzip(zlib.compress(TEXT)), "deflate, gzip"),
    ],
)
def test_a_body_is_decompressed(body: bytes, encoding: str) -> None:
    assert decompress(body, encoding, len(TEXT)) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_an_empty_body_stays_empty(encoding: str) -> None:
    assert decompress(b"", encoding, 10) == b""


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (compress_gzip(TEXT), "gzip"),
        (zlib.compress(TEXT), "deflate"),
        (compress_gzip(TEXT[:100]) + compress_gzip(TEXT[100:]), "gzip"),
        (ZERO_BOMB, "gzip"),
        (compress_gzip(ZERO_BOMB), "gzip, gzip"),
    ],
)
def test_a_body_above_the_limit_is_not_decompressed_completely(body: bytes, encoding: str) -> None:
    with pytest.raises(ContentTooLargeError):
        decompress(body, encoding, len(TEXT) - 1)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"plain", "gzip"),
        (b"plain", "deflate"),
        (compress_gzip(TEXT)[:-9], "gzip"),
        (compress_gzip(TEXT)[:-4] + b"\1\2\3\4", "gzip"),
        (compress_gzip(TEXT) + b"rest", "gzip"),
        (zlib.compress(TEXT)[:-5], "deflate"),
        (compress_gzip(b"") * 200, "gzip"),
    ],
)
def test_a_corrupt_body_is_reported(body: bytes, encoding: str) -> None:
    with pytest.raises(CorruptContentError):
        decompress(body, encoding, 1000)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "compress", "gzip, gzip, gzip, gzip"])
def test_an_encoding_that_is_not_supported_is_reported(encoding: str) -> None:
    with pytest.raises(ContentEncodingError):
        decompress(TEXT, encoding, 1000)
