"""What a filter is, and what its argument may be read as."""

from collections.abc import Callable
from typing import NamedTuple

from flows.template.errors import OperationError
from flows.template.runtime.render_context import RenderContext

FilterFunc = Callable[[object, object, RenderContext], object]
"""(value, argument or None, evaluation) -> value; raises RefusedError."""


class Filter(NamedTuple):
    """A filter by name.

    slow: it works through its text character by character, so that each costs a unit of work. prepare: given a literal
    argument when the template is compiled, makes the filter for it; raises RefusedError where the argument is wrong.
    """

    name: str
    apply: FilterFunc
    is_per_character: bool = False
    bind_argument: Callable[[object], FilterFunc] | None = None


def check_text_length(length: int, render_context: RenderContext) -> None:
    """Raises RefusedError when a text of `size` characters must not be built."""
    if length > render_context.limits.text_length:
        raise OperationError(f"the text gets too long (more than {render_context.limits.text_length:,} characters)")
