"""Name resolution in templates: `Event.Payload.items.0`, `forloop.Counter`, `Event.CreatedAt.Format('15')`.

Only keys of maps, items of lists, characters of text and the fields listed in `go_time` and `values` can be reached;
never an attribute of a Python object.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from flows.template.errors import OPERATION_ERRORS, OperationError, locate_error
from flows.template.runtime.go_time import TIME_ATTRIBUTES, format_go
from flows.template.runtime.render_context import Scope
from flows.template.runtime.values import ForLoop, Record, StoredText

KeyWithOffset = tuple[str | int, int]
"""A key or an index, and its offset."""

Arguments = list[object]

TYPE_NAMES: dict[type, str] = {
    bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "a map",
}  # fmt: skip


def get_type_name(value: object) -> str:
    """Return the name of a value's type for messages: 'a number'."""
    if value is None:
        return "none"
    if isinstance(value, StoredText):
        return f"a string ({value.description})"
    return next((name for value_type, name in TYPE_NAMES.items() if isinstance(value, value_type)), "this value")


def resolve_key(value: object, key: str | int) -> object:
    """Return the value under a key or an index; None if missing. Raises OperationError for values without keys."""
    if isinstance(value, dict):
        if type(key) is str:
            return value.get(key)
        raise OperationError(f"a map has no index {key}: use the filter key, as in {{{{ map|key:'{key}' }}}}")
    if value is None:
        return None
    if type(key) is int:
        if isinstance(value, list | str):
            return value[key] if key < len(value) else None
        raise OperationError(f"cannot read .{key}: {get_type_name(value)} has no items")
    return _resolve_field(value, str(key))


def _resolve_field(value: object, name: str) -> object:
    if isinstance(value, datetime):
        if name == "Format":
            raise OperationError("Format needs a layout: Format('2006-01-02')")
        read_attribute = TIME_ATTRIBUTES.get(name)
        return read_attribute(value) if read_attribute else None
    if isinstance(value, ForLoop):
        return value.get_field(name)
    raise OperationError(f"cannot read .{name}: {get_type_name(value)} has no fields")


def call_method(value: object, key: str | int, arguments: Arguments) -> object:
    """Call a method. Only times have methods; a missing method gives None."""
    if isinstance(value, datetime) and isinstance(key, str):
        if key == "Format" and len(arguments) == 1 and isinstance(arguments[0], str):
            return format_go(value, arguments[0])
        if key == "Format":
            raise OperationError("Format takes one argument, a layout: Format('2006-01-02')")
        if key in TIME_ATTRIBUTES and not arguments:
            return TIME_ATTRIBUTES[key](value)
        if key in TIME_ATTRIBUTES:
            raise OperationError(f"{key} takes no argument")
    if resolve_key(value, key) is None:
        return None
    raise OperationError(f"'{key}' is not a function")


def make_variable_reader(name: str) -> Callable[[Scope], object]:
    """Return a function that reads the variable `name`: names set by tags come before the template's variables."""
    if name == "Event":
        return _read_event
    if name == "Context":
        return _make_context_reader(None)

    def read(scope: Scope) -> object:
        local_variables = scope.local_variables
        if local_variables and name in local_variables:
            return local_variables[name]
        return scope.variables.get(name)

    return read


def _read_event(scope: Scope) -> object:
    local_variables = scope.local_variables
    if local_variables and "Event" in local_variables:
        return local_variables["Event"]
    event, render_context = scope.variables.get("Event"), scope.render_context
    if type(event) is Record or scope.variables is not render_context.variables:
        return event
    return render_context.get_event_record()


def _make_context_reader(key: str | int | None) -> Callable[[Scope], object]:
    """Return a function that reads `Context`, recording a secret value under the key (None: of all keys)."""

    def read(scope: Scope) -> object:
        local_variables = scope.local_variables
        if local_variables and "Context" in local_variables:
            return local_variables["Context"]
        render_context = scope.render_context
        if render_context.context_secrets:
            render_context.taint_from_context(key)
        return scope.variables.get("Context")

    return read


def compile_path(name: str, keys: Sequence[KeyWithOffset]) -> Callable[[Scope], object]:
    """Compile `name.key.key`, without a call; fast if every value on the path is a map."""
    names = [key for key, _ in keys]
    last_offset = keys[-1][1]
    read_root = _make_context_reader(names[0]) if name == "Context" else make_variable_reader(name)

    def read_path(scope: Scope) -> object:
        try:
            value = read_root(scope)
            for key in names:
                if isinstance(value, dict) and type(key) is str:
                    value = value.get(key)
                elif value is None:
                    return None
                else:
                    value = resolve_key(value, key)
        except OPERATION_ERRORS as error:
            raise locate_error(error, last_offset) from None
        return value

    return read_path
