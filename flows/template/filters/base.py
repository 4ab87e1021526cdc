"""The type of filters, and checks that they share."""

from collections.abc import Callable
from typing import NamedTuple

from flows.template.errors import OperationError
from flows.template.runtime.render_context import RenderContext

FilterFunc = Callable[[object, object, RenderContext], object]
"""(value, argument or None, render context) -> value; raises OperationError."""


class Filter(NamedTuple):
    """A filter by name.

    is_per_character: it processes its text character by character, so each costs a unit of work. bind_argument: called
    with a literal argument when the template is compiled; returns the filter for it, or raises OperationError if it is
    invalid. takes_two_arguments: the argument is a tuple of the two values.
    """

    name: str
    apply: FilterFunc
    is_per_character: bool = False
    bind_argument: Callable[[object], FilterFunc] | None = None
    takes_two_arguments: bool = False


def make_bound_filter(name: str, bind_argument: Callable[[object], FilterFunc], *, cost: int = 0) -> Filter:
    """Build a filter that reads a literal argument once; reading any other one costs `cost` units of work per call."""

    def apply(value: object, argument: object, render_context: RenderContext) -> object:
        render_context.charge(cost)
        return bind_argument(argument)(value, None, render_context)

    return Filter(name, apply, bind_argument=bind_argument)


def check_text_length(length: int, render_context: RenderContext) -> None:
    """Raise OperationError if a text of `length` characters is too long."""
    if length > render_context.limits.text_length:
        raise OperationError(f"text is too long (more than {render_context.limits.text_length:,} characters)")
