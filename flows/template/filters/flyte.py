"""Filters for flows: regular expressions, key=value texts, white space, as in the original, and shell quoting."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import re2  # type: ignore[import-untyped]

from flows.template.errors import OperationError
from flows.template.filters.base import Filter, FilterFunc, check_text_length
from flows.template.runtime.render_context import RenderContext
from flows.template.runtime.values import to_text

_WHITESPACE = re2.compile(r"\s+")


class CompiledRegex(NamedTuple):
    """A compiled regular expression. size: of its program; a search takes time in proportion to it and the text."""

    search: Callable[[str], Any]
    group_count: int
    program_size: int


def replace_surrogates(value: str) -> str:
    """Replace lone surrogates, which UTF-8 and RE2 reject."""
    return value if value.isascii() else value.encode(errors="replace").decode()


@lru_cache(maxsize=512)
def compile_regex(pattern: str, captures_groups: bool) -> CompiledRegex:
    """Compile the regular expression. RE2 has no lookaround and no backreferences, and runs in linear time."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = not captures_groups
    try:
        compiled = re2.compile(replace_surrogates(pattern), options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise OperationError(f"invalid regular expression: {reason}") from None
    return CompiledRegex(compiled.search, compiled.groups, compiled.programsize)


def _search(regex: CompiledRegex, source: str, render_context: RenderContext) -> Any:
    render_context.charge(len(source) * regex.program_size >> 8)
    return regex.search(source)


def _bind_match(argument: object) -> FilterFunc:
    regex = compile_regex(to_text(argument), False)

    def match(value: object, _: object, render_context: RenderContext) -> bool:
        text = value if type(value) is str else to_text(value)
        return _search(regex, replace_surrogates(text), render_context) is not None

    return match


def _match(value: object, argument: object, render_context: RenderContext) -> object:
    regex = compile_regex(to_text(argument), False)
    render_context.charge(50 + (regex.program_size >> 4))
    return _search(regex, replace_surrogates(to_text(value)), render_context) is not None


def _extract(regex: CompiledRegex, value: object, render_context: RenderContext) -> str:
    source = replace_surrogates(to_text(value))
    match = _search(regex, source, render_context)
    if match is None or regex.group_count == 0:
        return source
    return match.group(1) or ""


def _bind_extract_match(argument: object) -> FilterFunc:
    regex = compile_regex(to_text(argument), True)
    return lambda value, _, render_context: _extract(regex, value, render_context)


def _extract_match(value: object, argument: object, render_context: RenderContext) -> object:
    regex = compile_regex(to_text(argument), True)
    render_context.charge(50 + (regex.program_size >> 4))
    return _extract(regex, value, render_context)


def _kvp(value: object, argument: object, render_context: RenderContext) -> object:
    pairs = (part.split("=") for part in to_text(value).split(","))
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}


def _remove_duplicate_whitespace(value: object, argument: object, render_context: RenderContext) -> object:
    return _WHITESPACE.sub(" ", replace_surrogates(to_text(value))).rstrip(" ")


def _safe_copy_paste(value: object, argument: object, render_context: RenderContext) -> object:
    return to_text(value).replace("\u00a0", " ")


def _shell_quote(value: object, argument: object, render_context: RenderContext) -> object:
    words = value if isinstance(value, list) else [value]
    return " ".join(_quote_word(to_text(word), render_context) for word in words)


def _quote_word(word: str, render_context: RenderContext) -> str:
    """Quote one word for a POSIX shell. Always: without quotes, `if` and `PATH=x` have a special meaning."""
    if "\x00" in word:
        raise OperationError("shellquote cannot quote NUL: no shell accepts it")
    quote_count = word.count("'")
    check_text_length(len(word) + 4 * quote_count + 2, render_context)
    return "'" + word.replace("'", "'\"'\"'") + "'"


FLYTE_FILTERS = (
    Filter("match", _match, bind_argument=_bind_match),
    Filter("extractMatch", _extract_match, bind_argument=_bind_extract_match),
    Filter("kvp", _kvp),
    Filter("removedupwhitespaces", _remove_duplicate_whitespace),
    Filter("safecopypaste", _safe_copy_paste),
    Filter("shellquote", _shell_quote),
)
