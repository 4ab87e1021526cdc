"""Filters that encode and decode: JSON, Base64, HTML entities, SHA-256."""

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.template import RenderContext, Secret, compile_value, make_secret
from tests.template.rendering import ERROR, render

pytestmark = pytest.mark.unit

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(JSON_VALUES)
def test_any_value_is_the_same_after_tojson_and_fromjson(value: Any) -> None:
    source = "{{ Event.Payload.x|tojson }}"
    text = render(source, x=value)

    assert json.loads(text) == value
    assert render("{{ Event.Payload.x|fromjson|tojson }}", x=text) == text


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_the_same_after_base64(text: str) -> None:
    assert render("{{ Event.Payload.x|b64encode }}", x=text) == base64.b64encode(text.encode()).decode()
    assert render("{{ Event.Payload.x|b64encode|b64decode }}", x=text) == text
    assert render("{{ Event.Payload.x|b64encode:'url'|b64decode }}", x=text) == text
    assert render("{{ Event.Payload.x|sha256 }}", x=text) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("expression", "value", "output"),
    [
        ("x|tojson", "🚀\u2028\x00</script>", '"🚀\u2028\\u0000</script>"'),
        ("x|tojson", "\ud83d\ude80", '"🚀"'),
        ("x|tojson", "a\ud83d", '"a\ufffd"'),
        ("x|tojson", {"b": [1, None, True, 1.5], "a": {}}, '{"b":[1,null,true,1.5],"a":{}}'),
        ("x|tojson", 12345678901234567890, "12345678901234567890"),
        ("missing|tojson", 1, "null"),
        ("x|fromjson", ' \ufeff[1, "a"]'.strip(), '[1,"a"]'),
        ("x|fromjson|length", "[1,2,3]\n", "3"),
        ("x|fromjson", "true", "True"),
        ("x|fromjson", '"text"', "text"),
        ("x|unescape", "a &lt; b &amp;&amp; c &#39;&#x1F680;&quot; &unknown; &", "a < b && c '🚀\" &unknown; &"),
        ("x|unescape", 5, "5"),
        ("x|b64decode", "aGVs\r\nbG8/ Pg==", "hello?>"),
        ("x|b64decode", "aGVsbG8_Pg", "hello?>"),
        ("x|b64decode", "aGVsbG8_Pg=", "hello?>"),
        ("x|b64decode", "", ""),
        ("x|b64encode", 5, "NQ=="),
        ("x|b64encode", "??>>", "Pz8+Pg=="),
        ("x|b64encode:'url'", "??>>", "Pz8-Pg=="),
        ("x|b64encode:'standard'", "??>>", "Pz8+Pg=="),
    ],
)
def test_values_are_encoded_and_decoded(expression: str, value: Any, output: str) -> None:
    assert render(f"{{{{ Event.Payload.{expression} }}}}", x=value) == output


def test_half_of_a_surrogate_pair_is_replaced_in_json() -> None:
    text = r'{"\ud800": ["a\udfffb", "\ud83d\ude80"]}'
    assert render("{{ Event.Payload.x|fromjson }}", x=text) == '{"\ufffd":["a\ufffdb","🚀"]}'
    assert render("{{ unmarshalJson(Event.Payload.x) }}", x=text) == '{"\ufffd":["a\ufffdb","🚀"]}'


@pytest.mark.parametrize(
    ("expression", "value", "message"),
    [
        ("x|tojson", float("inf"), "tojson cannot write a number that is not finite"),
        ("x|fromjson", "[1,", "fromjson needs valid JSON, not '[1,': Expecting value at line 1, column 4"),
        ("x|fromjson", "", "fromjson needs valid JSON, not '': Expecting value at line 1, column 1"),
        ("x|fromjson", "{'a': 1}", "fromjson needs valid JSON, not \"{'a': 1}\": Expecting property name"),
        ("x|fromjson", "NaN", "fromjson needs valid JSON: NaN is not allowed"),
        ("x|fromjson", "1e999", "fromjson needs valid JSON: number 1e999 is too large"),
        ("x|fromjson", "[" * 100_000, "fromjson needs valid JSON: nested too deeply"),
        ("x|fromjson", 5, "fromjson needs a string, not a number"),
        ("x|fromjson", None, "fromjson needs a string, not none"),
        ("x|b64decode", "%%", "b64decode needs Base64, not '%%'"),
        ("x|b64decode", "a", "b64decode needs Base64, not 'a'"),
        ("x|b64decode", "aGVs=bG8", "b64decode needs Base64, not 'aGVs=bG8'"),
        ("x|b64decode", "/w==", "b64decode: the decoded bytes are not valid UTF-8"),
        ("x|b64encode:'hex'", "a", "b64encode takes 'url' for the URL-safe alphabet, not 'hex'"),
    ],
)
def test_a_value_that_cannot_be_read_is_an_error(expression: str, value: Any, message: str) -> None:
    assert render(f"{{{{ Event.Payload.{expression} }}}}", x=value).startswith(ERROR + message)


CANARY = "s3cret-canary-value"


@pytest.mark.parametrize(
    ("expression", "derived"),
    [
        ("datastore('k')|b64encode", base64.b64encode(CANARY.encode()).decode()),
        ("datastore('k')|b64encode:'url'", base64.urlsafe_b64encode(CANARY.encode()).decode()),
        ("datastore('k')|b64encode|b64decode", CANARY),
        ("datastore('k')|sha256", hashlib.sha256(CANARY.encode()).hexdigest()),
        ("datastore('k')|tojson|fromjson", CANARY),
        ("('[' + datastore('k')|tojson + ']')|fromjson|first", CANARY),
        ("('&lt;' + datastore('k'))|unescape", f"<{CANARY}"),
        ("base64Encode(datastore('k'))", base64.urlsafe_b64encode(CANARY.encode()).decode().rstrip("=")),
        ("datastore('k')|replace:'s':'z'|trim", None),
        ("datastore('k')|lines|first", None),
        ("datastore('k')|words|first", None),
    ],
)
def test_what_is_made_from_a_secret_is_secret_in_every_form(expression: str, derived: str | None) -> None:
    context = RenderContext({"Event": {"Payload": {}}, "Context": {}}, lambda key: make_secret(CANARY))
    result = compile_value(f"Basic {{{{ {expression} }}}}!", "input", []).render(context)

    assert isinstance(result, Secret)
    assert CANARY in result.sources
    assert derived is None or derived in result.sources


def test_what_is_made_without_a_secret_is_not_secret() -> None:
    context = RenderContext({"Event": {"Payload": {}}, "Context": {}}, lambda key: make_secret(CANARY))

    assert compile_value("{{ 'a'|b64encode }}", "input", []).render(context) == "YQ=="
