"""Filters for text: case, length, padding, cutting and words."""

import re

from django.template.defaultfilters import addslashes as django_addslashes

from flows.template.errors import OperationError
from flows.template.filters.base import Filter, check_text_length
from flows.template.runtime.numbers import read_int
from flows.template.runtime.render_context import RenderContext
from flows.template.runtime.values import get_length, to_text

_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_PHONE_DIGITS = str.maketrans("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999" * 2)


def _upper(value: object, argument: object, render_context: RenderContext) -> object:
    return to_text(value).upper()


def _lower(value: object, argument: object, render_context: RenderContext) -> object:
    return to_text(value).lower()


def _capfirst(value: object, argument: object, render_context: RenderContext) -> object:
    if get_length(value) == 0:
        return ""
    source = to_text(value)
    return source[:1].upper() + source[1:]


def _is_word_separator(char: str) -> bool:
    if char < "\x80":
        return not (char.isalnum() or char == "_")
    return char.isspace()


def _title(value: object, argument: object, render_context: RenderContext) -> object:
    if not isinstance(value, str):
        return ""
    previous, output = " ", []
    for char in value.lower():
        output.append(char.title() if _is_word_separator(previous) else char)
        previous = char
    return "".join(output)


def _length(value: object, argument: object, render_context: RenderContext) -> object:
    return get_length(value)


def _length_is(value: object, argument: object, render_context: RenderContext) -> object:
    return get_length(value) == read_int(argument, render_context)


def _ljust(value: object, argument: object, render_context: RenderContext) -> object:
    spaces = read_int(argument, render_context) - get_length(value)
    check_text_length(spaces, render_context)
    return to_text(value) + " " * spaces


def _rjust(value: object, argument: object, render_context: RenderContext) -> object:
    width = read_int(argument, render_context)
    check_text_length(abs(width), render_context)
    return to_text(value).rjust(width) if width >= 0 else to_text(value).ljust(-width)


def _center(value: object, argument: object, render_context: RenderContext) -> object:
    spaces = read_int(argument, render_context) - get_length(value)
    check_text_length(spaces, render_context)
    if spaces <= 0:
        return value
    right = spaces // 2
    return " " * (spaces - right) + to_text(value) + " " * right


def _cut(value: object, argument: object, render_context: RenderContext) -> object:
    part = to_text(argument)
    return to_text(value).replace(part, "") if part else to_text(value)


def _replace(value: object, arguments: object, render_context: RenderContext) -> object:
    source = to_text(value)
    old, new = (to_text(argument) for argument in arguments) if isinstance(arguments, tuple) else ("", "")
    if not old:
        raise OperationError("replace needs the text to search for: replace:'old':'new'")
    check_text_length(len(source) + source.count(old) * (len(new) - len(old)), render_context)
    return source.replace(old, new)


def _trim(value: object, argument: object, render_context: RenderContext) -> object:
    """Remove white space, or the given characters, from both ends."""
    source = str.__str__(to_text(value))
    return source.strip() if argument is None else source.strip(to_text(argument))


def _lines(value: object, argument: object, render_context: RenderContext) -> object:
    """Split into lines; a line break at the end starts no other line."""
    lines: list[object] = list(_LINE_BREAK.split(to_text(value)))
    return lines[:-1] if lines[-1] == "" else lines


def _words(value: object, argument: object, render_context: RenderContext) -> object:
    return list[object](to_text(value).split())


def _addslashes(value: object, argument: object, render_context: RenderContext) -> object:
    return django_addslashes(to_text(value))


def _truncatechars(value: object, argument: object, render_context: RenderContext) -> object:
    source, max_length = to_text(value), read_int(argument, render_context)
    if max_length < 0:
        raise OperationError("truncatechars needs a number of at least 0")
    if max_length >= len(source):
        return source
    return source[: max_length - 3] + "..." if max_length >= 3 else source[:max_length]


def _truncatewords(value: object, argument: object, render_context: RenderContext) -> object:
    words, count = to_text(value).split(), read_int(argument, render_context)
    if count <= 0:
        return ""
    return " ".join([*words[:count], "..."] if count < len(words) else words)


def _wordcount(value: object, argument: object, render_context: RenderContext) -> object:
    return len(to_text(value).split())


def _wordwrap(value: object, argument: object, render_context: RenderContext) -> object:
    count = read_int(argument, render_context)
    if count <= 0:
        return value
    words = to_text(value).split()
    return "\n".join(" ".join(words[start : start + count]) for start in range(0, len(words), count))


def _linenumbers(value: object, argument: object, render_context: RenderContext) -> object:
    return "\n".join(f"{number}. {line}" for number, line in enumerate(to_text(value).split("\n"), 1))


def _phone2numeric(value: object, argument: object, render_context: RenderContext) -> object:
    return to_text(value).translate(_PHONE_DIGITS)


TEXT_FILTERS = (
    Filter("upper", _upper),
    Filter("lower", _lower),
    Filter("capfirst", _capfirst),
    Filter("title", _title, is_per_character=True),
    Filter("length", _length),
    Filter("length_is", _length_is),
    Filter("ljust", _ljust),
    Filter("rjust", _rjust),
    Filter("center", _center),
    Filter("cut", _cut),
    Filter("replace", _replace, takes_two_arguments=True),
    Filter("trim", _trim),
    Filter("lines", _lines),
    Filter("words", _words),
    Filter("addslashes", _addslashes),
    Filter("truncatechars", _truncatechars),
    Filter("truncatewords", _truncatewords),
    Filter("wordcount", _wordcount),
    Filter("wordwrap", _wordwrap, is_per_character=True),
    Filter("linenumbers", _linenumbers, is_per_character=True),
    Filter("phone2numeric", _phone2numeric),
)
