"""Programs whose standard output lacks characters of what they print."""

import io
import json
import sys

import pytest

from flyte_formats.output import format_json, tolerate_output_encoding

pytestmark = pytest.mark.unit

TEXT = "Grüße – 🚀 \ud83d"


def use_output(monkeypatch: pytest.MonkeyPatch, encoding: str) -> io.BytesIO:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding=encoding))
    return buffer


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", r"Gr\xfc\xdfe \u2013 \U0001f680 \ud83d"),
        ("latin-1", r"Grüße \u2013 \U0001f680 \ud83d"),
        ("utf-8", r"Grüße – 🚀 \ud83d"),
    ],
)
def test_characters_that_the_encoding_lacks_are_escaped(
    monkeypatch: pytest.MonkeyPatch, encoding: str, expected: str
) -> None:
    buffer = use_output(monkeypatch, encoding)
    tolerate_output_encoding()
    print(TEXT, flush=True)
    assert buffer.getvalue().decode(encoding) == f"{expected}\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_json_stays_valid_in_each_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    buffer = use_output(monkeypatch, encoding)
    tolerate_output_encoding()
    print(format_json({"text": TEXT, "name": "Grüße"}), flush=True)
    assert json.loads(buffer.getvalue().decode(encoding)) == {"text": TEXT, "name": "Grüße"}


def test_json_has_its_characters_if_the_output_can_encode_them(monkeypatch: pytest.MonkeyPatch) -> None:
    use_output(monkeypatch, "latin-1")
    assert format_json(["Grüße"]) == '["Grüße"]'
    assert format_json(["–"]) == '["\\u2013"]'


def test_an_output_without_an_encoding_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    tolerate_output_encoding()
    assert format_json(["–"]) == '["–"]'
