"""Hints for syntax errors: a spelling that another language has, and the one of this language."""

import re

_PATH_END_PATTERN = re.compile(r"[A-Za-z_][\w.]*\Z")
_SUBSCRIPT_PATTERN = re.compile(r"\[\s*(?:(-?)([0-9]+)|'([^'\n]*)'|\"([^\"\n]*)\"|([A-Za-z_][\w.]*))\s*\]")
_WORD_PATTERN = re.compile(r"\w+")
_CONDITIONAL_PATTERN = re.compile(r"\s*(?:\w+\s*=\s*)?(.+?)\s+if\s+(.+?)\s+else\s+(.+?)\s*\Z")
_NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
CONDITIONAL_HINT = "write {% if condition %}a{% else %}b{% endif %}"
MAX_HINT_LENGTH = 120
# An expression starts at most so far before an error in it.
MAX_SEARCH_LENGTH = 200


def suggest_key(path: str, key: str, source: str = "", end: int = 0) -> str:
    """Return the lookup of a key that is not a name. Another lookup follows if the source has a `.` at `end`."""
    quote = '"' if "'" in key else "'"
    lookup = f"{path}|key:{quote}{key}{quote}"
    return f"({lookup})" if source[end : end + 1] == "." else lookup


def explain_character(source: str, position: int) -> str:
    """Return the continuation of the message that the character at this position is unexpected; '' if nothing is known
    about it.
    """
    character = source[position]
    if character == "[":
        return _limit(_explain_subscript(source, position))
    if character == "~":
        return ": join text with +"
    if character == "?":
        return f": {CONDITIONAL_HINT}"
    return _limit(_explain_letter(source, position)) if character.isalnum() else ""


def _limit(hint: str) -> str:
    return hint if len(hint) <= MAX_HINT_LENGTH else ""


def _find_path_before(source: str, position: int) -> str:
    match = _PATH_END_PATTERN.search(source[max(0, position - MAX_SEARCH_LENGTH) : position])
    return match.group() if match else ""


def _explain_subscript(source: str, position: int) -> str:
    path = _find_path_before(source, position)
    if not path:
        return ": a list is written as text that is split, as in 'a,b'|split:','"
    match = _SUBSCRIPT_PATTERN.match(source, position, position + MAX_SEARCH_LENGTH)
    if match is None:
        return f": write {path}.0 for an item, and {path}|slice:'1:3' for a part"
    sign, digits, single, double, variable = match.groups()
    key = single if single is not None else double
    if digits is not None:
        return f": write {path}|index:-{digits}" if sign else f": write {path}.{digits}"
    if variable is not None:
        return f": write {path}|index:{variable} for a list, and {path}|key:{variable} for a map"
    if _NAME_PATTERN.match(key):
        return f": write {path}.{key}"
    return f": write {suggest_key(path, key, source, match.end())}"


def _explain_letter(source: str, position: int) -> str:
    """Explain a letter that is not allowed in names: if it is in a key, the key must be quoted."""
    start = position
    while start > 0 and (source[start - 1].isalnum() or source[start - 1] == "_"):
        start -= 1
    word = _WORD_PATTERN.match(source, start, start + MAX_SEARCH_LENGTH)
    path = _find_path_before(source, start - 1) if source[start - 1 : start] == "." else ""
    if word is None or not path:
        return ": a name consists of the letters a to z, digits and _"
    return f": write {suggest_key(path, word.group(), source, word.end())}"


def explain_conditional(code: str) -> str:
    """Return the spelling of `a if b else c`, which is the code of a `{{ … }}` or a tag."""
    match = _CONDITIONAL_PATTERN.match(code)
    if match is None:
        return CONDITIONAL_HINT
    hint = f"write {{% if {match[2]} %}}{{{{ {match[1]} }}}}{{% else %}}{{{{ {match[3]} }}}}{{% endif %}}"
    return hint if len(hint) <= MAX_HINT_LENGTH else CONDITIONAL_HINT
