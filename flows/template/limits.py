"""What a template may cost. Every limit has a default that no honest flow meets."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """The bounds of one evaluation: all templates of one step that share an `Evaluation`.

    Sizes are in characters, `work` in units of about one small operation, `seconds` is the time inside `render`.
    """

    work: int = 2_000_000
    seconds: float = 5.0
    iterations: int = 100_000
    """Turns of all loops together."""
    text_length: int = 4_000_000
    """The length of any one text, whether printed or only held in between."""
    output_length: int = 16_000_000
    """What all the templates print together."""
    call_depth: int = 12
    """How deep `template()` and macros may call into each other."""
    integer_bits: int = 4_096
    random_letters: int = 10_000


DEFAULT_LIMITS = RenderLimits()

# Of the compiler: they hold for every template, before there is an evaluation.
MAX_SOURCE_LENGTH = 1_000_000
MAX_TOKENS = 50_000
MAX_NESTING_DEPTH = 50
MAX_CHAIN_LENGTH = 50
MAX_LOREM_COUNT = 1_000
MAX_DIGITS = 1_000
MAX_LAYOUT_LENGTH = 1_000
