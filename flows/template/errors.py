"""What goes wrong in a template, and where: errors, warnings, and how a place in a source is shown."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace


class LocatedError(Exception):
    """An error on its way up inside the language, before the template adds its source.

    offset: index of the character it is about, in the source of the template being compiled or rendered.
    """

    def __init__(self, message: str, offset: int = 0, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.suggestion = suggestion


class OperationError(Exception):
    """A filter or a function refuses its value or argument; whoever called it knows the place."""


# What closures turn into an error at their place. A value that is nested too deep is refused as any other.
OPERATION_ERRORS = (OperationError, RecursionError)


def locate_error(error: Exception, offset: int) -> LocatedError:
    """The refusal as an error at `offset`."""
    return LocatedError("nested too deep" if isinstance(error, RecursionError) else str(error), offset)


class TemplateError(Exception):
    """A template that cannot be compiled or rendered. The only exception that leaves `flows.template`.

    message: what is wrong, without the place. line, column: where, from 1. excerpt: the source line and, under it, a
    caret. suggestion: the name that was probably meant. path: where the template stands in its document
    (`command.input.to[0]`), or ''.
    """

    def __init__(
        self,
        message: str,
        line: int = 1,
        column: int = 1,
        excerpt: str = "",
        suggestion: str | None = None,
        path: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.excerpt = excerpt
        self.suggestion = suggestion
        self.path = path

    def redact_message(self) -> "TemplateError":
        """The same error without what the template was working on: it has read a secret."""
        message = "this fails, and has read a secret, so that what is wrong can't be told"
        return TemplateError(message, self.line, self.column, self.excerpt, None, self.path)

    def __str__(self) -> str:
        position = f"line {self.line}, column {self.column}"
        hint = f" (did you mean '{self.suggestion}'?)" if self.suggestion else ""
        text = f"{self.path + ': ' if self.path else ''}{self.message}{hint} at {position}"
        return f"{text}\n{self.excerpt}" if self.excerpt else text


@dataclass(frozen=True, slots=True)
class TemplateWarning:
    """Something that compiles but is probably not meant. line, column: from 1; path as in TemplateError."""

    message: str
    line: int
    column: int
    path: str = ""

    def with_path(self, path: str) -> "TemplateWarning":
        """The same warning for the template at `path` of its document."""
        return replace(self, path=path)

    def __str__(self) -> str:
        return f"{self.path + ': ' if self.path else ''}{self.message} at line {self.line}, column {self.column}"


MAX_EXCERPT_WIDTH = 120


def get_line_and_column(source: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of the character at `offset`."""
    offset = min(max(offset, 0), len(source))
    return source.count("\n", 0, offset) + 1, offset - source.rfind("\n", 0, offset)


def format_excerpt(source: str, offset: int) -> str:
    """The source line around `offset`, and a line with a caret under it. Long lines are cut around the place."""
    offset = min(max(offset, 0), len(source))
    line_start = source.rfind("\n", 0, offset) + 1
    line_end = source.find("\n", offset)
    line = source[line_start : line_end if line_end >= 0 else len(source)]
    column = offset - line_start
    if len(line) > MAX_EXCERPT_WIDTH:
        excerpt_start = max(0, column - MAX_EXCERPT_WIDTH // 2)
        line, column = line[excerpt_start : excerpt_start + MAX_EXCERPT_WIDTH], column - excerpt_start
    line = line.replace("\t", " ").replace("\r", " ")
    return f"{line}\n{' ' * column}^"


def make_template_error(error: LocatedError, source: str) -> TemplateError:
    """The fault as the error that callers see."""
    line, column = get_line_and_column(source, error.offset)
    return TemplateError(error.message, line, column, format_excerpt(source, error.offset), error.suggestion)


def find_closest_name(name: str, known_names: Iterable[str]) -> str | None:
    """The known name that was probably meant by `name`, or None."""
    if len(name) > 60:
        return None
    names = list(known_names)
    by_lower = {candidate.lower(): candidate for candidate in names}
    case_insensitive_match = by_lower.get(name.lower())
    if case_insensitive_match is not None and case_insensitive_match != name:
        return case_insensitive_match
    close_matches = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return close_matches[0] if close_matches else None
