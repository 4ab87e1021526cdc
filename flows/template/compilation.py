"""State shared by the parsers while one source is compiled: tokens, nesting depth, names and warnings."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

from flows.template.errors import LocatedError, TemplateWarning, find_closest_name, get_line_and_column
from flows.template.functions import Function
from flows.template.hints import explain_dash, explain_unexpected
from flows.template.lexer import END, KEYWORD, NAME, NUMBER, SYMBOL, TemplateToken
from flows.template.limits import MAX_NESTING_DEPTH, MAX_TOKENS
from flows.template.runtime.render_context import Scope

ExpressionFunc = Callable[[Scope], object]
"""A compiled expression; returns its value."""
RenderFunc = Callable[[Scope], str]
"""A compiled part of a template; returns its text."""

LITERALS: dict[str, object] = {"True": True, "False": False, "None": None, "none": None, "nil": None}
BUILTIN_VARIABLES = ("Event", "Context")
EVENT_FIELDS = frozenset(("Name", "Pack", "Payload", "CreatedAt", "ReceivedAt"))
MAX_WARNINGS = 50
# Looking for the key that a dash belongs to costs time.
MAX_EXAMINED_DASHES = 200


class Expression(NamedTuple):
    """A compiled expression. is_safe: `|safe` was applied to all of it. is_constant: it is a literal, `value`.

    is_shell_safe: its text has no special meaning to a shell, or only the one that the template's author intends.
    """

    evaluate: ExpressionFunc
    offset: int
    is_safe: bool = False
    is_constant: bool = False
    value: object = None
    is_shell_safe: bool = False


class RawOutput(NamedTuple):
    """A `{{ … }}` that may print text unchanged; `references` holds the variables it reads, each with its first key, if
    any.
    """

    references: tuple[tuple[str, str | int | None], ...]
    offset: int


class CompilationState:
    """The compilation of one source. tracks_reads: the compiled template records its lookups in the render context."""

    def __init__(
        self,
        source: str,
        functions: Mapping[str, Function],
        filter_names: Collection[str] = (),
        tracks_reads: bool = False,
    ) -> None:
        self.source = source
        self.functions = functions
        self.filter_names = filter_names
        self.tracks_reads = tracks_reads
        self.declared_names: set[str] = set()
        self.collected_names: set[str] = set()
        self._depth = 0
        self._token_count = 0
        self._root_names: list[tuple[str, int]] = []
        self._dash_hints: dict[int, str] = {}
        self._dash_count = 0
        self.references: list[tuple[str, str | int | None]] = []
        self.raw_outputs: list[RawOutput] = []
        self._context_offsets: dict[str, int] = {}
        self._warnings: list[tuple[str, int]] = []

    @contextmanager
    def nested(self, offset: int) -> Iterator[None]:
        """Enter one more level of parentheses, arguments or tags. Raises LocatedError at `offset` if there are too
        many.
        """
        self.enter_nesting(offset)
        yield
        self._depth -= 1

    def enter_nesting(self, offset: int) -> None:
        """Enter a level, like `nested` but faster; `leave_nesting` ends it."""
        self._depth += 1
        if self._depth > MAX_NESTING_DEPTH:
            raise LocatedError(f"nested too deeply (more than {MAX_NESTING_DEPTH} levels)", offset)

    def leave_nesting(self) -> None:
        """Leave the level entered last."""
        self._depth -= 1

    def count_tokens(self, tokens: list[TemplateToken]) -> None:
        """Count the tokens read. Raises LocatedError if the template is too long."""
        self._token_count += len(tokens)
        if self._token_count > MAX_TOKENS:
            raise LocatedError(f"template is too long (more than {MAX_TOKENS:,} tokens)", tokens[0].offset)

    @property
    def cost(self) -> int:
        """The number of tokens read so far, which is the cost of running them."""
        return self._token_count

    def declare_name(self, token: TemplateToken) -> str:
        """Record a name to which a tag assigns a value. Raises LocatedError for a literal's name."""
        if token.value in LITERALS:
            raise LocatedError(f"'{token.value}' is a literal and cannot be used as a name", token.offset)
        self.declared_names.add(token.value)
        return token.value

    def record_root_name(self, name: str, offset: int) -> None:
        """Record the name at the start of an expression."""
        self._root_names.append((name, offset))

    def record_dash(self, following: "TokenStream", dash: int) -> str:
        """Record the dash at this offset, before these tokens, if it is probably a part of a key.

        Return the hint about the key's spelling, or '' if the dash is a minus: before a name that is assigned, or a
        call. Before a number it can be a minus, so there is a hint, but no warning.
        """
        token = following.current
        if self._dash_count >= MAX_EXAMINED_DASHES or token.offset != dash + 1 or not self._can_end_key(following):
            return ""
        self._dash_count += 1
        hint = explain_dash(self.source, dash)
        if not hint or token.kind == NUMBER:
            return hint
        if token.kind == NAME and token.value not in LITERALS and token.value not in self.functions:
            self._dash_hints[token.offset] = hint
        else:
            self.add_warning(hint, token.offset)
        return hint

    def _can_end_key(self, stream: "TokenStream") -> bool:
        token, call = stream.tokens[stream.index], stream.tokens[min(stream.index + 1, len(stream.tokens) - 1)]
        if token.kind != NAME:
            return token.kind in (KEYWORD, NUMBER)
        is_called = token.value in self.functions and call.kind == SYMBOL and call.value == "("
        return token.value not in self.declared_names and token.value not in BUILTIN_VARIABLES and not is_called

    def record_reference(self, name: str, key: str | int | None, offset: int) -> None:
        """Record that an expression reads the name, and its first key, if any."""
        self.references.append((name, key))
        if name == "Context" and isinstance(key, str):
            self._context_offsets.setdefault(key, offset)

    def get_context_names(self) -> tuple[tuple[str, int, int], ...]:
        """Return the context names that are read, each with line and column of its first use."""
        if "Context" in self.declared_names:
            return ()
        first_references = islice(self._context_offsets.items(), MAX_WARNINGS)
        return tuple((name, *get_line_and_column(self.source, offset)) for name, offset in first_references)

    def record_output(self, expression: Expression, first_reference: int) -> None:
        """Record a printed expression; the references from index `first_reference` on are its own."""
        if not expression.is_shell_safe and len(self.references) > first_reference:
            self.raw_outputs.append(RawOutput(tuple(self.references[first_reference:]), expression.offset))

    def add_warning(self, message: str, offset: int) -> None:
        """Warn about a probable mistake at `offset`."""
        self._warnings.append((message, offset))

    def get_warnings(self) -> tuple[TemplateWarning, ...]:
        """Return the first warnings, ordered by position, one per name. Call it after everything is parsed."""
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
                unknown_offsets.setdefault(self._dash_hints.get(offset, name), offset)
        for name, offset in islice(unknown_offsets.items(), MAX_WARNINGS):
            yield self._describe_unknown_name(name, offset, sorted(known_names)), offset

    def _describe_unknown_name(self, name: str, offset: int, known_names: list[str]) -> str:
        if offset in self._dash_hints:
            return self._dash_hints[offset]
        if name in self.filter_names:
            return f"unknown variable '{name}' is always empty: '{name}' is a filter, write value|{name}"
        suggestion = f"Event.{name}" if name in EVENT_FIELDS else find_closest_name(name, known_names)
        return f"unknown variable '{name}' is always empty{f': did you mean {suggestion!r}?' if suggestion else ''}"


