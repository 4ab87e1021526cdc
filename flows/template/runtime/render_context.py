"""What the templates of one step share while they are rendered: variables, the datastore, and one budget."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from flows.template.errors import LocatedError, OperationError, TemplateError
from flows.template.limits import DEFAULT_LIMITS, RenderLimits
from flows.template.runtime.taint import Secret, Taint
from flows.template.runtime.values import ForLoop, to_record

# A text or list of less is not worth charging for.
MAX_UNCHARGED_SIZE = 256
# Between two looks at the clock.
WORK_BETWEEN_CHECKS = 2_000
MAX_TRACKED_READS = 20
# What stands for a value that was looked up after a secret.
REDACTED = Secret(None, ())


class RenderContext:
    """One evaluation of a step: pass the same object to every template of the step.

    variables: what templates see by name; a plain dict that may be changed between renders. datastore: called at most
    once a key; gives a Secret where nobody may be shown the value, raises LookupError(message) where the key is missing
    or cannot be read. secrets: the context's values that are secret. drawn: what templates have read of secrets. seen:
    what watched templates looked up, and its value, or HIDDEN. errors: None, or a list that takes the errors of a
    value's texts, so that the others are rendered all the same.
    """

    __slots__ = (
        "_datastore",
        "_datastore_errors",
        "_datastore_values",
        "_elapsed_seconds",
        "_event",
        "_event_record",
        "_next_check",
        "_started_at",
        "call_depth",
        "collected_errors",
        "context_secrets",
        "iterations",
        "limits",
        "output_length",
        "taint",
        "tracked_reads",
        "variables",
        "work",
    )

    def __init__(
        self, variables: dict[str, Any], datastore: Callable[[str], object], limits: RenderLimits = DEFAULT_LIMITS
    ) -> None:
        self.variables = variables
        self.limits = limits
        self.work = self.iterations = self.output_length = self.call_depth = 0
        self._datastore = datastore
        self._datastore_values: dict[str, object] = {}
        self._datastore_errors: dict[str, str] = {}
        self._next_check = min(WORK_BETWEEN_CHECKS, limits.work)
        self._elapsed_seconds = 0.0
        self._started_at = 0.0
        self._event: object = None
        self._event_record: object = None
        self.tracked_reads: dict[str, object] = {}
        self.collected_errors: list[TemplateError] | None = None
        self.taint = Taint()
        self.context_secrets: dict[str, Secret] = {}

    def set_step_context(self, context: Mapping[str, str | Secret]) -> None:
        """`Context` is this from now on."""
        self.context_secrets = {}
        self.variables["Context"] = dict(context)
        if Secret in map(type, context.values()):
            self.context_secrets = {name: value for name, value in context.items() if isinstance(value, Secret)}
            self.variables["Context"] |= {name: secret.value for name, secret in self.context_secrets.items()}

    def start_clock(self) -> None:
        """The clock runs: a template is being rendered. The event may have been changed since the last one."""
        self._event_record = None
        self.taint.is_tainted = False
        self._started_at = time.monotonic()

    def stop_clock(self, output_length: int) -> None:
        """The clock stands; `printed` characters were printed."""
        self._elapsed_seconds += time.monotonic() - self._started_at
        self.output_length += output_length

    def charge(self, units: int, offset: int | None = None) -> None:
        """Takes `units` of work from the budget.

        Raises SourceError at `offset` when it is used up; RefusedError where the caller does not know the place.
        """
        self.work += units
        if self.work >= self._next_check:
            self._check_limits(offset)

    def _check_limits(self, offset: int | None) -> None:
        message = ""
        if self.work > self.limits.work:
            message = f"the template does too much work (more than {self.limits.work:,} operations)"
        elif self._elapsed_seconds + time.monotonic() - self._started_at > self.limits.seconds:
            message = f"the template takes too long (more than {self.limits.seconds:g} seconds)"
        if message:
            raise OperationError(message) if offset is None else LocatedError(message, offset)
        self._next_check = min(self.work + WORK_BETWEEN_CHECKS, self.limits.work + 1)

    def charge_iterations(self, iterations: int, iteration_cost: int, offset: int) -> None:
        """A loop whose body costs `weight` is about to make `count` turns."""
        self.iterations += iterations
        if self.iterations > self.limits.iterations:
            raise LocatedError(f"too many turns of loops (more than {self.limits.iterations:,})", offset)
        self.charge(iterations * iteration_cost, offset)

    def enter_call(self, offset: int) -> None:
        """A macro or `template()` is called. Raises SourceError when calls are nested too deep."""
        self.call_depth += 1
        if self.call_depth > self.limits.call_depth:
            raise LocatedError(
                f"macros and template() call each other too deep (more than {self.limits.call_depth})", offset
            )

    def leave_call(self) -> None:
        """The call that was entered last is over."""
        self.call_depth -= 1

    def get_datastore_value(self, key: str) -> object:
        """The datastore's value for `key`. Raises LookupError as the datastore did."""
        if key in self._datastore_errors:
            raise LookupError(self._datastore_errors[key])
        if key not in self._datastore_values:
            try:
                self._datastore_values[key] = self._datastore(key)
            except LookupError as error:
                self._datastore_errors[key] = (
                    str(error.args[0]) if error.args else f"datastore item '{key}' cannot be read"
                )
                raise LookupError(self._datastore_errors[key]) from None
        value = self._datastore_values[key]
        if isinstance(value, Secret):
            self.taint.add(value)
            return value.value
        return value

    def taint_from_context(self, name: str | int | None) -> None:
        """A template reads the context's value of this name, or all of it."""
        if name is None:
            for secret in self.context_secrets.values():
                self.taint.add(secret)
        elif isinstance(name, str) and name in self.context_secrets:
            self.taint.add(self.context_secrets[name])

    def track_read(self, source: str, value: object) -> None:
        """A watched template looked something up; what it looks up first is kept.

        Once it has read a secret, whatever it looks up may have some of it.
        """
        if len(self.tracked_reads) < MAX_TRACKED_READS:
            self.tracked_reads.setdefault(source, REDACTED if self.taint.is_tainted else value)

    def get_event_record(self) -> object:
        """The variable `Event` as a record."""
        event = self.variables.get("Event")
        if event is not self._event or self._event_record is None:
            self._event, self._event_record = event, to_record(event)
        return self._event_record


class Scope:
    """Where a template is: the names it sees and whether it escapes.

    public: the variables it was given. private: what its tags set. state: what tags that remember (cycle, ifchanged)
    know, by tag; one for a whole rendering.
    """

    __slots__ = ("autoescape", "local_variables", "render_context", "tag_state", "variables")

    def __init__(self, render_context: RenderContext, variables: dict[str, Any]) -> None:
        self.render_context = render_context
        self.variables = variables
        self.local_variables: dict[str, Any] = {}
        self.tag_state: dict[object, Any] = {}
        self.autoescape = False

    def make_child(self, offset: int) -> "Scope":
        """A scope that sees all of this one and whose own names end with it."""
        self.render_context.charge(1 + (len(self.local_variables) >> 2), offset)
        child = Scope.__new__(Scope)
        child.render_context = self.render_context
        child.variables = self.variables
        child.local_variables = self.local_variables.copy()
        child.tag_state = self.tag_state
        child.autoescape = self.autoescape
        return child

    def get_enclosing_loop(self) -> ForLoop | None:
        """The loop around this place."""
        loop = self.local_variables.get("forloop")
        return loop if isinstance(loop, ForLoop) else None
