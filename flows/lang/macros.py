"""Macros: pieces of a template that are called like functions."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from flows.lang.errors import SourceError
from flows.lang.evaluation import Scope
from flows.lang.values import Safe


class Parameter(NamedTuple):
    """A macro's parameter; default: its value where the call gives none."""

    name: str
    default: Callable[[Scope], object] | None


class Macro:
    """A macro as a value: what `{% macro %}` leaves under its name."""

    __slots__ = ("body", "name", "parameters", "scope", "weight")

    def __init__(
        self,
        name: str,
        parameters: Sequence[Parameter],
        body: Callable[[Scope], str],
        weight: int,
        scope: Scope,
    ) -> None:
        self.name = name
        self.parameters = parameters
        self.body = body
        self.weight = weight
        self.scope = scope

    def call(self, arguments: Sequence[object], offset: int) -> Safe:
        """What the body prints for the arguments; `offset`: the place of the call."""
        if len(arguments) > len(self.parameters):
            raise SourceError(
                f"the macro '{self.name}' takes {len(self.parameters)} arguments, not {len(arguments)}", offset
            )
        evaluation = self.scope.evaluation
        evaluation.enter(offset)
        evaluation.spend(self.weight, offset)
        inner = self.scope.child(offset)
        for parameter in self.parameters:
            inner.private[parameter.name] = parameter.default(self.scope) if parameter.default else None
        for parameter, value in zip(self.parameters, arguments, strict=False):
            inner.private[parameter.name] = value
        printed = Safe(self.body(inner))
        evaluation.spend(len(printed) >> 6, offset)
        evaluation.leave()
        return printed
