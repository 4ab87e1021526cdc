"""Template errors and warnings, with their positions and source excerpts."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace


class LocatedError(Exception):
    """An internal error of the language, before the template adds its source.

    offset: index of the character concerned, in the source of the template being compiled or rendered.
    """

    def __init__(self, message: str, offset: int = 0, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.suggestion = suggestion


class OperationError(Exception):
    """An invalid value or argument of a filter, function or operator; the caller adds the position."""


# Errors that closures convert to a LocatedError. Too deeply nested values raise RecursionError.
OPERATION_ERRORS = (OperationError, RecursionError)


def locate_error(error: Exception, offset: int) -> LocatedError:
    """Convert the error to a LocatedError at `offset`."""
    return LocatedError("nested too deeply" if isinstance(error, RecursionError) else str(error), offset)


class TemplateError(Exception):
    """A template that cannot be compiled or rendered. The only exception that leaves `flows.template`.

    message: the error, without its position. line, column: the position, from 1. excerpt: the source line and, under
    it, a caret. suggestion: the name that was probably meant. path: the template's path in its document
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
        """Return the error without the values that the template was working on: it has read a secret."""
        message = "error details hidden because the template reads a secret"
        return TemplateError(message, self.line, self.column, self.excerpt, None, self.path)

    def __str__(self) -> str:
        position = f"line {self.line}, column {self.column}"
        hint = f" (did you mean '{self.suggestion}'?)" if self.suggestion else ""
        text = f"{self.path + ': ' if self.path else ''}{self.message}{hint} at {position}"
        return f"{text}\n{self.excerpt}" if self.excerpt else text


@dataclass(frozen=True, slots=True)
class TemplateWarning:
    """A probable mistake in a template that compiles. line, column: from 1; path as in TemplateError."""

    message: str
    line: int
    column: int
    path: str = ""

    def with_path(self, path: str) -> "TemplateWarning":
        """Return the same warning for the template at `path` of its document."""
        return replace(self, path=path)

    def __str__(self) -> str:
        return f"{self.path + ': ' if self.path else ''}{self.message} at line {self.line}, column {self.column}"


MAX_EXCERPT_WIDTH = 120
MAX_SUGGESTED_LENGTH = 60
MAX_COMPARED_NAMES = 300
SIMILARITY = 0.6


def get_line_and_column(source: str, offset: int) -> tuple[int, int]:
    """Return line and column, both from 1, of the character at `offset`."""
    offset = min(max(offset, 0), len(source))
    return source.count("\n", 0, offset) + 1, offset - source.rfind("\n", 0, offset)


def format_excerpt(source: str, offset: int) -> str:
    """Return the source line around `offset`, and a line with a caret under it. Long lines are cut."""
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
    """Convert an internal error to the TemplateError that callers see."""
    line, column = get_line_and_column(source, error.offset)
    return TemplateError(error.message, line, column, format_excerpt(source, error.offset), error.suggestion)


def find_closest_name(name: str, known_names: Iterable[str]) -> str | None:
    """Return the known name that was probably meant by `name`, or None.

    Names of more than MAX_SUGGESTED_LENGTH characters have none, and only MAX_COMPARED_NAMES are compared.
    """
    if len(name) > MAX_SUGGESTED_LENGTH:
        return None
    by_lower: dict[str, str] = {}
    similar_names: list[str] = []
    for candidate in known_names:
        by_lower[candidate.lower()] = candidate
        # Two texts of more different lengths can't be similar enough.
        if SIMILARITY * (len(name) + len(candidate)) <= 2 * min(len(name), len(candidate)):
            similar_names.append(candidate)
    case_insensitive_match = by_lower.get(name.lower())
    if case_insensitive_match is not None and case_insensitive_match != name:
        return case_insensitive_match
    close_matches = difflib.get_close_matches(name, similar_names[:MAX_COMPARED_NAMES], n=1, cutoff=SIMILARITY)
    return close_matches[0] if close_matches else None
