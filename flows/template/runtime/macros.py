"""Macros: parts of a template that are called like functions."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from flows.template.errors import LocatedError
from flows.template.runtime.render_context import Scope
from flows.template.runtime.values import SafeText


class MacroParameter(NamedTuple):
    """A macro's parameter; default: its value if the call omits it."""

    name: str
    default: Callable[[Scope], object] | None


class Macro:
    """A macro as a value, which `{% macro %}` assigns to its name."""

    __slots__ = ("body", "cost", "name", "parameters", "scope")

    def __init__(
        self,
        name: str,
        parameters: Sequence[MacroParameter],
        body: Callable[[Scope], str],
        cost: int,
        scope: Scope,
    ) -> None:
        self.name = name
        self.parameters = parameters
        self.body = body
        self.cost = cost
        self.scope = scope

    def call(self, arguments: Sequence[object], offset: int) -> SafeText:
        """Render the body with the arguments; `offset`: the position of the call."""
        if len(arguments) > len(self.parameters):
            raise LocatedError(
                f"macro '{self.name}' takes {len(self.parameters)} arguments, not {len(arguments)}", offset
            )
        render_context = self.scope.render_context
        render_context.enter_call(offset)
        render_context.charge(self.cost, offset)
        child_scope = self.scope.make_child(offset)
        for parameter in self.parameters:
            child_scope.local_variables[parameter.name] = parameter.default(self.scope) if parameter.default else None
        for parameter, value in zip(self.parameters, arguments, strict=False):
            child_scope.local_variables[parameter.name] = value
        output = SafeText(self.body(child_scope))
        render_context.charge(len(output) >> 6, offset)
        render_context.leave_call()
        return output
