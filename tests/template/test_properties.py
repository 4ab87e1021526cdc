"""Properties that hold for every template."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.template import RenderContext, RenderLimits, TemplateError, compile_template, compile_value
from flows.template.compiler import ALL_FUNCTIONS, TAGS
from flows.template.filters import FILTERS
from tests.template.recorded import CASES

pytestmark = pytest.mark.unit

SECRET = "never to be seen"
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class GuardedMap(dict[str, object]):
    """A map with an attribute that only Python code can reach."""

    def __init__(self, *values: object, **named: object) -> None:
        super().__init__(*values, **named)
        self.hidden = SECRET

    def reveal(self) -> str:
        return SECRET


NAMES = [
    "Event",
    "Context",
    "missing",
    "forloop",
    "x",
    "m",
    "hidden",
    "reveal",
    "Payload",
    "l",
    "s",
    "0",
    "1",
    *ALL_FUNCTIONS,
]
HARMFUL = ["__class__", "__init__", "__globals__", "__dict__", "hidden", "reveal", "items", "keys", "upper", "format"]
LITERALS = [
    "1",
    "0",
    "2.5",
    "-3",
    "'a'",
    "''",
    "'1:2'",
    "'%v'",
    "'2006'",
    "true",
    "none",
    "99999999999999999999",
    "'(a)'",
]
OPERATORS = [
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "==",
    "!=",
    "<",
    ">=",
    "in",
    "not in",
    "and",
    "or",
    "&&",
    "||",
    "|",
    ".",
    ",",
]

words = st.sampled_from(
    [*NAMES, *LITERALS, *OPERATORS, *TAGS, *FILTERS, "(", ")", ":", "=", "as", "not", "!", "'", "\\", "é", "\n"]
)
marks = st.sampled_from(["{{", "}}", "{%", "%}", "{#", "#}", "{{-", "-}}", " ", "text"])
soup = st.lists(st.one_of(words, marks), max_size=25).map(" ".join)

paths = st.builds(
    lambda root, keys: ".".join([root, *keys]),
    st.sampled_from(
        ["Event", "Event.Payload", "Event.Payload.l", "Event.Payload.s", "Context", "x", "forloop", "Event.CreatedAt"]
    ),
    st.lists(st.sampled_from([*NAMES, *HARMFUL]), max_size=2),
)
expressions = st.recursive(
    st.one_of(paths, st.sampled_from(LITERALS)),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(OPERATORS[:-3]), inner),
        st.builds("({}|{}:{})".format, inner, st.sampled_from(sorted(FILTERS)), inner),
        st.builds("({}|{})".format, inner, st.sampled_from(sorted(FILTERS))),
        st.builds("{}({})".format, st.sampled_from(sorted(ALL_FUNCTIONS)), inner),
        st.builds("({}).{}".format, inner, st.sampled_from(HARMFUL)),
        st.builds("{}({})".format, paths, inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=8,
)
templates = st.recursive(
    st.builds("{{{{ {} }}}}".format, expressions),
    lambda inner: st.one_of(
        st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, expressions, inner, inner),
        st.builds("{{% for x in {} %}}{}{{% empty %}}-{{% endfor %}}".format, expressions, inner),
        st.builds("{{% set x = {} %}}{}".format, expressions, inner),
        st.builds("{{% with x={} %}}{}{{% endwith %}}".format, expressions, inner),
        st.builds("{{% macro m(x) %}}{}{{% endmacro %}}{{{{ m({}) }}}}".format, inner, expressions),
        st.builds("{{% filter {} %}}{}{{% endfilter %}}".format, st.sampled_from(sorted(FILTERS)), inner),
        st.builds("{{% autoescape on %}}{}{{% endautoescape %}}".format, inner),
        st.builds("{{% ifchanged {} %}}{}{{% endifchanged %}}".format, expressions, inner),
        st.builds("{}{}".format, inner, inner),
    ),
    max_leaves=6,
)


def evaluation() -> RenderContext:
    payload = GuardedMap(l=[1, "b", None, {"k": 2}], s="text <b>", n=None, f=1.5, t=True, d="2019-05-06T07:08:09Z")
    event = GuardedMap(Name="N", Payload=payload, CreatedAt="2019-05-06T07:08:09Z", Pack={"Labels": {"a": "b"}})
    limits = RenderLimits(
        work=20_000, iterations=2_000, text_length=100_000, output_length=200_000, random_letters=1_000
    )
    return RenderContext({"Event": event, "Context": GuardedMap(A="a")}, {"a": "stored"}.__getitem__, limits)


def render(source: str) -> str | None:
    """Return the template's text, or None for an error, which must have a position."""
    shared = evaluation()
    try:
        text = compile_template(source).render(shared)
    except TemplateError as error:
        check_error(error, source)
        return None
    assert type(text) is str
    assert len(text) <= shared.limits.text_length
    assert shared.work <= shared.limits.work
    return text


def check_error(error: TemplateError, source: str) -> None:
    lines = source.split("\n")

    assert 1 <= error.line <= len(lines)
    assert 1 <= error.column <= len(lines[error.line - 1]) + 1
    assert error.excerpt
    assert not error.message.startswith(("cannot be evaluated", "cannot be compiled"))


@given(st.text())
@quick
def test_any_text_compiles_or_gives_a_located_error(source: str) -> None:
    render(source)


@given(soup)
@quick
def test_any_mixture_of_words_and_delimiters_compiles_or_gives_a_located_error(source: str) -> None:
    render(source)


@given(soup)
@quick
def test_any_expression_compiles_or_gives_a_located_error(source: str) -> None:
    render("{{ " + source + " }}")


@given(templates)
@quick
def test_any_template_stays_within_its_limits_and_reaches_no_python_attribute(source: str) -> None:
    text = render(source)

    assert SECRET not in (text or "")
    assert "object at 0x" not in (text or "")


@given(st.sampled_from([case.text for case in CASES]), st.integers(0, 200), st.integers(0, 5), st.text(max_size=3))
@quick
def test_a_damaged_template_compiles_or_gives_a_located_error(source: str, start: int, length: int, put: str) -> None:
    start = min(start, len(source))

    render(source[:start] + put + source[start + length :])


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=10,
)


@given(json_values)
@quick
def test_any_json_value_can_be_compiled_and_keeps_its_shape(value: object) -> None:
    problems: list[TemplateError] = []
    compiled = compile_value(value, "input", problems)

    if not problems and "{" not in json.dumps(value):
        assert compiled.render(evaluation()) == value


@given(json_values)
@quick
def test_any_payload_prints_and_maps_and_lists_print_as_their_json(payload: object) -> None:
    text = compile_template("{{ Event.Payload }}").render(RenderContext({"Event": {"Payload": payload}}, str))

    if isinstance(payload, list | dict):
        assert json.loads(text) == payload
    elif isinstance(payload, str):
        assert text == payload


@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30))
@quick
def test_integers_are_exact(left: int, right: int) -> None:
    shared = RenderContext({"Event": {"Payload": {"a": left, "b": right}}}, str)
    source = "{% with Event.Payload.a as a Event.Payload.b as b %}{{ a + b }} {{ a - b }} {{ a * b }}{% endwith %}"

    assert compile_template(source).render(shared) == f"{left + right} {left - right} {left * right}"
