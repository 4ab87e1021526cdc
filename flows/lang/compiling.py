"""What the parsers share while one source is compiled: the place, the depth, the names, the warnings."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

from flows.lang.errors import SourceError, TemplateWarning, locate, nearest
from flows.lang.evaluation import Scope
from flows.lang.functions import Function
from flows.lang.lexer import END, SYMBOL, Token
from flows.lang.limits import MAX_DEPTH, MAX_TOKENS

Run = Callable[[Scope], object]
"""An expression, compiled: gives its value."""
Write = Callable[[Scope], str]
"""A piece of a template, compiled: gives its text."""

LITERALS: dict[str, object] = {"True": True, "False": False, "None": None, "none": None, "nil": None}
ROOTS = ("Event", "Context")
MAX_WARNINGS = 50


class Expression(NamedTuple):
    """A compiled expression. safe: `|safe` was applied to all of it. constant: it is a literal, `value`.

    harmless: whatever it is made of, its text means nothing to a shell, or what the template's writer wants.
    """

    run: Run
    offset: int
    safe: bool = False
    constant: bool = False
    value: object = None
    harmless: bool = False


class Printed(NamedTuple):
    """A `{{ … }}` that may print text as it came: what it reads, each the name and, if there is one, the first key."""

    reads: tuple[tuple[str, str | int | None], ...]
    line: int
    column: int


class Compiling:
    """The compilation of one source. watching: what it makes tells the evaluation what it looks up."""

    def __init__(self, source: str, functions: Mapping[str, Function], watching: bool = False) -> None:
        self.source = source
        self.functions = functions
        self.watching = watching
        self.declared: set[str] = set()
        self._depth = 0
        self._tokens = 0
        self._roots: list[tuple[str, int]] = []
        self.reads: list[tuple[str, str | int | None]] = []
        self.printed: list[Printed] = []
        self._context_names: dict[str, int] = {}
        self._warnings: list[tuple[str, int]] = []

    @contextmanager
    def deeper(self, offset: int) -> Iterator[None]:
        """One more level of parentheses, arguments or tags. Raises SourceError at `offset` when there are too many."""
        self.enter(offset)
        yield
        self._depth -= 1

    def enter(self, offset: int) -> None:
        """As `deeper`, for callers in a hurry; `leave` ends the level."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise SourceError(f"nested too deep (more than {MAX_DEPTH} levels)", offset)

    def leave(self) -> None:
        """The level that was entered last ends."""
        self._depth -= 1

    def count(self, tokens: list[Token]) -> None:
        """Counts what was read. Raises SourceError when the template is too long."""
        self._tokens += len(tokens)
        if self._tokens > MAX_TOKENS:
            raise SourceError(f"the template is too long (more than {MAX_TOKENS:,} tokens)", tokens[0].offset)

    @property
    def weight(self) -> int:
        """How many tokens were read so far: what running over them costs."""
        return self._tokens

    def declare(self, token: Token) -> str:
        """A tag gives a value to the name. Raises SourceError for a literal's name."""
        if token.value in LITERALS:
            raise SourceError(f"'{token.value}' is a value and cannot be a name", token.offset)
        self.declared.add(token.value)
        return token.value

    def use(self, name: str, offset: int) -> None:
        """An expression begins with the name."""
        self._roots.append((name, offset))

    def read(self, name: str, key: str | int | None, offset: int) -> None:
        """An expression reads what the name, and its first key if there is one, stand for."""
        self.reads.append((name, key))
        if name == "Context" and isinstance(key, str):
            self._context_names.setdefault(key, offset)

    def context_names(self) -> tuple[tuple[str, int, int], ...]:
        """The context's names that are read, each with the line and the column where it is read first."""
        if "Context" in self.declared:
            return ()
        named = islice(self._context_names.items(), MAX_WARNINGS)
        return tuple((name, *locate(self.source, offset)) for name, offset in named)

    def print(self, expression: Expression, reads: int) -> None:
        """An expression is printed; `reads` of what is read stand before it."""
        if not expression.harmless and len(self.reads) > reads:
            self.printed.append(Printed(tuple(self.reads[reads:]), *locate(self.source, expression.offset)))

    def warn(self, message: str, offset: int) -> None:
        """Something at `offset` is probably not meant."""
        self._warnings.append((message, offset))

    def warnings(self) -> tuple[TemplateWarning, ...]:
        """The first warnings, in the order of their places, one a name. Call it when everything is parsed."""
        found = sorted([*self._warnings, *self._unknown_roots()], key=lambda each: each[1])
        return tuple(TemplateWarning(message, *locate(self.source, offset)) for message, offset in found[:MAX_WARNINGS])

    def _unknown_roots(self) -> Iterator[tuple[str, int]]:
        known = {*ROOTS, *self.functions, *self.declared, "forloop"}
        unknown: dict[str, int] = {}
        for name, offset in self._roots:
            if name not in known:
                unknown.setdefault(name, offset)
        for name, offset in islice(unknown.items(), MAX_WARNINGS):
            meant = nearest(name, sorted(known))
            hint = f": did you mean '{meant}'?" if meant else ""
            yield f"nothing is called '{name}' here, so it is always empty{hint}", offset


class Cursor:
    """Walks over the tokens of one `{{ … }}` or `{% … %}`; the last is always END."""

    __slots__ = ("index", "tokens")

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.index = 0

    @property
    def current(self) -> Token:
        """The next token, not yet consumed."""
        return self.tokens[self.index]

    def take(self, kind: str) -> Token | None:
        """The next token, consumed, if it is of the kind."""
        token = self.tokens[self.index]
        if token.kind != kind:
            return None
        if kind != END:
            self.index += 1
        return token

    def take_symbol(self, *values: str) -> Token | None:
        """The next token, consumed, if it is one of the symbols."""
        token = self.tokens[self.index]
        if token.kind == SYMBOL and token.value in values:
            self.index += 1
            return token
        return None

    def take_word(self, kind: str, *values: str) -> Token | None:
        """The next token, consumed, if it is a name or keyword (`kind`) and one of the words."""
        token = self.tokens[self.index]
        if token.kind == kind and token.value in values:
            self.index += 1
            return token
        return None

    def expect(self, kind: str, what: str) -> Token:
        """The next token, consumed, which must be of the kind. Raises SourceError saying that `what` is expected."""
        token = self.take(kind)
        if token is None:
            raise self.unexpected(what)
        return token

    def expect_symbol(self, value: str, what: str) -> Token:
        """The next token, consumed, which must be the symbol. Raises SourceError."""
        token = self.take_symbol(value)
        if token is None:
            raise self.unexpected(what)
        return token

    def at_end(self) -> bool:
        """Whether everything is consumed."""
        return self.tokens[self.index].kind == END

    def finish(self, what: str) -> None:
        """Raises SourceError unless everything is consumed."""
        if not self.at_end():
            raise self.unexpected(what)

    def unexpected(self, what: str) -> SourceError:
        """The fault that the next token is not `what`."""
        token = self.current
        found = f"'{token.value}'"
        return SourceError(f"{what} expected, not {found}", token.offset)
