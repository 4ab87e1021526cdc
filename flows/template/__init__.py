"""The template language of flows.

It follows the language of the original server, which used pongo2, a Go dialect of Django's templates. Django's own
lexer and parser cannot read it: there, a tag ends at the first `}}` or `%}`, here a string literal may contain either;
and Django has no operators, calls or macros outside `{% if %}`. Filters that behave alike and the formatting of dates
are reused from Django.

`lexer` splits a source into tokens; `parser`, `tags` and `expressions` compile them to closures; `compiler` runs those
with a `RenderContext`: the variables, the datastore, and a budget that no template can exceed. A template can reach
only keys of maps, items of lists and characters of text, never a Python attribute.

The reference is docs/reference/templates.md.
"""

from flows.template.compiler import CompiledValue, Template, compile_template, compile_value
from flows.template.errors import TemplateError, TemplateWarning, find_closest_name, get_line_and_column
from flows.template.limits import DEFAULT_LIMITS, RenderLimits
from flows.template.runtime.numbers import MAX_QUOTED_LENGTH
from flows.template.runtime.render_context import REDACTED, RenderContext
from flows.template.runtime.taint import Secret, make_secret
from flows.template.runtime.values import mark_stored_text, to_record
from flows.template.shape import can_equal_any, iter_literals

__all__ = [
    "DEFAULT_LIMITS",
    "MAX_QUOTED_LENGTH",
    "REDACTED",
    "CompiledValue",
    "RenderContext",
    "RenderLimits",
    "Secret",
    "Template",
    "TemplateError",
    "TemplateWarning",
    "can_equal_any",
    "compile_template",
    "compile_value",
    "find_closest_name",
    "get_line_and_column",
    "iter_literals",
    "make_secret",
    "mark_stored_text",
    "to_record",
]
