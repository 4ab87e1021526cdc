"""What a filter is, and what its argument may be read as."""

from collections.abc import Callable
from typing import NamedTuple

from flows.lang.errors import RefusedError
from flows.lang.evaluation import Evaluation

Apply = Callable[[object, object, Evaluation], object]
"""(value, argument or None, evaluation) -> value; raises RefusedError."""


class Filter(NamedTuple):
    """A filter by name.

    slow: it works through its text character by character, so that each costs a unit of work. prepare: given a literal
    argument when the template is compiled, makes the filter for it; raises RefusedError where the argument is wrong.
    """

    name: str
    apply: Apply
    slow: bool = False
    prepare: Callable[[object], Apply] | None = None


def check_length(size: int, evaluation: Evaluation) -> None:
    """Raises RefusedError when a text of `size` characters must not be built."""
    if size > evaluation.limits.text:
        raise RefusedError(f"the text gets too long (more than {evaluation.limits.text:,} characters)")
