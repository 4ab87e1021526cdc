"""Warnings about filters of the audit that are ignored, as in the original server."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.http import QueryDict

from flows.definition.validation import find_closest_key

LABELS_PARAMETER = "actionPackLabels"
MAX_QUOTED_LENGTH = 40


@dataclass(frozen=True)
class FilterWarning:
    """A parameter of a query that is ignored, or of which a part is; `path` is its name."""

    path: str
    message: str


def find_filter_warnings(parameters: QueryDict, known_names: Iterable[str]) -> Iterator[FilterWarning]:
    """Find the parameters that have no effect or only a part of the effect that they seem to have."""
    names = list(known_names)
    for name, values in parameters.lists():
        if name not in names:
            yield FilterWarning(name[:MAX_QUOTED_LENGTH], describe_unknown_filter(name, names))
        elif len(values) > 1:
            yield FilterWarning(name, f"is repeated; only the last value counts, {_quote(values[-1])}")
    if LABELS_PARAMETER in names:
        yield from _find_label_warnings(parameters.get(LABELS_PARAMETER, ""))


def describe_unknown_filter(name: str, names: list[str]) -> str:
    """Describe a filter that does not exist, with a similar one or all that exist."""
    closest = find_closest_key(name, names)
    hint = f"did you mean {closest}?" if closest else f"filters: {', '.join(names)}"
    return f"unknown filter, which is ignored; {hint}"


def _find_label_warnings(text: str) -> Iterator[FilterWarning]:
    label_names: set[str] = set()
    for part in text.split(",") if text else ():
        name, separator, _ = (piece.strip() for piece in part.partition(":"))
        if not separator:
            yield FilterWarning(LABELS_PARAMETER, f"{_quote(part)} is ignored; use name:value, such as env:prod,az:b")
        elif not name:
            yield FilterWarning(LABELS_PARAMETER, f"{_quote(part)} has no name; use name:value, such as env:prod,az:b")
        elif name in label_names:
            yield FilterWarning(LABELS_PARAMETER, f"label {_quote(name)} is repeated; only its last value counts")
        label_names.add(name)


def _quote(text: str) -> str:
    return repr(text[:MAX_QUOTED_LENGTH])
