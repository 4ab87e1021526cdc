"""Limits of templates, in units of work instead of time."""

import pytest

from flows.template import DEFAULT_LIMITS, RenderContext, RenderLimits, TemplateError, compile_template
from flows.template.compiler import MAX_CACHED_SOURCE_LENGTH, MAX_CACHED_TEMPLATES, _compile_cached
from flows.template.limits import MAX_NESTING_DEPTH, MAX_SOURCE_LENGTH
from tests.template.recorded import reader

pytestmark = pytest.mark.unit

VARIABLES = {
    "Event": {"Payload": {
        "items": list(range(1000)), "long": "a" * 2_000_000, "tags": "<" * 300_000, "words": "ab," * 700_000,
        "open": "<b>" * 100_000 + "</i>" * 100_000,
    }},
    "Context": {},
}  # fmt: skip
LOOP = "{% for x in Event.Payload.items %}"
NESTED: list[object] = []
for _ in range(900):
    NESTED = [NESTED]


def make_render_context(**limits: int) -> RenderContext:
    """Create a render context with these limits, and a long time limit, because a test machine can be slow."""
    return RenderContext(VARIABLES, {"deep": NESTED}.__getitem__, RenderLimits(**{"seconds": 3600, **limits}))


def error_message(source: str, shared: RenderContext | None = None) -> str:
    with pytest.raises(TemplateError) as caught:
        compile_template(source).render(shared or make_render_context())
    assert "cannot be" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 10_000 + "1" + ")" * 10_000 + " }}",
        "{{ " + "f(" * 10_000 + ")" * 10_000 + " }}",
        "{{ " + " == not ".join(["1"] * 10_000) + " }}",
        "{% if 1 %}" * 10_000,
        "{{ 'a'|add:" + "('a'|add:" * 1_000 + "1" + ")" * 1_000 + " }}",
    ],
)
def test_too_deep_nesting_is_an_error_with_a_position(source: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(source)

    assert caught.value.message == f"nested too deeply (more than {MAX_NESTING_DEPTH} levels)"
    assert caught.value.column > 1


def test_the_maximum_nesting_depth_is_allowed() -> None:
    source = "{{ " + "(" * MAX_NESTING_DEPTH + "1" + ")" * MAX_NESTING_DEPTH + " }}"

    assert compile_template(source).render(make_render_context()) == "1"


@pytest.mark.parametrize("word", ["not ", "1 and ", "1 or ", "1 + ", "1 * ", "1 ^ ", "1 == "])
def test_a_long_chain_of_operators_is_not_nesting(word: str) -> None:
    assert compile_template("{{ " + word * 10_000 + "1 }}").render(make_render_context())


@pytest.mark.parametrize("link", ["|upper", ".a()"])
def test_a_long_chain_of_filters_or_calls_is_an_error(link: str) -> None:
    assert error_message("{{ a" + link * 10_000 + " }}").startswith("too many filters or calls")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (LOOP * 2 + "x" + "{% endfor %}" * 2, "too many loop iterations"),
        ("{% set a = 'aaaaaaaaaa' %}" + LOOP + "{% set a = a + a %}{% endfor %}", "text is too long"),
        ("{% set a = 'aaaaaaaaaa' %}" + LOOP + "{% set a = a|add:a %}{% endfor %}", "text is too long"),
        ("{% set a = 3 %}" + LOOP + "{% set a = a * a %}{% endfor %}", "number is too large"),
        ("{{ 2 ^ 99999999 }}", "number is too large"),
        ("{{ 9 ^ 9 ^ 9 ^ 9 }}", "number is too large"),
        ("{{ 10.0 ^ 400 }}", "number is too large"),
        ("{{ " + "9" * 900 + " * 1.5 }}", "number is too large"),
        ("{{ " + "9" * 5_000 + " }}", "number has too many digits"),
        ("{{ 'a'|ljust:999999999 }}", "text is too long"),
        ("{{ 'a'|rjust:999999999 }}", "text is too long"),
        ("{{ 'a'|center:999999999 }}", "text is too long"),
        ("{{ 1|stringformat:'%999999999d' }}", "stringformat returns at most"),
        ("{{ 1.5|stringformat:'%.999999999f' }}", "stringformat returns at most"),
        ("{{ 1.5|floatformat:99999 }}", "floatformat returns at most"),
        ("{{ Event.Payload.items|join:Event.Payload.long }}", "text is too long"),
        ("{{ randomAlpha(99999999) }}", "randomAlpha returns at most"),
        ("{% lorem 99999999 w %}", "lorem count is too large"),
        ("{% lorem 1000 %}" * 9_000, "template does too much work"),
        ("{{ Event.Payload.long }}" * 3, "text is too long"),
        (LOOP + "{{ Event.Payload.long }}{% endfor %}", "text is too long"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls of macros and template() are nested too deeply"),
        ("{{ Event.Payload.long|match:'(a?){500}b' }}", "template does too much work"),
        (LOOP * 2 + "{{ Event.Payload.long|match:'b$' }}{% endfor %}{% endfor %}", "template does too much work"),
        (LOOP * 2 + "{{ 'a'|match:(x + 'z') }}{% endfor %}{% endfor %}", "template does too much work"),
        (LOOP + "{{ Event.Payload.tags|striptags|length }}{% endfor %}", "template does too much work"),
        (LOOP + "{{ Event.Payload.long|title|length }}{% endfor %}", "template does too much work"),
        ("{{ Event.Payload.long|urlize }}", "template does too much work"),
        ("{{ Event.Payload.long|removetags:Event.Payload.words }}", "template does too much work"),
        ("{{ 'a'|removetags:Event.Payload.long }}", "tag name of "),
        (LOOP + "{% set a = Event.Payload.words|split:',' %}{% endfor %}", "template does too much work"),
        (LOOP * 2 + "{{ 'z' in Event.Payload.long }}{% endfor %}{% endfor %}", "template does too much work"),
        (LOOP * 2 + "{{ 'z' in Event.Payload.items }}{% endfor %}{% endfor %}", "template does too much work"),
        ("{{ Event.Payload.open|truncatewords_html:5 }}", "too many open HTML tags"),
        ("{{ Event.CreatedAt.Year }}{{ '2019-05-06T07:08:09Z'|date:Event.Payload.long }}", "layout is too long"),
        ("{{ datastore('deep') == datastore('deep') }}", "nested too deeply"),
        ("{{ datastore('deep')|unordered_list }}", "nested too deeply"),
        ("{{ datastore('deep')|stringformat:'%v' }}", "nested too deeply"),
        ("{{ a }}" * 30_000, "template is too long"),
        ("x" * (MAX_SOURCE_LENGTH + 1), "template is too long"),
    ],
)  # fmt: skip
def test_exceeding_a_limit_is_an_error(source: str, message: str) -> None:
    assert error_message(source).startswith(message)


