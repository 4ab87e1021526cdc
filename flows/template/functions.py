"""Functions that templates can call: `{{ randomInt(6) }}`."""

import base64
import binascii
import json
import re
import secrets
import string
from collections.abc import Callable
from typing import NoReturn

from flows.template.errors import OperationError
from flows.template.runtime.numbers import describe_not_numeric, parse_number
from flows.template.runtime.render_context import Scope
from flows.template.runtime.resolve import get_type_name
from flows.template.runtime.values import StoredText, to_text
from flyte_formats.json_text import replace_escaped_surrogates

_IDENTIFIER_PATTERN = re.compile(r"[A-Za-z0-9_]+\Z")
_LETTERS = string.ascii_letters
MAX_RANGE_NUMBER = 2**53


class Function:
    """A function: its name, numbers of required and of optional arguments, and implementation."""

    __slots__ = ("call", "name", "optional_count", "parameter_count")

    def __init__(
        self, name: str, parameter_count: int, call: Callable[..., object], *, optional_count: int = 0
    ) -> None:
        self.name = name
        self.parameter_count = parameter_count
        self.optional_count = optional_count
        self.call = call

    def apply(self, scope: Scope, arguments: list[object], offset: int) -> object:
        """Call the function. Raises OperationError for invalid arguments."""
        maximum = self.parameter_count + self.optional_count
        if not self.parameter_count <= len(arguments) <= maximum:
            words = ("no", "one", "two", "three")
            separator = " or " if self.optional_count == 1 else " to "
            numbers = separator.join(dict.fromkeys((words[self.parameter_count], words[maximum])))
            expected = f"{numbers} argument{'' if maximum == 1 else 's'}"
            raise OperationError(f"{self.name} takes {expected}, not {len(arguments)}")
        scope.render_context.charge(1 + sum(len(argument) >> 6 for argument in arguments if isinstance(argument, str)))
        return self.call(scope, *arguments)


def _require_int(function_name: str, value: object) -> int:
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    actual = to_text(value) if type(value) is float else get_type_name(value)
    raise OperationError(f"{function_name} needs a whole number, not {actual}")


def _require_text(function_name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    raise OperationError(f"{function_name} needs a string, not {get_type_name(value)}")


def _random_int(scope: Scope, bound: object) -> int:
    upper_bound = _require_int("randomInt", bound)
    if upper_bound <= 0:
        raise OperationError("randomInt needs a number above 0")
    return secrets.randbelow(upper_bound)


def _random_alpha(scope: Scope, size: object) -> str:
    count, max_count = _require_int("randomAlpha", size), scope.render_context.limits.random_letters
    if count < 0:
        raise OperationError("randomAlpha needs a length of at least 0")
    if count > max_count:
        raise OperationError(f"randomAlpha returns at most {max_count:,} letters")
    scope.render_context.charge(count)
    return "".join(secrets.choice(_LETTERS) for _ in range(count))


def _base64_encode(scope: Scope, value: object) -> str:
    data = _require_text("base64Encode", value).encode(errors="replace")
    text = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    scope.render_context.taint.add_derived(text)
    return text


def _base64_decode(scope: Scope, value: object) -> str:
    data = _require_text("base64Decode", value).replace("\r", "").replace("\n", "")
    try:
        if not re.fullmatch(r"[A-Za-z0-9_-]*", data):
            raise ValueError
        text = base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)).decode(errors="replace")
    except (binascii.Error, ValueError):
        raise OperationError("base64Decode needs URL-safe base64 without padding") from None
    scope.render_context.taint.add_derived(text)
    return text


def _range(scope: Scope, *bounds: object) -> list[object]:
    """Return whole numbers, as Python's range does. A bound can be text that spells a number, as in a context."""
    numbers = [_require_int("range", _read_bound(bound)) for bound in bounds]
    if any(abs(number) > MAX_RANGE_NUMBER for number in numbers):
        raise OperationError(f"range takes numbers up to {MAX_RANGE_NUMBER:,}")
    if len(numbers) == 3 and numbers[2] == 0:
        raise OperationError("range needs a step other than 0")
    values, max_count = range(*numbers), scope.render_context.limits.iterations
    if len(values) > max_count:
        raise OperationError(f"range returns at most {max_count:,} numbers, not {len(values):,}")
    scope.render_context.charge(len(values) >> 2)
    return list(values)


def _read_bound(bound: object) -> object:
    if not isinstance(bound, str):
        return bound
    number = parse_number(bound)
    if number is None:
        raise OperationError(f"range needs a whole number: {describe_not_numeric(bound)}")
    return number


def _datastore(scope: Scope, key: object, *default: object) -> object:
    """Return the value, or the default if there is one and the item does not exist."""
    render_context = scope.render_context
    try:
        value = render_context.get_datastore_value(_trim_key(_require_text("datastore", key)))
    except KeyError as error:
        if default:
            return default[0]
        raise OperationError(str(error.args[0])) from None
    except LookupError as error:
        raise OperationError(str(error.args[0])) from None
    if render_context.collects_warnings and isinstance(value, StoredText) and _is_json_of_map_or_list(value):
        render_context.warn(f"{value.description}, so it is a string, not a map or list")
    return value


def _is_json_of_map_or_list(text: str) -> bool:
    if not text.strip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _trim_key(key: str) -> str:
    """Return the key without white space at its ends if there is a line break: keys have no control characters."""
    plain_key = to_text(key)
    return plain_key.strip() if plain_key != plain_key.strip("\r\n") else plain_key


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _unmarshal_json(scope: Scope, value: object) -> object:
    source = _require_text("unmarshalJson", value)
    scope.render_context.charge(len(source) >> 2)
    try:
        parsed = json.loads(source, parse_constant=_reject_constant)
    except RecursionError:
        raise OperationError("unmarshalJson needs valid JSON: nested too deeply") from None
    except ValueError:
        raise OperationError("unmarshalJson needs valid JSON") from None
    if parsed is None:
        return {}
    parsed = replace_escaped_surrogates(parsed, source)
    if not isinstance(parsed, dict):
        raise OperationError(f"unmarshalJson needs a JSON object, not {get_type_name(parsed)}: use the filter fromjson")
    scope.render_context.taint.add_derived(parsed)
    return parsed


def check_template_context(value: object) -> dict[str, object]:
    """Check the second argument of template(): a map whose keys are valid names. Raises OperationError."""
    if type(value) is not dict:
        raise OperationError(f"template needs a map as its second argument, not {get_type_name(value)}")
    for key in value:
        if not isinstance(key, str) or not _IDENTIFIER_PATTERN.match(key):
            raise OperationError(
                f"template cannot use the key {to_text(key)!r}: a name consists of letters, digits and _"
            )
    return value


FUNCTIONS: dict[str, Function] = {
    each.name: each
    for each in (
        Function("randomInt", 1, _random_int),
        Function("randomAlpha", 1, _random_alpha),
        Function("base64Encode", 1, _base64_encode),
        Function("base64Decode", 1, _base64_decode),
        Function("datastore", 1, _datastore, optional_count=1),
        Function("range", 1, _range, optional_count=2),
        Function("unmarshalJson", 1, _unmarshal_json),
    )
}
