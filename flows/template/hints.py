"""Hints for syntax errors: a spelling that another language has, and the one of this language."""

import re

# A name with its keys, and the arguments of a call or an expression in parentheses, without other parentheses in them.
_PATH_END_PATTERN = re.compile(r"(?:[A-Za-z_][\w.]*(?:\([^()\n]*\)[\w.]*)?|\([^()\n]*\)[\w.]*)\Z")
_SUBSCRIPT_PATTERN = re.compile(r"\[\s*(?:(-?)([0-9]+)|'([^'\n]*)'|\"([^\"\n]*)\"|([A-Za-z_][\w.]*))\s*\]")
# A dash before digits is a minus.
_WORD_PATTERN = re.compile(r"[@$]?\w+(?:-(?![0-9]+\b)\w+)*")
_WORD_START_PATTERN = re.compile(r"\w(?:-?\w)*-?\Z")
_DASHED_START_PATTERN = re.compile(r"[0-9]*[A-Za-z_]\w*(?:-\w+)*\Z", re.ASCII)
_DASHED_END_PATTERN = re.compile(r"(?:-\w+)+", re.ASCII)
_REMAINING_PATH_PATTERN = re.compile(r"(?:\.\w+)*", re.ASCII)
_CONDITIONAL_PATTERN = re.compile(r"\s*(?:\w+\s*=\s*)?(.+?)\s+if\s+(.+?)\s+else\s+(.+?)\s*\Z")
_NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
CONDITIONAL_HINT = "write {% if condition %}a{% else %}b{% endif %}"
MAX_HINT_LENGTH = 120
# An expression starts at most so far before an error in it.
MAX_SEARCH_LENGTH = 200


def suggest_key(source: str, start: int, end: int, *, path_end: int = -1, key: str | None = None) -> str:
    """Return the lookup of the key at source[start:end] that is not a name, or '' if it is not a key.

    path_end: the end of the path to the map, if it is not just before the `.` of the key. key: the key, if the source
    does not have it in plain text.
    """
    path_end = start - 1 if path_end < 0 and source[start - 1 : start] == "." else path_end
    path = _find_path_before(source, path_end) if path_end > 0 else ""
    if not path:
        return ""
    key = source[start:end] if key is None else key
    quote = '"' if "'" in key else "'"
    remaining_path = _REMAINING_PATH_PATTERN.match(source, end, end + MAX_SEARCH_LENGTH)
    remaining_keys = remaining_path.group() if remaining_path else ""
    lookup = f"{path}|key:{quote}{key}{quote}"
    is_argument = source[: path_end - len(path)].rstrip(" \t").endswith(":")
    return f"({lookup}){remaining_keys}" if remaining_keys or is_argument else lookup


def explain_dash(source: str, dash: int) -> str:
    """Return the spelling of the key that the dash at this offset is probably a part of, or ''."""
    name = _find_dashed_name(source, dash)
    lookup = suggest_key(source, *name) if name else ""
    return _limit(f"a dash is a minus here: for a key with a dash, write {lookup}") if lookup else ""


def explain_unexpected(source: str, start: int, word: str) -> str:
    """Return the continuation of the message that a dash, a keyword or `if` is unexpected, or ''."""
    if word == "if":
        return f": {CONDITIONAL_HINT}"
    dash = start if word == "-" else start - 1
    if source[dash : dash + 1] == "-":
        hint = explain_dash(source, dash) or _explain_dash_in_name(source, dash)
    else:
        match = _DASHED_END_PATTERN.match(source, start + len(word), start + MAX_SEARCH_LENGTH)
        lookup = suggest_key(source, start, match.end() if match else start + len(word))
        hint = f"write {lookup}" if lookup else ""
    return _limit(f": {hint}") if hint else ""


def _explain_dash_in_name(source: str, dash: int) -> str:
    name = _find_dashed_name(source, dash)
    if name is None or source[name[0] - 1 : name[0]] in (".", "|"):
        return ""
    return f"a name can't contain a dash, write {source[slice(*name)].replace('-', '_')}"


def _find_dashed_name(source: str, dash: int) -> tuple[int, int] | None:
    """Return start and end of the words that this dash joins, or None."""
    before = _DASHED_START_PATTERN.search(source[max(0, dash - MAX_SEARCH_LENGTH) : dash])
    after = _DASHED_END_PATTERN.match(source, dash, dash + MAX_SEARCH_LENGTH)
    return (dash - len(before.group()), after.end()) if before and after else None


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
    return _limit(_explain_letter(source, position)) if character.isalnum() or character in "@$" else ""


def _limit(hint: str) -> str:
    return hint if len(hint) <= MAX_HINT_LENGTH else ""


def _find_path_before(source: str, position: int) -> str:
    match = _PATH_END_PATTERN.search(source[max(0, position - MAX_SEARCH_LENGTH) : position])
    return match.group() if match else ""


def _explain_subscript(source: str, position: int) -> str:
    path = _find_path_before(source, position)
    if not path:
        return ": lists have no literal: write 'a,b'|split:','"
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
    return f": write {suggest_key(source, position, match.end(), path_end=position, key=key)}"


def _explain_letter(source: str, position: int) -> str:
    """Explain a letter that is not allowed in names: if it is in a key, the key must be quoted."""
    before = _WORD_START_PATTERN.search(source[max(0, position - MAX_SEARCH_LENGTH) : position])
    start = position - len(before.group()) if before else position
    word = _WORD_PATTERN.match(source, start, start + MAX_SEARCH_LENGTH)
    lookup = suggest_key(source, start, word.end()) if word else ""
    if lookup:
        return f": write {lookup}"
    return ": a name consists of the letters a to z, digits and _" if source[position].isalnum() else ""


def explain_conditional(code: str) -> str:
    """Return the spelling of `a if b else c`, which is the code of a `{{ … }}` or a tag."""
    match = _CONDITIONAL_PATTERN.match(code)
    if match is None:
        return CONDITIONAL_HINT
    hint = f"write {{% if {match[2]} %}}{{{{ {match[1]} }}}}{{% else %}}{{{{ {match[3]} }}}}{{% endif %}}"
    return hint if len(hint) <= MAX_HINT_LENGTH else CONDITIONAL_HINT
