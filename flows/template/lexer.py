"""A lexer that splits a source into text and code, and code into tokens.

A string literal may contain `}}` or `%}`: code ends at the first closing delimiter outside a literal. So code is read
token by token, not up to the next closing delimiter.
"""

import re
from typing import NamedTuple

from flows.template.errors import LocatedError
from flows.template.hints import explain_character

NAME, NUMBER, STRING, KEYWORD, SYMBOL, END = "name", "number", "string", "keyword", "symbol", "end"

KEYWORDS = frozenset({"in", "and", "or", "not", "true", "false", "as", "export"})
WHITESPACE = " \n\r\t"

# Each alternative begins with a different character class and none can match the empty string, so that matching is
# linear in the source. A name may begin with digits (`2nd`), as in the original.
_TOKEN_PATTERN = re.compile(
    r"""[ \t\r]*(?:
        (?P<name>[0-9]*[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[0-9]+)
      | (?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
      | (?P<symbol>-\}\}|-%\}|==|>=|<=|&&|\|\||\}\}|%\}|!=|<>|[()+\-*<>/^,.!|:=%])
    )""",
    re.VERBOSE,
)
_OPENING_PATTERN = re.compile(r"\{\{-?|\{%-?|\{\#")
_ESCAPE_PATTERN = re.compile(r"""\\([\\"'])""")
_BLANK_PATTERN = re.compile(r"[ \t\r]*")

_LINE_BREAK_PATTERN = re.compile(r"""\\([\\"'n])""")
_STRING_PATTERN = re.compile(r"""'(?:[^'\\\n]|\\[^\n])*'|"(?:[^"\\\n]|\\[^\n])*\"""")

CLOSING_DELIMITERS = frozenset({"}}", "%}", "-}}", "-%}"})


class TemplateToken(NamedTuple):
    """A token. kind: one of the names above. value: unescaped for a string literal. offset: index in the source."""

    kind: str
    value: str
    offset: int


class TokenizedCode(NamedTuple):
    """One `{{ … }}` or `{% … %}`: its tokens, ended by an END token at the closing delimiter, and the end's offset."""

    tokens: list[TemplateToken]
    closing_delimiter: str
    end: int


def find_opening_delimiter(source: str, start: int) -> tuple[str, int]:
    """Return the next opening delimiter at or after `start` and its offset, or ('', length of the source)."""
    match = _OPENING_PATTERN.search(source, start)
    return (match.group(), match.start()) if match else ("", len(source))


def find_comment_end(source: str, start: int) -> int:
    """Return the offset after the `{# … #}` that begins at `start`. A comment must end on its line."""
    end = source.find("#}", start + 2)
    newline = source.find("\n", start + 2)
    if newline >= 0 and (end < 0 or newline < end):
        raise LocatedError("a comment must end on its line", start)
    if end < 0:
        raise LocatedError("comment is not closed: expected '#}'", start)
    return end + 2


def tokenize_code(source: str, start: int) -> TokenizedCode:
    """Read tokens from `start`, just after an opening delimiter, up to and including the closing one."""
    tokens: list[TemplateToken] = []
    append, position, match_token = tokens.append, start, _TOKEN_PATTERN.match
    while match := match_token(source, position):
        kind = match.lastgroup or ""
        position = match.end()
        value, offset = match[kind], match.start(kind)
        if kind == "symbol":
            if value in CLOSING_DELIMITERS:
                append(TemplateToken(END, value, offset))
                return TokenizedCode(tokens, value, position)
            append(TemplateToken(SYMBOL, value, offset))
        elif kind == "name":
            append(TemplateToken(KEYWORD if value in KEYWORDS else NAME, value, offset))
        elif kind == "string":
            body = value[1:-1]
            append(TemplateToken(STRING, _ESCAPE_PATTERN.sub(r"\1", body) if "\\" in body else body, offset))
        else:
            append(TemplateToken(NUMBER, value, offset))
    raise _make_lexer_error(source, position)


def read_string_with_line_breaks(source: str, offset: int) -> str:
    """Return the value of the string literal at this offset; here, `\\n` is a line break, too."""
    literal = _STRING_PATTERN.match(source, offset)
    body = literal.group()[1:-1] if literal else ""
    return _LINE_BREAK_PATTERN.sub(lambda match: "\n" if match[1] == "n" else match[1], body)


def _make_lexer_error(source: str, position: int) -> LocatedError:
    blank = _BLANK_PATTERN.match(source, position)
    position = blank.end() if blank else position
    if position >= len(source):
        return LocatedError("unexpected end of the template: expected '}}' or '%}'", position)
    character = source[position]
    if character == "\n":
        return LocatedError("a line break is not allowed inside {{ … }} and {% … %}", position)
    if character in "\"'":
        return LocatedError("string is not closed on its line", position)
    return LocatedError(f"unexpected character {character!r}{explain_character(source, position)}", position)
