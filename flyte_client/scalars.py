"""Single values of an input. A template in a flow always gives text, so text that says a number is a number here.

What does not fit raises `ValueError`; one with several faults in it, or with their places, is `UnfitError`.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

Read = Callable[[Any], Any]

# The original's templates print the number 5 as 5.000000.
WHOLE = re.compile(r"\s*([+-]?[0-9]{1,40})(?:\.0{1,40})?\s*\Z")
NAMES = {str: "text", bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "an object"}


class UnfitError(ValueError):
    """Faults as pairs of a path below the value, such as `.folders[2]`, and a message."""

    def __init__(self, faults: Iterable[tuple[str, str]]) -> None:
        self.faults = list(faults)
        super().__init__("; ".join(f"{path} {message}" for path, message in self.faults))


def unfit(message: str, given: Any) -> ValueError:
    return ValueError(f"{message}, not {NAMES.get(type(given), 'null')}")


def faults_of(error: ValueError) -> list[tuple[str, str]]:
    """The faults in what a reader raised: ours, pydantic's, or a text of the handler's own classes."""
    if isinstance(error, UnfitError):
        return error.faults
    if hasattr(error, "errors") and callable(error.errors):
        return [(_path(fault["loc"]), fault["msg"]) for fault in error.errors()]
    return [("", str(error))]


def _path(places: Sequence[Any]) -> str:
    return "".join(f"[{place}]" if isinstance(place, int) else f".{place}" for place in places)


def each(read: Read, given: Mapping[str, Any]) -> dict[str, Any]:
    """Read all values; raise the faults of all of them, each below its key."""
    values, faults = {}, []
    for key, one in given.items():
        try:
            values[key] = read(one)
        except ValueError as error:
            faults += [(key + path, message) for path, message in faults_of(error)]
    if faults:
        raise UnfitError(faults)
    return values


def text(given: Any) -> str:
    if not isinstance(given, str):
        raise unfit("must be text", given)
    return given


def whole(given: Any) -> int:
    if isinstance(given, str) and (found := WHOLE.match(given)):
        return int(found[1])
    if isinstance(given, bool) or not (isinstance(given, int) or _is_whole(given)):
        raise unfit("must be a whole number", given)
    return int(given)


def _is_whole(given: Any) -> bool:
    return isinstance(given, float) and given.is_integer()


def number(given: Any) -> float:
    try:
        value = math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise unfit("must be a number", given)
    return value


def flag(given: Any) -> bool:
    if isinstance(given, str) and given.strip().lower() in ("true", "false"):
        return given.strip().lower() == "true"
    if not isinstance(given, bool):
        raise unfit("must be true or false", given)
    return given


def nothing(given: Any) -> None:
    if given is not None:
        raise unfit("must be null", given)


def time(wanted: type[date]) -> Read:
    """A `datetime` or a `date`, from ISO 8601."""

    def read(given: Any) -> date:
        try:
            return wanted.fromisoformat(given)
        except (TypeError, ValueError):
            raise unfit(f"must be a {wanted.__name__} as ISO 8601 has it", given) from None

    return read


def one_of(values: Sequence[Any], make: Read = lambda given: given) -> Read:
    """One of these values, or for a number among them, its text."""

    def read(given: Any) -> Any:
        for value in values:
            if (type(value) is type(given) and value == given) or (isinstance(given, str) and str(value) == given):
                return make(value)
        raise ValueError(f"must be one of {', '.join(map(str, values))}")

    return read
