"""What a template may cost. Every limit has a default that no honest flow meets."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one evaluation: all templates of one step that share an `Evaluation`.

    Sizes are in characters, `work` in units of about one small operation, `seconds` is the time inside `render`.
    """

    work: int = 2_000_000
    seconds: float = 5.0
    turns: int = 100_000
    """Turns of all loops together."""
    text: int = 4_000_000
    """The length of any one text, whether printed or only held in between."""
    output: int = 16_000_000
    """What all the templates print together."""
    calls: int = 12
    """How deep `template()` and macros may call into each other."""
    integer_bits: int = 4_096
    random_letters: int = 10_000


DEFAULT_LIMITS = Limits()

# Of the compiler: they hold for every template, before there is an evaluation.
MAX_SOURCE = 1_000_000
MAX_TOKENS = 50_000
MAX_DEPTH = 50
MAX_CHAIN = 50
MAX_LOREM = 1_000
MAX_DIGITS = 1_000
MAX_LAYOUT = 1_000
