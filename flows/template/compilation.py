"""What the parsers share while one source is compiled: the place, the depth, the names, the warnings."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

from flows.template.errors import LocatedError, TemplateWarning, find_closest_name, get_line_and_column
from flows.template.functions import Function
from flows.template.lexer import END, SYMBOL, TemplateToken
from flows.template.limits import MAX_NESTING_DEPTH, MAX_TOKENS
from flows.template.runtime.render_context import Scope

ExpressionFunc = Callable[[Scope], object]
"""An expression, compiled: gives its value."""
RenderFunc = Callable[[Scope], str]
"""A piece of a template, compiled: gives its text."""

LITERALS: dict[str, object] = {"True": True, "False": False, "None": None, "none": None, "nil": None}
BUILTIN_VARIABLES = ("Event", "Context")
MAX_WARNINGS = 50


class Expression(NamedTuple):
    """A compiled expression. safe: `|safe` was applied to all of it. constant: it is a literal, `value`.

    harmless: whatever it is made of, its text means nothing to a shell, or what the template's writer wants.
    """

    evaluate: ExpressionFunc
    offset: int
    is_safe: bool = False
    is_constant: bool = False
    value: object = None
    is_shell_safe: bool = False


class RawOutput(NamedTuple):
    """A `{{ … }}` that may print text as it came: what it reads, each the name and, if there is one, the first key."""

    references: tuple[tuple[str, str | int | None], ...]
    line: int
    column: int


class CompilationState:
    """The compilation of one source. watching: what it makes tells the evaluation what it looks up."""

    def __init__(self, source: str, functions: Mapping[str, Function], tracks_reads: bool = False) -> None:
        self.source = source
        self.functions = functions
        self.tracks_reads = tracks_reads
        self.declared_names: set[str] = set()
        self._depth = 0
        self._token_count = 0
        self._root_names: list[tuple[str, int]] = []
        self.references: list[tuple[str, str | int | None]] = []
        self.raw_outputs: list[RawOutput] = []
        self._context_offsets: dict[str, int] = {}
        self._warnings: list[tuple[str, int]] = []

    @contextmanager
    def nested(self, offset: int) -> Iterator[None]:
        """One more level of parentheses, arguments or tags. Raises SourceError at `offset` when there are too many."""
        self.enter_nesting(offset)
        yield
        self._depth -= 1

    def enter_nesting(self, offset: int) -> None:
        """As `deeper`, for callers in a hurry; `leave` ends the level."""
        self._depth += 1
        if self._depth > MAX_NESTING_DEPTH:
            raise LocatedError(f"nested too deep (more than {MAX_NESTING_DEPTH} levels)", offset)

    def leave_nesting(self) -> None:
        """The level that was entered last ends."""
        self._depth -= 1

    def count_tokens(self, tokens: list[TemplateToken]) -> None:
        """Counts what was read. Raises SourceError when the template is too long."""
        self._token_count += len(tokens)
        if self._token_count > MAX_TOKENS:
            raise LocatedError(f"the template is too long (more than {MAX_TOKENS:,} tokens)", tokens[0].offset)

    @property
    def cost(self) -> int:
        """How many tokens were read so far: what running over them costs."""
        return self._token_count

    def declare_name(self, token: TemplateToken) -> str:
        """A tag gives a value to the name. Raises SourceError for a literal's name."""
        if token.value in LITERALS:
            raise LocatedError(f"'{token.value}' is a value and cannot be a name", token.offset)
        self.declared_names.add(token.value)
        return token.value

    def record_root_name(self, name: str, offset: int) -> None:
        """An expression begins with the name."""
        self._root_names.append((name, offset))

    def record_reference(self, name: str, key: str | int | None, offset: int) -> None:
        """An expression reads what the name, and its first key if there is one, stand for."""
        self.references.append((name, key))
        if name == "Context" and isinstance(key, str):
            self._context_offsets.setdefault(key, offset)

    def get_context_names(self) -> tuple[tuple[str, int, int], ...]:
        """The context's names that are read, each with the line and the column where it is read first."""
        if "Context" in self.declared_names:
            return ()
        first_references = islice(self._context_offsets.items(), MAX_WARNINGS)
        return tuple((name, *get_line_and_column(self.source, offset)) for name, offset in first_references)

    def record_output(self, expression: Expression, first_reference: int) -> None:
        """An expression is printed; `reads` of what is read stand before it."""
        if not expression.is_shell_safe and len(self.references) > first_reference:
            self.raw_outputs.append(
                RawOutput(
                    tuple(self.references[first_reference:]), *get_line_and_column(self.source, expression.offset)
                )
            )

    def add_warning(self, message: str, offset: int) -> None:
        """Something at `offset` is probably not meant."""
        self._warnings.append((message, offset))

    def get_warnings(self) -> tuple[TemplateWarning, ...]:
        """The first warnings, in the order of their places, one a name. Call it when everything is parsed."""
        sorted_warnings = sorted([*self._warnings, *self._find_unknown_names()], key=lambda warning: warning[1])
        return tuple(
            TemplateWarning(message, *get_line_and_column(self.source, offset))
            for message, offset in sorted_warnings[:MAX_WARNINGS]
        )

    def _find_unknown_names(self) -> Iterator[tuple[str, int]]:
        known_names = {*BUILTIN_VARIABLES, *self.functions, *self.declared_names, "forloop"}
        unknown_offsets: dict[str, int] = {}
        for name, offset in self._root_names:
            if name not in known_names:
                unknown_offsets.setdefault(name, offset)
        for name, offset in islice(unknown_offsets.items(), MAX_WARNINGS):
            suggestion = find_closest_name(name, sorted(known_names))
            hint = f": did you mean '{suggestion}'?" if suggestion else ""
            yield f"nothing is called '{name}' here, so it is always empty{hint}", offset


