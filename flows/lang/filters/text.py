"""Filters for text: case, length, padding, cutting and words."""

from django.template.defaultfilters import addslashes as django_addslashes

from flows.lang.errors import RefusedError
from flows.lang.evaluation import Evaluation
from flows.lang.filters.base import Filter, check_length
from flows.lang.values import length, text, whole

_PHONE = str.maketrans("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999" * 2)


def _upper(value: object, argument: object, evaluation: Evaluation) -> object:
    return text(value).upper()


def _lower(value: object, argument: object, evaluation: Evaluation) -> object:
    return text(value).lower()


def _capfirst(value: object, argument: object, evaluation: Evaluation) -> object:
    if length(value) == 0:
        return ""
    words = text(value)
    return words[:1].upper() + words[1:]


def _separates(char: str) -> bool:
    if char < "\x80":
        return not (char.isalnum() or char == "_")
    return char.isspace()


def _title(value: object, argument: object, evaluation: Evaluation) -> object:
    if not isinstance(value, str):
        return ""
    previous, out = " ", []
    for char in value.lower():
        out.append(char.title() if _separates(previous) else char)
        previous = char
    return "".join(out)


def _length(value: object, argument: object, evaluation: Evaluation) -> object:
    return length(value)


def _length_is(value: object, argument: object, evaluation: Evaluation) -> object:
    return length(value) == whole(argument)


def _ljust(value: object, argument: object, evaluation: Evaluation) -> object:
    spaces = whole(argument) - length(value)
    check_length(spaces, evaluation)
    return text(value) + " " * spaces


def _rjust(value: object, argument: object, evaluation: Evaluation) -> object:
    width = whole(argument)
    check_length(abs(width), evaluation)
    return text(value).rjust(width) if width >= 0 else text(value).ljust(-width)


def _center(value: object, argument: object, evaluation: Evaluation) -> object:
    spaces = whole(argument) - length(value)
    check_length(spaces, evaluation)
    if spaces <= 0:
        return value
    right = spaces // 2
    return " " * (spaces - right) + text(value) + " " * right


def _cut(value: object, argument: object, evaluation: Evaluation) -> object:
    part = text(argument)
    return text(value).replace(part, "") if part else text(value)


def _addslashes(value: object, argument: object, evaluation: Evaluation) -> object:
    return django_addslashes(text(value))


def _truncatechars(value: object, argument: object, evaluation: Evaluation) -> object:
    words, size = text(value), whole(argument)
    if size < 0:
        raise RefusedError("truncatechars needs a number that is not negative")
    if size >= len(words):
        return words
    return words[: size - 3] + "..." if size >= 3 else words[:size]


def _truncatewords(value: object, argument: object, evaluation: Evaluation) -> object:
    words, count = text(value).split(), whole(argument)
    if count <= 0:
        return ""
    return " ".join([*words[:count], "..."] if count < len(words) else words)


def _wordcount(value: object, argument: object, evaluation: Evaluation) -> object:
    return len(text(value).split())


def _wordwrap(value: object, argument: object, evaluation: Evaluation) -> object:
    count = whole(argument)
    if count <= 0:
        return value
    words = text(value).split()
    return "\n".join(" ".join(words[start : start + count]) for start in range(0, len(words), count))


def _linenumbers(value: object, argument: object, evaluation: Evaluation) -> object:
    return "\n".join(f"{number}. {line}" for number, line in enumerate(text(value).split("\n"), 1))


def _phone2numeric(value: object, argument: object, evaluation: Evaluation) -> object:
    return text(value).translate(_PHONE)


TEXT_FILTERS = (
    Filter("upper", _upper),
    Filter("lower", _lower),
    Filter("capfirst", _capfirst),
    Filter("title", _title, slow=True),
    Filter("length", _length),
    Filter("length_is", _length_is),
    Filter("ljust", _ljust),
    Filter("rjust", _rjust),
    Filter("center", _center),
    Filter("cut", _cut),
    Filter("addslashes", _addslashes),
    Filter("truncatechars", _truncatechars),
    Filter("truncatewords", _truncatewords),
    Filter("wordcount", _wordcount),
    Filter("wordwrap", _wordwrap, slow=True),
    Filter("linenumbers", _linenumbers, slow=True),
    Filter("phone2numeric", _phone2numeric),
)