class TokenStream:
    """A cursor over the tokens of one `{{ … }}` or `{% … %}` in the source; the last token is always END."""

    __slots__ = ("index", "source", "tokens")

    def __init__(self, tokens: list[TemplateToken], source: str) -> None:
        self.tokens = tokens
        self.source = source
        self.index = 0

    @property
    def current(self) -> TemplateToken:
        """The next token, not yet consumed."""
        return self.tokens[self.index]

    def accept(self, kind: str) -> TemplateToken | None:
        """Consume and return the next token if it is of the kind."""
        token = self.tokens[self.index]
        if token.kind != kind:
            return None
        if kind != END:
            self.index += 1
        return token

    def accept_symbol(self, *values: str) -> TemplateToken | None:
        """Consume and return the next token if it is one of the symbols."""
        token = self.tokens[self.index]
        if token.kind == SYMBOL and token.value in values:
            self.index += 1
            return token
        return None

    def accept_word(self, kind: str, *values: str) -> TemplateToken | None:
        """Consume and return the next token if it is a name or keyword (`kind`) and one of the words."""
        token = self.tokens[self.index]
        if token.kind == kind and token.value in values:
            self.index += 1
            return token
        return None

    def expect(self, kind: str, expected: str) -> TemplateToken:
        """Consume and return the next token. Raises LocatedError (`expected` describes it) unless it is of the kind."""
        token = self.accept(kind)
        if token is None:
            raise self.make_unexpected_token_error(expected)
        return token

    def expect_symbol(self, value: str, expected: str) -> TemplateToken:
        """Consume and return the next token. Raises LocatedError unless it is the symbol."""
        token = self.accept_symbol(value)
        if token is None:
            raise self.make_unexpected_token_error(expected)
        return token

    def is_at_end(self) -> bool:
        """Return whether every token is consumed."""
        return self.tokens[self.index].kind == END

    def expect_end(self, expected: str) -> None:
        """Raise LocatedError unless every token is consumed."""
        if not self.is_at_end():
            raise self.make_unexpected_token_error(expected)

    def make_unexpected_token_error(self, expected: str) -> LocatedError:
        """Return the error that the next token is not what was expected."""
        token = self.current
        return LocatedError(f"expected {expected}, found '{token.value}'{self.explain_current()}", token.offset)

    def explain_current(self) -> str:
        """Return the continuation of the message that the next token is unexpected, or ''."""
        token = self.current
        if token.kind == KEYWORD or token.value in ("-", "if"):
            return explain_unexpected(self.source, token.offset, token.value)
        return ""