class TokenStream:
    """Walks over the tokens of one `{{ … }}` or `{% … %}`; the last is always END."""

    __slots__ = ("index", "tokens")

    def __init__(self, tokens: list[TemplateToken]) -> None:
        self.tokens = tokens
        self.index = 0

    @property
    def current(self) -> TemplateToken:
        """The next token, not yet consumed."""
        return self.tokens[self.index]

    def accept(self, kind: str) -> TemplateToken | None:
        """The next token, consumed, if it is of the kind."""
        token = self.tokens[self.index]
        if token.kind != kind:
            return None
        if kind != END:
            self.index += 1
        return token

    def accept_symbol(self, *values: str) -> TemplateToken | None:
        """The next token, consumed, if it is one of the symbols."""
        token = self.tokens[self.index]
        if token.kind == SYMBOL and token.value in values:
            self.index += 1
            return token
        return None

    def accept_word(self, kind: str, *values: str) -> TemplateToken | None:
        """The next token, consumed, if it is a name or keyword (`kind`) and one of the words."""
        token = self.tokens[self.index]
        if token.kind == kind and token.value in values:
            self.index += 1
            return token
        return None

    def expect(self, kind: str, expected: str) -> TemplateToken:
        """The next token, consumed, which must be of the kind. Raises SourceError saying that `what` is expected."""
        token = self.accept(kind)
        if token is None:
            raise self.make_unexpected_token_error(expected)
        return token

    def expect_symbol(self, value: str, expected: str) -> TemplateToken:
        """The next token, consumed, which must be the symbol. Raises SourceError."""
        token = self.accept_symbol(value)
        if token is None:
            raise self.make_unexpected_token_error(expected)
        return token

    def is_at_end(self) -> bool:
        """Whether everything is consumed."""
        return self.tokens[self.index].kind == END

    def expect_end(self, expected: str) -> None:
        """Raises SourceError unless everything is consumed."""
        if not self.is_at_end():
            raise self.make_unexpected_token_error(expected)

    def make_unexpected_token_error(self, expected: str) -> LocatedError:
        """The fault that the next token is not `what`."""
        token = self.current
        actual = f"'{token.value}'"
        return LocatedError(f"{expected} expected, not {actual}", token.offset)