def test_recursive_calls_of_template_are_limited() -> None:
    context: dict[str, object] = {"source": "{{ template(source, self) }}"}
    context["self"] = context
    shared = RenderContext({"Context": context}, reader({}))

    with pytest.raises(TemplateError, match="are nested too deeply"):
        compile_template("{{ template(Context.source, Context) }}").render(shared)


def test_all_templates_of_a_step_share_one_budget_of_work() -> None:
    template, shared = compile_template(LOOP + "{% endfor %}"), make_render_context(work=10_000)

    template.render(shared)
    first = shared.work
    while shared.work + first <= 10_000:
        template.render(shared)
    assert error_message(template.source, shared).startswith("template does too much work (more than 10,000")


def test_all_templates_of_a_step_share_one_budget_of_iterations() -> None:
    template, shared = compile_template(LOOP + "{% endfor %}"), make_render_context(iterations=1500)

    template.render(shared)
    assert error_message(template.source, shared) == "too many loop iterations (more than 1,500)"


def test_all_templates_of_a_step_share_one_budget_of_output() -> None:
    source, shared = "{{ Event.Payload.long }}", make_render_context(output_length=5_000_000)

    assert len(compile_template(source).render(shared)) == 2_000_000
    assert len(compile_template(source).render(shared)) == 2_000_000
    assert error_message(source, shared) == "template output is too long (more than 5,000,000 characters)"


def test_a_time_limit_stops_a_template_within_its_work_budget() -> None:
    shared = make_render_context(seconds=-1)

    assert error_message(LOOP + "{{ x }}{% endfor %}" + LOOP + "{{ x }}{% endfor %}", shared).startswith(
        "template takes too long"
    )


@pytest.mark.parametrize("body", ["", "x", "{{ x }}", "{% if x > 5 %}{{ x|add:1 }}{% endif %}"])
def test_work_is_proportional_to_iterations(body: str) -> None:
    def work(turns: int) -> int:
        shared = RenderContext({"Event": {"Payload": list(range(turns))}}, reader({}))
        compile_template("{% for x in Event.Payload %}" + body + "{% endfor %}").render(shared)
        return shared.work

    assert 8 * work(1000) <= work(10_000) <= 12 * work(1000)


def test_a_normal_template_costs_a_small_part_of_the_budget() -> None:
    shared = make_render_context()

    compile_template(
        "Hi {{ Context.who }} - {% if Event.Payload.items %}{{ Event.Payload.items|join:',' }}{% endif %}"
    ).render(shared)

    assert shared.work < DEFAULT_LIMITS.work / 1000


def test_the_cache_of_compiled_templates_is_bounded() -> None:
    for number in range(MAX_CACHED_TEMPLATES + 10):
        compile_template(f"{{{{ {number} }}}}")
    size = _compile_cached.cache_info().currsize
    compile_template("x" * (MAX_CACHED_SOURCE_LENGTH + 1))

    assert _compile_cached.cache_info().currsize == size == MAX_CACHED_TEMPLATES
    assert compile_template("{{ 1 }}") is compile_template("{{ 1 }}")
