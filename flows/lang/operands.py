"""The closures that expressions are made of.

Each takes the scope and gives a value, or raises SourceError at its place.
"""

from collections.abc import Sequence

from flows.lang.compiling import Expression, Run
from flows.lang.errors import REFUSALS, SourceError, placed
from flows.lang.evaluation import CHEAP, Evaluation, Scope
from flows.lang.filters.base import Filter
from flows.lang.functions import Function
from flows.lang.lookups import call_field, path_reader, root, step
from flows.lang.macros import Macro
from flows.lang.operators import Operation, negative
from flows.lang.values import truth

Key = tuple[str | int, int]


def constant(value: object, offset: int) -> Expression:
    """A literal."""
    return Expression(lambda scope: value, offset, constant=True, value=value, harmless=True)


def variable(name: str, offset: int) -> Run:
    """A name alone; a macro's name calls it."""
    read = root(name)

    def run(scope: Scope) -> object:
        value = read(scope)
        return value.call([], offset) if type(value) is Macro else value

    return run


def path(name: str, keys: Sequence[Key]) -> Run:
    """`name.key.key`, where nothing is called."""
    read = path_reader(name, [key for key, _ in keys])
    place = keys[-1][1]

    def run(scope: Scope) -> object:
        try:
            return read(scope)
        except REFUSALS as refusal:
            raise placed(refusal, place) from None

    return run


def watched(run: Run, source: str) -> Run:
    """The same, telling the evaluation what was looked up; `source` is how the template says it."""

    def look(scope: Scope) -> object:
        value = run(scope)
        scope.evaluation.saw(source, value)
        return value

    return look


def continued(base: Run, keys: Sequence[Key], arguments: Sequence[Run] | None) -> Run:
    """`….key.key`, or `….key.key(arguments)`, behind something that is computed. Stops at what is missing."""
    steps = list(keys) if arguments is None else list(keys)[:-1]
    last, last_offset = keys[-1]

    def run(scope: Scope) -> object:
        value = base(scope)
        for key, place in steps:
            if value is None:
                return None
            try:
                value = step(value, key)
            except REFUSALS as refusal:
                raise placed(refusal, place) from None
        if arguments is None or value is None:
            return value
        given = [argument(scope) for argument in arguments]
        try:
            return call_field(value, last, given)
        except REFUSALS as refusal:
            raise placed(refusal, last_offset) from None

    return run


def call_of_function(function: Function, arguments: Sequence[Run], offset: int) -> Run:
    """`randomInt(5)`. A name that a tag has set hides the function."""
    name, by_name = function.name, call_of_name(function.name, arguments, offset)

    def run(scope: Scope) -> object:
        if name in scope.private:
            return scope.private[name] if not arguments else by_name(scope)
        given = [argument(scope) for argument in arguments]
        try:
            return function.apply(scope, given, offset)
        except REFUSALS as refusal:
            raise placed(refusal, offset) from None

    return run


def call_of_name(name: str, arguments: Sequence[Run], offset: int) -> Run:
    """`name(…)`: a macro, or nothing at all; '' where nothing has the name."""
    read = root(name)

    def run(scope: Scope) -> object:
        value = read(scope)
        if value is None:
            return None
        if type(value) is not Macro:
            raise SourceError(f"'{name}' is not a function", offset)
        return value.call([argument(scope) for argument in arguments], offset)

    return run


def filtered(found: Filter, base: Run, argument: Run | None, offset: int) -> Run:
    """`…|filter:argument`, charged by the size of what it works on."""
    apply, slow = found.apply, found.slow

    def run(scope: Scope) -> object:
        value = base(scope)
        given = argument(scope) if argument is not None else None
        evaluation = scope.evaluation
        if isinstance(value, str | list | dict) and len(value) > CHEAP:
            evaluation.spend(len(value) if slow else len(value) >> 6, offset)
        try:
            result = apply(value, given, evaluation)
        except REFUSALS as refusal:
            raise placed(refusal, offset) from None
        if isinstance(result, str | list) and len(result) > CHEAP:
            _charge(result, evaluation, offset)
        return result

    return run


def _charge(result: str | list[object], evaluation: Evaluation, offset: int) -> None:
    evaluation.spend(len(result) >> 6 if isinstance(result, str) else len(result), offset)
    if isinstance(result, str) and len(result) > evaluation.limits.text:
        raise SourceError(f"the text gets too long (more than {evaluation.limits.text:,} characters)", offset)


def chain_of_logic(operands: Sequence[Run], conjunctions: Sequence[bool]) -> Run:
    """`a and b or c`, grouped to the right; stops as soon as the answer is known. conjunctions: True for `and`."""
    pairs = list(zip(operands[:-1], conjunctions, strict=True))
    last = operands[-1]

    def run(scope: Scope) -> object:
        for operand, conjunction in pairs:
            if truth(operand(scope)) is not conjunction:
                return not conjunction
        return truth(last(scope))

    return run


def negated(operand: Run, times: int) -> Run:
    """`not …`, `times` over."""
    keep = times % 2 == 0
    return lambda scope: truth(operand(scope)) is keep


def sign(operand: Run, offset: int) -> Run:
    """`-…`."""

    def run(scope: Scope) -> object:
        try:
            return negative(operand(scope))
        except REFUSALS as refusal:
            raise placed(refusal, offset) from None

    return run


def folded_left(operands: Sequence[Run], operations: Sequence[Operation], offsets: Sequence[int]) -> Run:
    """`a - b - c` as `(a - b) - c`."""
    first = operands[0]
    rest = list(zip(operations, operands[1:], offsets, strict=True))

    def run(scope: Scope) -> object:
        value = first(scope)
        for operation, operand, offset in rest:
            other = operand(scope)
            try:
                value = operation(value, other, scope.evaluation)
            except REFUSALS as refusal:
                raise placed(refusal, offset) from None
        return value

    return run


def folded_right(operands: Sequence[Run], operations: Sequence[Operation], offsets: Sequence[int]) -> Run:
    """`a ^ b ^ c` as `a ^ (b ^ c)`. The operands are evaluated from the left."""
    if len(operations) == 1:
        return folded_left(operands, operations, offsets)
    backwards = list(zip(reversed(operations), reversed(offsets), strict=True))

    def run(scope: Scope) -> object:
        values = [operand(scope) for operand in operands]
        value = values.pop()
        for operation, offset in backwards:
            try:
                value = operation(values.pop(), value, scope.evaluation)
            except REFUSALS as refusal:
                raise placed(refusal, offset) from None
        return value

    return run
