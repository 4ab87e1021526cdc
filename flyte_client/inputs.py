"""Typed inputs: what a handler's annotation asks for, read out of an action's JSON.

A handler whose parameter is annotated with a dataclass or a pydantic model, alone or within `list[…]`, `… | None` and
the like, gets one. With any other annotation, or none, it gets the JSON value as it came. Pydantic is never imported
here: whose handlers use it has done so.
"""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from flyte_client import scalars
from flyte_client.scalars import Read, unfit

LISTS = (list, tuple, set, frozenset, Sequence)
MAPPINGS = (dict, Mapping)
# Enough to see what is wrong; the text of all faults of a long list would only be long.
MOST_FAULTS = 20


@dataclass(frozen=True)
class Fault:
    """What is wrong in an input: `path` is `input.folders[2].name`. The value itself is not told: it may be secret."""

    path: str
    message: str


class InputError(ValueError):
    """An input that is not what its handler asks for."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults[:MOST_FAULTS])
        super().__init__("; ".join(f"{fault.path}: {fault.message}" for fault in self.faults))


def input_reader(handler: Callable[..., Any]) -> Callable[[Any], Any]:
    """How to read this handler's input; what it gives raises `InputError`.

    Raises `TypeError` for an annotation that can't be resolved, or that asks for what no JSON can be read into.
    """
    annotation = _annotation(handler)
    if not _is_typed(annotation):
        return lambda given: given
    read = Readers().reader(annotation)

    def read_input(given: Any) -> Any:
        try:
            return read(given)
        except ValueError as error:
            raise InputError([Fault(f"input{path}", message) for path, message in scalars.faults_of(error)]) from error

    return read_input


def _annotation(handler: Callable[..., Any]) -> Any:
    try:
        parameter = next(iter(inspect.signature(handler).parameters.values()), None)
        if parameter is not None and isinstance(parameter.annotation, str):
            parameter = next(iter(inspect.signature(handler, eval_str=True).parameters.values()))
    except NameError as error:
        raise TypeError(f"the annotation of {handler!r} can't be resolved: {error}") from None
    except ValueError:
        return Any  # something built in, without a signature
    return Any if parameter is None else parameter.annotation


def _is_typed(annotation: Any) -> bool:
    """Whether a dataclass or a pydantic model is in it somewhere."""
    return _is_record(annotation) or any(_is_typed(one) for one in get_args(annotation))


def _is_record(annotation: Any) -> bool:
    return isinstance(annotation, type) and (is_dataclass(annotation) or hasattr(annotation, "model_validate"))


class Readers:
    """Makes a reader for each type once, so that a type may hold itself."""

    def __init__(self) -> None:
        self._made: dict[Any, Read] = {}

    def reader(self, wanted: Any) -> Read:
        """Raises `TypeError` for a type that is not known here."""
        if wanted not in self._made:
            self._made[wanted] = lambda given: self._made[wanted](given)  # for as long as it is being made
            self._made[wanted] = self._reader(wanted)
        return self._made[wanted]

    def _reader(self, wanted: Any) -> Read:
        if wanted in (Any, object):
            return lambda given: given
        origin = get_origin(wanted) or wanted
        if origin in (Union, UnionType):
            return self._union(get_args(wanted))
        if origin in LISTS:
            return self._list(origin, get_args(wanted))
        if origin in MAPPINGS:
            return self._mapping(get_args(wanted))
        if origin is Literal:
            return scalars.one_of(get_args(wanted))
        if isinstance(wanted, type):
            return self._of_class(wanted)
        if origin is Annotated:
            return self.reader(get_args(wanted)[0])
        raise TypeError(f"an input can't be read as {wanted!r}")

    def _of_class(self, wanted: type) -> Read:
        if hasattr(wanted, "model_validate"):
            return lambda given: wanted.model_validate(_opened(given))
        if is_dataclass(wanted):
            return self._dataclass(wanted)
        if issubclass(wanted, Enum):
            return scalars.one_of([member.value for member in wanted], wanted)
        if wanted in (datetime, date):
            return scalars.time(wanted)
        known = {str: scalars.text, int: scalars.whole, float: scalars.number, bool: scalars.flag}
        if wanted in known:
            return known[wanted]
        if wanted is NoneType:
            return scalars.nothing
        raise TypeError(f"an input can't be read as {wanted.__name__}")

    def _dataclass(self, wanted: type) -> Read:
        hints = get_type_hints(wanted)
        known = [(field, self.reader(hints[field.name])) for field in fields(wanted) if field.init]

        def read(given: Any) -> Any:
            given = _opened(given)
            if not isinstance(given, dict):
                raise unfit("must be an object", given)
            values: dict[str, Any] = {}
            faults = []
            for field, read_field in known:
                try:
                    values |= _field(field, read_field, given)
                except ValueError as error:
                    faults += [(f".{field.name}{path}", message) for path, message in scalars.faults_of(error)]
            if faults:
                raise scalars.UnfitError(faults)
            return wanted(**values)

        return read

    def _list(self, wanted: Any, arguments: Sequence[Any]) -> Read:
        if wanted is tuple and arguments[1:] not in ((), (...,)):
            raise TypeError("an input can't be read as a tuple of different types")
        read_one = self.reader(arguments[0] if arguments else Any)
        make = list if wanted is Sequence else wanted

        def read(given: Any) -> Any:
            given = _opened(given)
            if not isinstance(given, list):
                raise unfit("must be a list", given)
            return make(scalars.each(read_one, {f"[{index}]": one for index, one in enumerate(given)}).values())

        return read

    def _mapping(self, arguments: Sequence[Any]) -> Read:
        if arguments and arguments[0] is not str:
            raise TypeError("an input can't be read as a mapping whose keys are no text")
        read_one = self.reader(arguments[1] if arguments else Any)

        def read(given: Any) -> Any:
            given = _opened(given)
            if not isinstance(given, dict):
                raise unfit("must be an object", given)
            read_values = scalars.each(read_one, {f".{key}": one for key, one in given.items()})
            return dict(zip(given, read_values.values(), strict=True))

        return read

    def _union(self, members: Sequence[Any]) -> Read:
        readers = [(member, self.reader(member)) for member in members if member is not NoneType]
        optional = NoneType in members

        def read(given: Any) -> Any:
            # A template that finds nothing gives an empty text.
            if optional and (given is None or (given == "" and str not in members)):
                return None
            fitting = sorted(readers, key=lambda one: one[0] is not type(given))
            for _, read_member in fitting[:-1]:
                try:
                    return read_member(given)
                except ValueError:
                    continue
            return fitting[-1][1](given)

        return read


def _field(field: "Field[Any]", read: Read, given: Mapping[str, Any]) -> dict[str, Any]:
    """The field's value by its name, or nothing where its default will do."""
    for key in (field.name, _camel(field.name)):
        if key in given:
            return {field.name: read(given[key])}
    if field.default is MISSING and field.default_factory is MISSING:
        raise ValueError("is missing")
    return {}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _opened(given: Any) -> Any:
    """The object or list that a text holds: a template in a flow gives one as its JSON."""
    if isinstance(given, str) and given.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(given)
        except (ValueError, RecursionError):
            return given
    return given
