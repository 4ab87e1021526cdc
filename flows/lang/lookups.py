"""How a name in a template finds its value: `Event.Payload.items.0`, `forloop.Counter`, `Event.CreatedAt.Format('15')`.

Only keys of maps, items of lists, characters of text and the fields listed in `times` and `values` can be reached;
never an attribute of a Python object.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from flows.lang.errors import RefusedError
from flows.lang.evaluation import Scope
from flows.lang.times import TIME_ATTRIBUTES, format_go
from flows.lang.values import ForLoop

Part = tuple[str | int, int]
"""A key or an index, and where it stands."""

Arguments = list[object]

KIND_NAMES: dict[type, str] = {
    bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", dict: "a map",
}  # fmt: skip


def kind_name(value: object) -> str:
    """What to call a value in a message: 'a number'."""
    if value is None:
        return "none"
    return next((name for kind, name in KIND_NAMES.items() if isinstance(value, kind)), "such a value")


def step(value: object, key: str | int) -> object:
    """One dot: the value under a key or an index; None where there is none. Raises RefusedError where none can be."""
    if isinstance(value, dict):
        if type(key) is str:
            return value.get(key)
        raise RefusedError(f"a map has no index {key}: use the filter key, as in {{{{ map|key:'{key}' }}}}")
    if value is None:
        return None
    if type(key) is int:
        if isinstance(value, list | str):
            return value[key] if key < len(value) else None
        raise RefusedError(f"{kind_name(value)} has no items: .{key} is not possible")
    return _field(value, str(key))


def _field(value: object, name: str) -> object:
    if isinstance(value, datetime):
        if name == "Format":
            raise RefusedError("Format needs a layout: Format('2006-01-02')")
        read = TIME_ATTRIBUTES.get(name)
        return read(value) if read else None
    if isinstance(value, ForLoop):
        return value.field(name)
    raise RefusedError(f"{kind_name(value)} has no fields: .{name} is not possible")


def call_field(value: object, key: str | int, arguments: Arguments) -> object:
    """A call behind a dot. Only times have anything to call; what is missing stays missing."""
    if isinstance(value, datetime) and isinstance(key, str):
        if key == "Format" and len(arguments) == 1 and isinstance(arguments[0], str):
            return format_go(value, arguments[0])
        if key == "Format":
            raise RefusedError("Format takes one argument, a layout: Format('2006-01-02')")
        if key in TIME_ATTRIBUTES and not arguments:
            return TIME_ATTRIBUTES[key](value)
        if key in TIME_ATTRIBUTES:
            raise RefusedError(f"{key} takes no argument")
    if step(value, key) is None:
        return None
    raise RefusedError(f"'{key}' is not a function")


def root(name: str) -> Callable[[Scope], object]:
    """Reads the variable `name`: what a tag set comes first, then what the template was given."""
    if name == "Event":
        return _event
    if name == "Context":
        return _context(None)

    def read(scope: Scope) -> object:
        private = scope.private
        if private and name in private:
            return private[name]
        return scope.public.get(name)

    return read


def _event(scope: Scope) -> object:
    private = scope.private
    if private and "Event" in private:
        return private["Event"]
    evaluation = scope.evaluation
    return evaluation.event() if scope.public is evaluation.variables else scope.public.get("Event")


def _context(key: str | int | None) -> Callable[[Scope], object]:
    """Reads `Context` on the way to its value under a key (None: for all of it), noting that if it is secret."""

    def read(scope: Scope) -> object:
        private = scope.private
        if private and "Context" in private:
            return private["Context"]
        evaluation = scope.evaluation
        if evaluation.secrets:
            evaluation.draw_context(key)
        return scope.public.get("Context")

    return read


def path_reader(name: str, keys: Sequence[str | int]) -> Callable[[Scope], object]:
    """Reads `name.key.key…`; the common case of only maps in between is the short one."""
    read = _context(keys[0]) if name == "Context" else root(name)
    if len(keys) == 1:
        only = keys[0]

        def read_one(scope: Scope) -> object:
            value = read(scope)
            return value.get(only) if isinstance(value, dict) and type(only) is str else step(value, only)

        return read_one

    def read_all(scope: Scope) -> object:
        value = read(scope)
        for key in keys:
            if isinstance(value, dict) and type(key) is str:
                value = value.get(key)
            elif value is None:
                return None
            else:
                value = step(value, key)
        return value

    return read_all
