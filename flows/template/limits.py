"""Limits of templates. Every limit has a default that no normal flow reaches."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """The limits of one render context, which all templates of one step share.

    Sizes are in characters, `work` in units of about one small operation, `seconds` is the time inside `render`.
    """

    work: int = 2_000_000
    seconds: float = 5.0
    iterations: int = 100_000
    """Iterations of all loops together."""
    text_length: int = 4_000_000
    """The maximum length of any text, whether printed or intermediate."""
    output_length: int = 16_000_000
    """The total output of all templates."""
    call_depth: int = 12
    """The maximum depth of nested calls of `template()` and macros."""
    integer_bits: int = 4_096
    random_letters: int = 10_000


DEFAULT_LIMITS = RenderLimits()

# Limits of the compiler; they apply before there is a render context.
MAX_SOURCE_LENGTH = 1_000_000
MAX_TOKENS = 50_000
MAX_NESTING_DEPTH = 50
MAX_CHAIN_LENGTH = 50
MAX_LOREM_COUNT = 1_000
MAX_DIGITS = 1_000
MAX_LAYOUT_LENGTH = 1_000
# Of lists that `{% append %}` puts into each other.
MAX_COLLECTED_DEPTH = 20
