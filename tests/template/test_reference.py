"""docs/reference/templates.md: its examples are correct, and it is complete."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from flows.template import DEFAULT_LIMITS, RenderContext, RenderLimits, TemplateError, compile_template, limits
from flows.template.compiler import ALL_FUNCTIONS, TAGS
from flows.template.filters import FILTERS
from tests.template.recorded import reader
from tests.template.rules import RULES

pytestmark = pytest.mark.unit

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "templates.md").read_text()
VARIABLES, DATASTORE = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
EXAMPLES = [
    (number, line.partition(" →")[0], line.partition(" →")[2])
    for number, line in enumerate(PAGE.splitlines(), 1)
    if " →" in line and line.startswith(tuple("{[abcdefghijklmnopqrstuvwxyz"))
]


def outcomes(template: str) -> list[str]:
    """Return the outcomes that the page may show: the output, the warnings, or the error."""
    try:
        compiled = compile_template(template)
        render_context = RenderContext(VARIABLES, reader(DATASTORE))
        render_context.collected_warnings = []
        printed = compiled.render(render_context)
    except TemplateError as error:
        return [f"error: {error.message}"]
    render_context.collect_warnings(template, "")
    warnings = [*compiled.warnings, *render_context.collected_warnings]
    return [printed.replace("\n", "⏎").rstrip(" "), *(f"warning: {warning.message}" for warning in warnings)]


@pytest.mark.parametrize(("line", "template", "result"), EXAMPLES)
def test_an_example_gives_its_documented_output(line: int, template: str, result: str) -> None:
    expected = result.removeprefix(" ")
    actual = outcomes(template)

    if expected.startswith("error"):
        assert actual[0].startswith(expected)
    else:
        assert expected in actual


def test_every_tag_filter_and_function_has_an_example() -> None:
    examples = "\n".join(template for _, template, _ in EXAMPLES)

    assert [name for name in FILTERS if not re.search(rf"\|{name}\b", examples)] == []
    assert [name for name in TAGS if not re.search(rf"{{% {name}\b", examples)] == []
    assert [name for name in ALL_FUNCTIONS if f"{name}(" not in examples] == []


def test_every_rule_is_documented() -> None:
    numbers = {rule.__name__.partition("_")[0].upper() for rule in RULES if rule.__name__.startswith("r")}

    assert set(re.findall(r"^\| (R\d+) ", PAGE, re.MULTILINE)) == numbers


def test_every_limit_is_documented() -> None:
    values: list[float] = [getattr(DEFAULT_LIMITS, field.name) for field in fields(RenderLimits)]
    values += [value for name, value in vars(limits).items() if name.startswith("MAX_") and isinstance(value, int)]

    assert [value for value in values if f"{value:,g}" not in PAGE and f"{value:,}" not in PAGE] == []
