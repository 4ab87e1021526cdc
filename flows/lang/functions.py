"""The functions that templates may call: `{{ randomInt(6) }}`."""

import base64
import binascii
import json
import re
import secrets
import string
from collections.abc import Callable
from typing import NoReturn

from flows.lang.errors import RefusedError
from flows.lang.evaluation import Scope
from flows.lang.lookups import kind_name
from flows.lang.values import text

_IDENTIFIER = re.compile(r"[A-Za-z0-9_]+\Z")
_LETTERS = string.ascii_letters


class Function:
    """A function: what it is called, how many arguments it takes, and what it does."""

    __slots__ = ("call", "name", "parameters")

    def __init__(self, name: str, parameters: int, call: Callable[..., object]) -> None:
        self.name = name
        self.parameters = parameters
        self.call = call

    def apply(self, scope: Scope, arguments: list[object], offset: int) -> object:
        """The function's value. Raises RefusedError for wrong arguments."""
        if len(arguments) != self.parameters:
            takes = {1: "one argument", 2: "two arguments"}[self.parameters]
            raise RefusedError(f"{self.name} takes {takes}, not {len(arguments)}")
        scope.evaluation.spend(1 + sum(len(each) >> 6 for each in arguments if isinstance(each, str)))
        return self.call(scope, *arguments)


def _whole_argument(function: str, value: object) -> int:
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    raise RefusedError(f"{function} needs a whole number, not {kind_name(value)}")


def _text_argument(function: str, value: object) -> str:
    if isinstance(value, str):
        return value
    raise RefusedError(f"{function} needs a text, not {kind_name(value)}")


def _random_int(scope: Scope, bound: object) -> int:
    limit = _whole_argument("randomInt", bound)
    if limit <= 0:
        raise RefusedError("randomInt needs a number above 0")
    return secrets.randbelow(limit)


def _random_alpha(scope: Scope, size: object) -> str:
    count, limit = _whole_argument("randomAlpha", size), scope.evaluation.limits.random_letters
    if count < 0:
        raise RefusedError("randomAlpha needs a length that is not negative")
    if count > limit:
        raise RefusedError(f"randomAlpha gives at most {limit:,} letters")
    scope.evaluation.spend(count)
    return "".join(secrets.choice(_LETTERS) for _ in range(count))


def _base64_encode(scope: Scope, value: object) -> str:
    data = _text_argument("base64Encode", value).encode(errors="replace")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _base64_decode(scope: Scope, value: object) -> str:
    data = _text_argument("base64Decode", value).replace("\r", "").replace("\n", "")
    try:
        if not re.fullmatch(r"[A-Za-z0-9_-]*", data):
            raise ValueError
        return base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)).decode(errors="replace")
    except (binascii.Error, ValueError):
        raise RefusedError("base64Decode needs base64 of the URL-safe kind, without padding") from None


def _datastore(scope: Scope, key: object) -> object:
    try:
        return scope.evaluation.stored(_text_argument("datastore", key))
    except LookupError as error:
        raise RefusedError(str(error.args[0])) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _unmarshal_json(scope: Scope, value: object) -> object:
    source = _text_argument("unmarshalJson", value)
    scope.evaluation.spend(len(source) >> 2)
    try:
        found = json.loads(source, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise RefusedError("unmarshalJson needs valid JSON") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise RefusedError(f"unmarshalJson needs a JSON object, not {kind_name(found)}")
    return found


def context_of(value: object) -> dict[str, object]:
    """The second argument of template(): a map whose keys can be names. Raises RefusedError."""
    if type(value) is not dict:
        raise RefusedError(f"template needs a map as its second argument, not {kind_name(value)}")
    for key in value:
        if not isinstance(key, str) or not _IDENTIFIER.match(key):
            raise RefusedError(f"template cannot use the key {text(key)!r}: only letters, digits and _ make a name")
    return value


FUNCTIONS: dict[str, Function] = {
    each.name: each
    for each in (
        Function("randomInt", 1, _random_int),
        Function("randomAlpha", 1, _random_alpha),
        Function("base64Encode", 1, _base64_encode),
        Function("base64Decode", 1, _base64_decode),
        Function("datastore", 1, _datastore),
        Function("unmarshalJson", 1, _unmarshal_json),
    )
}
