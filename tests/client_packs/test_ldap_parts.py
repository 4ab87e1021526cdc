"""The Ldap pack's BER encoding, filters and distinguished names."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_client.packs.ldap import ber
from flyte_client.packs.ldap.distinguished_names import find_attribute_value
from flyte_client.packs.ldap.filters import encode_filter, escape_value, fill_template

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("value", "wire"), [(0, "020100"), (127, "02017f"), (128, "02020080"), (-1, "0201ff"), (65536, "0203010000")]
)
def test_numbers_are_encoded_as_in_x690(value: int, wire: str) -> None:
    assert ber.encode_int(value).hex() == wire
    assert ber.decode_int(ber.encode_int(value)[2:]) == value


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 70_000])
def test_an_element_is_decoded_to_its_content(size: int) -> None:
    content = b"x" * size
    assert list(ber.iter_elements(ber.encode_octets(content) + ber.encode_bool(True))) == [(4, content), (1, b"\xff")]


@pytest.mark.parametrize("wire", ["04", "0402ff", "0480ff0000", "04850000000001ff", "1f0100", "048200"])
def test_an_invalid_element_is_rejected(wire: str) -> None:
    with pytest.raises(ber.BerError):
        list(ber.iter_elements(bytes.fromhex(wire)))


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_rejected(data: bytes) -> None:
    with suppress(ber.BerError):
        assert sum(len(content) for _, content in ber.iter_elements(data)) <= len(data)


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("(objectClass=*)", b"\x87\x0bobjectClass"),
        ("(cn=Ann)", b"\xa3\x09\x04\x02cn\x04\x03Ann"),
        ("(cn=)", b"\xa3\x06\x04\x02cn\x04\x00"),
        (r"(o=Parens R Us \28for all\29)", b"\xa3\x1a\x04\x01o\x04\x15Parens R Us (for all)"),
        ("(age>=21)", b"\xa5\x09\x04\x03age\x04\x0221"),
        ("(age<=21)", b"\xa6\x09\x04\x03age\x04\x0221"),
        ("(cn~=An)", b"\xa8\x08\x04\x02cn\x04\x02An"),
        ("(cn=A*b*c)", b"\xa4\x0f\x04\x02cn\x30\x09\x80\x01A\x81\x01b\x82\x01c"),
        ("(cn=*b*)", b"\xa4\x09\x04\x02cn\x30\x03\x81\x01b"),
        ("(!(a=b))", b"\xa2\x08\xa3\x06\x04\x01a\x04\x01b"),
        ("(&(a=b)(|(c=d)(e=*)))", b"\xa0\x15\xa3\x06\x04\x01a\x04\x01b\xa1\x0b\xa3\x06\x04\x01c\x04\x01d\x87\x01e"),
        ("(cn:dn:2.4.6:=Ann)", b"\xa9\x13\x81\x052.4.6\x82\x02cn\x83\x03Ann\x84\x01\xff"),
        (
            "(memberOf:1.2.840.113556.1.4.1941:=cn=x)",
            b"\xa9\x29\x81\x171.2.840.113556.1.4.1941\x82\x08memberOf\x83\x04cn=x",
        ),
    ],
)
def test_a_filter_is_encoded_as_in_the_standard(text: str, wire: bytes) -> None:
    assert encode_filter(text) == wire


@pytest.mark.parametrize(
    "text",
    [
        *["", "cn=Ann", "(cn=Ann", "(cn=Ann))", "(&)", "(!(a=b)(c=d))", "()", "(=x)", "(a b=c)", "(cn=Ann)(a=b)"],
        *[r"(cn=\2)", r"(cn=\zz)", "(age>=2*)", "(:=x)", "(" * 30 + "a=b" + ")" * 30],
        *["(&" * 25 + "(a=b)" + ")" * 25, f"(a={'b' * 5000})"],
    ],
)
def test_an_invalid_filter_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="filter"):
        encode_filter(text)


@given(st.text(max_size=60))
def test_a_value_in_a_filter_is_always_literal(value: str) -> None:
    safe = value.encode("utf-8", "replace").decode()
    encoded = encode_filter(fill_template("(&(uid={name})(a=b))", {"name": safe}))
    assert encoded == encoded_and(safe.encode())


def encoded_and(value: bytes) -> bytes:
    equal = [
        ber.encode_element(0xA3, ber.encode_octets(name), ber.encode_octets(text))
        for name, text in (("uid", value), ("a", b"b"))
    ]
    return ber.encode_element(0xA0, *equal)


def test_special_characters_in_a_filter_are_escaped() -> None:
    assert escape_value("*)(uid=*") == r"\2a\29\28uid=\2a"
    assert escape_value("a\\b\0é") == r"a\5cb\00\c3\a9"


def test_a_placeholder_without_a_value_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no value for \{mail\} in the filter"):
        fill_template("(mail={mail})", {"name": "x"})


@pytest.mark.parametrize(
    ("dn", "value"),
    [
        ("CN=Admins,OU=Groups,DC=example,DC=com", "Admins"),
        ("cn = Admins , ou=x", "Admins"),
        (r"CN=Smith\, Ann,OU=x", "Smith, Ann"),
        (r"OU=x+CN=J\C3\BCrgen,DC=y", "Jürgen"),
        ("uid=ann,dc=example", ""),
        ("no name at all", ""),
        ("", ""),
    ],
)
def test_the_name_of_a_group_is_parsed_from_its_dn(dn: str, value: str) -> None:
    assert find_attribute_value("cn", dn) == value
