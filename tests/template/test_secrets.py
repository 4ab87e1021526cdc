"""Secrets in templates: texts are secret exactly if they read a secret."""

from typing import Any

import pytest

from flows.template import (
    REDACTED,
    RenderContext,
    Secret,
    TemplateError,
    compile_template,
    compile_value,
    make_secret,
)
from tests.template import recorded

pytestmark = pytest.mark.unit

CANARY = "canary-3141"
ITEMS: dict[str, Any] = {
    "secret": make_secret(CANARY),
    "object": make_secret({"user": "u-12345", "pin": 987654, "on": True, "none": None, "list": ["l-1"]}),
    "plain": "open",
}


def evaluation(**context: str | Secret) -> RenderContext:
    def read(key: str) -> object:
        if key not in ITEMS:
            raise LookupError(f"datastore item {key!r} not found")
        return ITEMS[key]

    render_context = RenderContext({"Event": {"Payload": {"a": "b"}}}, read)
    render_context.set_step_context(context)
    return render_context


def resolved(source: Any, **context: str | Secret) -> Any:
    return compile_value(source, "input", []).render(evaluation(**context))


CONTEXT: dict[str, str | Secret] = {"token": Secret(CANARY, (CANARY,)), "room": "ops"}

SECRET = [
    "{{ datastore('secret') }}",
    "Bearer {{ datastore('secret') }}",
    "{{ datastore('secret')|length }}",
    "{% if datastore('secret') == 'x' %}y{% else %}n{% endif %}",
    "{% set x = datastore('secret') %}{{ 1 }}",
    "{% for c in datastore('secret') %}{{ c }}{% endfor %}",
    "{% macro m(x=datastore('secret')) %}{{ x }}{% endmacro %}{{ m() }}",
    "{{ template('{{ datastore(k) }}', unmarshalJson('{\"k\": \"secret\"}')) }}",
    "{{ datastore('object').user }}",
    "{{ datastore('object').on }}",
    "{{ Context.token }}",
    "{{ Context.token|first }}",
    "{{ Context|key:'token' }}",
    "{{ Context }}",
    "{% with c=Context %}{{ c.token }}{% endwith %}",
    "{% for k, v in Context %}{{ v }}{% endfor %}",
    "{{ template('{{ token }}', Context) }}",
    "{{ template(Context.token, Event.Payload) }}",
    "{% if 'token' in Context %}y{% endif %}",
]


@pytest.mark.parametrize("source", SECRET)
def test_a_text_that_reads_a_secret_is_secret(source: str) -> None:
    result = resolved(source, **CONTEXT)
    assert isinstance(result, Secret)
    assert CANARY not in repr(result) + str(result)


@pytest.mark.parametrize(
    "source",
    [
        "plain",
        "{{ datastore('plain') }}",
        "{{ Context.room }}",
        "{{ Event.Payload.a }}",
        "{% if false %}{{ datastore('secret') }}{% endif %}",
        "{{ Context.missing }}",
    ],
)
def test_a_text_next_to_a_secret_is_not_secret(source: str) -> None:
    result = resolved([source, SECRET[0], source, SECRET[10], source], **CONTEXT)
    assert [isinstance(text, Secret) for text in result] == [False, True, False, True, False]
    assert result[0] == result[2] == result[4]


def test_a_secret_keeps_its_sources() -> None:
    result = resolved(["Bearer {{ datastore('secret') }}", "{{ datastore('object').user }}"])
    assert result[0].sources == (CANARY, f"Bearer {CANARY}")
    assert result[1].sources == ("u-12345", "987654", "l-1")
    later = resolved("{{ Context.auth }}!", auth=result[0])
    assert later.sources == (CANARY, f"Bearer {CANARY}", f"Bearer {CANARY}!")


@pytest.mark.parametrize(
    "expression",
    [
        "datastore(datastore('secret'))",
        "unmarshalJson(datastore('secret'))",
        "template('{{ ' + datastore('secret') + '|nofilter }}', Context)",
        "datastore('secret').field",
        "randomInt(datastore('secret'))",
        "'x'|match:('(' + datastore('secret'))",
        "datastore('secret')|matchesCron:'* * * * *'",
    ],
)
def test_an_error_after_a_secret_shows_its_position_and_no_value(expression: str) -> None:
    source = f"{{{{ {expression} }}}}"
    with pytest.raises(TemplateError, match="hidden because the template reads a secret") as raised:
        compile_template(source).render(evaluation())
    assert raised.value.line == 1
    assert CANARY not in str(raised.value)


def test_an_error_before_a_secret_shows_its_details() -> None:
    with pytest.raises(TemplateError, match="datastore item 'x' not found"):
        compile_template("{{ datastore('x') }}{{ datastore('secret') }}").render(evaluation())


def test_tracked_reads_after_the_first_secret_are_redacted() -> None:
    render_context = evaluation(**CONTEXT)
    compile_template("{{ Event.Payload.a == 'b' and Context.token == Context.room }}").with_read_tracking().render(
        render_context
    )
    assert render_context.tracked_reads["Event.Payload.a"] == "b"
    assert render_context.tracked_reads["Context.token"] is REDACTED
    assert render_context.tracked_reads["Context.room"] is REDACTED


# Random results differ between two renderings, with or without a secret.
CASES_WITH_VALUES_TO_HIDE = [
    case
    for case in recorded.CASES
    if case.text and not case.shape_only and "random" not in case.text
    if case.variables.get("Context") or case.datastore
]


@pytest.mark.parametrize("case", CASES_WITH_VALUES_TO_HIDE, ids=str)
def test_a_result_that_depends_on_a_secret_is_secret(case: recorded.Case) -> None:
    """Check that texts that are not secret stay the same for another secret value, and so reveal nothing."""
    context = case.variables.get("Context") or {}
    read = recorded.reader(case.datastore)
    plain = rendered(case, context, read)
    for name in context:
        changed = rendered(case, {**context, name: "other"}, read) != plain
        check_secrecy(case, rendered(case, {**context, name: make_secret(context[name])}, read), plain, changed)
    changed = rendered(case, context, lambda key: another(read(key))) != plain
    check_secrecy(case, rendered(case, context, lambda key: make_secret(read(key))), plain, changed)


def check_secrecy(case: recorded.Case, result: object, plain: str, changed: bool) -> None:
    """Check a result whose input is secret; `changed`: another input yields another result."""
    is_hidden = isinstance(result, Secret) or "because the template reads a secret" in str(result)
    assert is_hidden or not changed
    assert not is_hidden or "Context" in case.text or "datastore" in case.text
    if isinstance(result, Secret):
        assert result.value == plain
    elif not is_hidden:
        assert result == plain


def another(value: object) -> object:
    return f"{value}x" if isinstance(value, str) else {"other": 1}


def rendered(case: Any, context: dict[str, Any], read: Any) -> Any:
    """Return the text, the secret, or an error's message as text."""
    render_context = RenderContext(dict(case.variables), read)
    if "Context" in case.variables:
        render_context.set_step_context(context)
    try:
        return compile_value(case.template, "", []).render(render_context)
    except TemplateError as error:
        return error.message
