"""Values of templates: printing, comparison and truth.

Values are JSON's (None, bool, int, float, str, list, dict), times, and the few objects of this module.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from flows.template.errors import OperationError
from flows.template.runtime.go_time import format_go_default, format_rfc3339
from flyte_time.times import parse_time


class SafeText(str):
    """Text that `autoescape on` leaves unchanged: output of macros and of filters that write HTML."""

    __slots__ = ()


class StoredText(str):
    """The text of a datastore item. `description` has the item's key and content type, for messages."""

    __slots__ = ("description",)
    description: str


def mark_stored_text(value: object, key: str, content_type: str) -> object:
    """Return the value of a datastore item, with a description of the item if the value is text."""
    if not isinstance(value, str):
        return value
    text = StoredText(value)
    text.description = f"datastore item {key!r} is stored as {content_type}"
    return text


class Record(dict[str, object]):
    """`Event` and `Event.Pack`: objects with fields instead of keys.

    They print as JSON and `in` finds their fields, but they have no length, and neither loops nor `key` accept them.
    """

    __slots__ = ()


class ForLoop:
    """The variable `forloop` inside `{% for %}`."""

    __slots__ = ("count", "index", "parent")

    def __init__(self, parent: "ForLoop | None") -> None:
        self.parent = parent
        self.index = 0
        self.count = 0

    def get_field(self, name: str) -> object:
        """Return Counter, First, …; the lower-case spelling is accepted too (R8)."""
        read_field = _LOOP_FIELD_READERS.get(name)
        return read_field(self) if read_field else None

    def to_dict(self) -> dict[str, object]:
        """Return its fields, without the enclosing loop."""
        return {
            name: read_field(self)
            for name, read_field in _LOOP_FIELD_READERS.items()
            if name.istitle() and name != "Parentloop"
        }


_LOOP_FIELD_READERS: dict[str, Callable[[ForLoop], object]] = {
    "Counter": lambda loop: loop.index + 1,
    "Counter0": lambda loop: loop.index,
    "Revcounter": lambda loop: loop.count - loop.index,
    "Revcounter0": lambda loop: loop.count - loop.index - 1,
    "First": lambda loop: loop.index == 0,
    "Last": lambda loop: loop.index + 1 == loop.count,
    "Parentloop": lambda loop: loop.parent,
}
_LOOP_FIELD_READERS |= {name.lower(): read for name, read in _LOOP_FIELD_READERS.items()}


class CollectedList(list[object]):
    """A list that `{% append %}` adds to.

    size: the characters and items in it, also in nested values. depth: the levels of its nested lists of this type.
    """

    __slots__ = ("depth", "size")

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self.depth = 1

    def copy_collected(self) -> "CollectedList":
        """Return a copy, which does not change with this list."""
        copied = CollectedList()
        copied.extend(self)
        copied.size, copied.depth = self.size, self.depth
        return copied


class CycleValue:
    """The value that `{% cycle … as name %}` assigns to its name."""

    __slots__ = ("cycle", "value")

    def __init__(self, cycle: object, value: object) -> None:
        self.cycle = cycle
        self.value = value


def to_text(value: object) -> str:
    """Print a value: numbers as short as possible, True/False, None as '', lists and maps as compact JSON, times as in
    Go.
    """
    value_type = type(value)
    if value_type is str:
        return value  # type: ignore[return-value]
    format_value = _FORMATTERS.get(value_type) or next(
        (formatter for base_type, formatter in _FORMATTERS.items() if isinstance(value, base_type)), None
    )
    if format_value is None:
        raise OperationError(f"a value of type {value_type.__name__} is not allowed in a template")
    return format_value(value)


def _format_integer(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # Python rejects more than 4,300 digits
        raise OperationError("number is too large to print") from None


def to_json(value: object) -> str:
    """Format as compact JSON, the form in which maps and lists print (R3)."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=encode_json_value)
    except (RecursionError, ValueError):
        raise OperationError("value is nested too deeply or too large to print") from None


def encode_json_value(value: object) -> object:
    """Return the JSON value for a time or an object of this module. Raises OperationError for others."""
    if isinstance(value, datetime):
        return format_rfc3339(value)
    if isinstance(value, ForLoop):
        return value.to_dict()
    if isinstance(value, CycleValue):
        return to_text(value)
    raise OperationError(f"a value of type {type(value).__name__} is not allowed in a template")


_FORMATTERS: dict[type, Callable[[object], str]] = {
    type(None): lambda value: "",
    bool: lambda value: "True" if value else "False",
    int: _format_integer,
    float: repr,
    str: lambda value: str.__str__(value),
    list: to_json,
    dict: to_json,
    Record: to_json,
    ForLoop: to_json,
    datetime: lambda value: format_go_default(value),  # type: ignore[arg-type]
    CycleValue: lambda value: to_text(value.value),  # type: ignore[attr-defined]
}


def is_truthy(value: object) -> bool:
    """Return False for none, false, 0, '' and empty lists and maps."""
    return True if isinstance(value, Record) else bool(value)


def is_number(value: object) -> bool:
    """Return whether the value is a number; true and false are not."""
    return type(value) is int or type(value) is float


def get_length(value: object) -> int:
    """Return the number of characters of a text or of items of a list or map; 0 for other values."""
    return len(value) if isinstance(value, str | list | dict) and not isinstance(value, Record) else 0


def is_sliceable(value: object) -> bool:
    """Return whether the value is a list or a text."""
    return isinstance(value, list | str)


def is_equal(left: object, right: object, charge: Callable[[int], None]) -> bool:
    """Compare by value: numbers of any type, lists and maps item by item; true is not 1 and 5 is not '5'.

    charge: called with the number of items before they are compared.
    """
    left_type, right_type = type(left), type(right)
    if left_type is bool or right_type is bool:
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        charge(len(left))
        return len(left) == len(right) and all(
            is_equal(left_item, right_item, charge) for left_item, right_item in zip(left, right, strict=True)
        )
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        charge(len(left))
        return left.keys() == right.keys() and all(is_equal(value, right[key], charge) for key, value in left.items())
    return left == right


def contains(container: object, item: object, charge: Callable[[int], None]) -> bool:
    """Evaluate the operator `in`: a part of a text, an item of a list, a key of a map, a field of a record."""
    if isinstance(container, str):
        charge(len(container) >> 8)
        return to_text(item) in container
    if isinstance(container, list):
        charge(len(container))
        return any(is_equal(candidate, item, charge) for candidate in container)
    if isinstance(container, Record):
        return to_text(item) in container
    if isinstance(container, dict):
        if type(item) is int:
            raise OperationError("a number cannot be a key of a map: keys are strings")
        return isinstance(item, str) and item in container
    return False


def to_record(value: object) -> object:
    """Convert the event, or its pack, to a record; its times, if given as text, to times."""
    if not isinstance(value, dict) or isinstance(value, Record):
        return value
    record = Record(value)
    for name in ("CreatedAt", "ReceivedAt"):
        if isinstance(moment := record.get(name), str):
            with suppress(ValueError):
                record[name] = parse_time(moment)
    if "Pack" in record:
        record["Pack"] = to_record(record["Pack"])
    return record
