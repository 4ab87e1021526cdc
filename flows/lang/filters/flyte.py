"""Filters for flows: what the original adds – regular expressions, key=value texts, cron, blanks – and shell quotes."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import re2  # type: ignore[import-untyped]

from flows.lang.cron import Cron, matches_cron, read_cron
from flows.lang.errors import RefusedError
from flows.lang.evaluation import Evaluation
from flows.lang.filters.base import Apply, Filter, check_length
from flows.lang.times import parse_rfc3339
from flows.lang.values import text

_BLANKS = re2.compile(r"\s+")


class Pattern(NamedTuple):
    """A compiled regular expression. size: of its program; a search takes time in proportion to it and the text."""

    search: Callable[[str], Any]
    groups: int
    size: int


def encodable(value: str) -> str:
    """The text without half characters (lone surrogates), which UTF-8 and RE2 do not know."""
    return value if value.isascii() else value.encode(errors="replace").decode()


@lru_cache(maxsize=512)
def read_pattern(pattern: str, capture: bool) -> Pattern:
    """The compiled regular expression. RE2 knows no lookaround and no backreferences, and never runs away."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = not capture
    try:
        found = re2.compile(encodable(pattern), options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise RefusedError(f"the regular expression is not valid: {reason}") from None
    return Pattern(found.search, found.groups, found.programsize)


def _search(pattern: Pattern, source: str, evaluation: Evaluation) -> Any:
    evaluation.spend(len(source) * pattern.size >> 8)
    return pattern.search(source)


def _match_with(argument: object) -> Apply:
    pattern = read_pattern(text(argument), False)
    return lambda value, _, evaluation: _search(pattern, encodable(text(value)), evaluation) is not None


def _match(value: object, argument: object, evaluation: Evaluation) -> object:
    pattern = read_pattern(text(argument), False)
    evaluation.spend(50 + (pattern.size >> 4))
    return _search(pattern, encodable(text(value)), evaluation) is not None


def _extract(pattern: Pattern, value: object, evaluation: Evaluation) -> str:
    source = encodable(text(value))
    match = _search(pattern, source, evaluation)
    if match is None or pattern.groups == 0:
        return source
    return match.group(1) or ""


def _extract_with(argument: object) -> Apply:
    pattern = read_pattern(text(argument), True)
    return lambda value, _, evaluation: _extract(pattern, value, evaluation)


def _extract_match(value: object, argument: object, evaluation: Evaluation) -> object:
    pattern = read_pattern(text(argument), True)
    evaluation.spend(50 + (pattern.size >> 4))
    return _extract(pattern, value, evaluation)


def _kvp(value: object, argument: object, evaluation: Evaluation) -> object:
    pairs = (part.split("=") for part in text(value).split(","))
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}


def _matches_cron(value: object, argument: object, evaluation: Evaluation) -> object:
    evaluation.spend(100)
    return _cron_holds(read_cron(text(argument)), value)


def _cron_holds(cron: Cron, value: object) -> bool:
    time = parse_rfc3339(value) if isinstance(value, str) else None
    if time is None:
        raise RefusedError(f"matchesCron needs a time such as '2018-02-14T23:18:09Z', not '{text(value)[:40]}'")
    return matches_cron(cron, time)


def _matches_cron_of(argument: object) -> Apply:
    cron = read_cron(text(argument))
    return lambda value, _, evaluation: _cron_holds(cron, value)


def _remove_blanks(value: object, argument: object, evaluation: Evaluation) -> object:
    return _BLANKS.sub(" ", encodable(text(value))).rstrip(" ")


def _safe_copy_paste(value: object, argument: object, evaluation: Evaluation) -> object:
    return text(value).replace("\u00a0", " ")


def _shell_quote(value: object, argument: object, evaluation: Evaluation) -> object:
    words = value if isinstance(value, list) else [value]
    return " ".join(_quoted(text(word), evaluation) for word in words)


def _quoted(word: str, evaluation: Evaluation) -> str:
    """One word for a POSIX shell. Also where there is no need to: without quotes `if` and `PATH=x` mean something."""
    if "\x00" in word:
        raise RefusedError("shellquote can't quote a NUL, which no shell takes")
    quotes = word.count("'")
    check_length(len(word) + 4 * quotes + 2, evaluation)
    return "'" + word.replace("'", "'\"'\"'") + "'"


FLYTE_FILTERS = (
    Filter("match", _match, prepare=_match_with),
    Filter("extractMatch", _extract_match, prepare=_extract_with),
    Filter("kvp", _kvp),
    Filter("matchesCron", _matches_cron, prepare=_matches_cron_of),
    Filter("removedupwhitespaces", _remove_blanks),
    Filter("safecopypaste", _safe_copy_paste),
    Filter("shellquote", _shell_quote),
)
