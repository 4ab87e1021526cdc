"""Cuts a source into text and code, and code into tokens.

A string literal may hold `}}` or `%}`: code ends at the first closing mark outside a literal. So code is read token by
token, not up to the next closing mark.
"""

import re
from typing import NamedTuple

from flows.lang.errors import SourceError

NAME, NUMBER, STRING, KEYWORD, SYMBOL, END = "name", "number", "string", "keyword", "symbol", "end"

KEYWORDS = frozenset({"in", "and", "or", "not", "true", "false", "as", "export"})
SPACE = " \n\r\t"

# Each alternative begins with a different character class and none can match the empty string, so that reading is
# linear in the source. A name may begin with digits (`2nd`), as in the original.
_TOKEN = re.compile(
    r"""[ \t\r]*(?:
        (?P<name>[0-9]*[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[0-9]+)
      | (?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
      | (?P<symbol>-\}\}|-%\}|==|>=|<=|&&|\|\||\}\}|%\}|!=|<>|[()+\-*<>/^,.!|:=%])
    )""",
    re.VERBOSE,
)
_OPENING = re.compile(r"\{\{-?|\{%-?|\{\#")
_ESCAPE = re.compile(r"""\\([\\"'])""")
_BLANK = re.compile(r"[ \t\r]*")

CLOSING = frozenset({"}}", "%}", "-}}", "-%}"})


class Token(NamedTuple):
    """kind: one of the names above. value: a string literal's is already unescaped. offset: index in the source."""

    kind: str
    value: str
    offset: int


class Code(NamedTuple):
    """One `{{ … }}` or `{% … %}`: its tokens, ended by an END token at the closing mark, and where text goes on."""

    tokens: list[Token]
    closing: str
    end: int


def find_opening(source: str, start: int) -> tuple[str, int]:
    """The next opening mark at or after `start` and its offset, or ('', length of the source)."""
    match = _OPENING.search(source, start)
    return (match.group(), match.start()) if match else ("", len(source))


def end_of_comment(source: str, start: int) -> int:
    """Offset behind the `{# … #}` that begins at `start`. A comment must end on its line."""
    end = source.find("#}", start + 2)
    newline = source.find("\n", start + 2)
    if newline >= 0 and (end < 0 or newline < end):
        raise SourceError("a comment must end on its line", start)
    if end < 0:
        raise SourceError("the comment is not closed: '#}' expected", start)
    return end + 2


def read_code(source: str, start: int) -> Code:
    """Reads tokens from `start`, just behind an opening mark, up to and including the closing mark."""
    tokens: list[Token] = []
    append, position, read = tokens.append, start, _TOKEN.match
    while match := read(source, position):
        kind = match.lastgroup or ""
        position = match.end()
        value, offset = match[kind], match.start(kind)
        if kind == "symbol":
            if value in CLOSING:
                append(Token(END, value, offset))
                return Code(tokens, value, position)
            append(Token(SYMBOL, value, offset))
        elif kind == "name":
            append(Token(KEYWORD if value in KEYWORDS else NAME, value, offset))
        elif kind == "string":
            body = value[1:-1]
            append(Token(STRING, _ESCAPE.sub(r"\1", body) if "\\" in body else body, offset))
        else:
            append(Token(NUMBER, value, offset))
    raise _unreadable(source, position)


def _unreadable(source: str, position: int) -> SourceError:
    blank = _BLANK.match(source, position)
    position = blank.end() if blank else position
    if position >= len(source):
        return SourceError("unexpected end of the template: '}}' or '%}' expected", position)
    char = source[position]
    if char == "\n":
        return SourceError("a line break is not allowed inside {{ … }} and {% … %}", position)
    if char in "\"'":
        return SourceError("the string is not closed on its line", position)
    return SourceError(f"unexpected character {char!r}", position)
