"""State shared by the templates of one step while they are rendered: variables, the datastore, and one budget."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from flows.template.errors import LocatedError, OperationError, TemplateError, TemplateWarning, get_line_and_column
from flows.template.limits import DEFAULT_LIMITS, RenderLimits
from flows.template.runtime.taint import Secret, Taint
from flows.template.runtime.values import ForLoop, to_record

# Shorter texts and lists are not charged.
MAX_UNCHARGED_SIZE = 256
# Work between two checks of the clock.
WORK_BETWEEN_CHECKS = 2_000
MAX_TRACKED_READS = 20
MAX_COLLECTED_WARNINGS = 20
HIDDEN_WARNING = "warning details hidden because the template reads a secret"
# Replaces a value that was looked up after a secret.
REDACTED = Secret(None, ())


class RenderContext:
    """One evaluation of a step: pass the same object to every template of the step.

    variables: the template variables by name; a plain dict that may be changed between renders. datastore: called at
    most once per key; returns a Secret if the value is secret, raises KeyError(message) if the key is missing, and
    LookupError(message) if its value cannot be read. context_secrets: the secret values of the context. taint: the
    secrets that templates have read. tracked_reads: lookups of templates with read tracking, and their values, or
    REDACTED. collected_errors: None, or a list that receives the errors of a value's strings, so that the other strings
    are still rendered. collected_warnings: None, or a list that receives probable mistakes that depend on the values,
    such as a number that is compared with text.
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
        "collected_warnings",
        "context_secrets",
        "iterations",
        "limits",
        "located_warnings",
        "output_length",
        "taint",
        "tracked_reads",
        "unlocated_warnings",
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
        self._datastore_errors: dict[str, tuple[type[LookupError], str]] = {}
        self._next_check = min(WORK_BETWEEN_CHECKS, limits.work)
        self._elapsed_seconds = 0.0
        self._started_at = 0.0
        self._event: object = None
        self._event_record: object = None
        self.tracked_reads: dict[str, object] = {}
        self.collected_errors: list[TemplateError] | None = None
        self.collected_warnings: list[TemplateWarning] | None = None
        self.unlocated_warnings: list[str] = []
        self.located_warnings: dict[tuple[str, int], None] = {}
        self.taint = Taint()
        self.context_secrets: dict[str, Secret] = {}

    def set_step_context(self, context: Mapping[str, str | Secret]) -> None:
        """Set the variable `Context`."""
        self.context_secrets = {}
        self.variables["Context"] = dict(context)
        if Secret in map(type, context.values()):
            self.context_secrets = {name: value for name, value in context.items() if isinstance(value, Secret)}
            self.variables["Context"] |= {name: secret.value for name, secret in self.context_secrets.items()}

    def start_template(self) -> "Scope":
        """Start timing the rendering of a template, and return its scope.

        The event may have changed since the last one.
        """
        self._event_record = None
        self.taint.is_tainted = False
        self._started_at = time.monotonic()
        return Scope(self, self.variables)

    def end_template(self, output_length: int) -> None:
        """Stop timing, and add the characters printed."""
        self._elapsed_seconds += time.monotonic() - self._started_at
        self.output_length += output_length

    def charge(self, units: int, offset: int | None = None) -> None:
        """Take `units` of work from the budget.

        Raises LocatedError at `offset` if it is exceeded; OperationError if the caller does not know the position.
        """
        self.work += units
        if self.work >= self._next_check:
            self._check_limits(offset)

    def _check_limits(self, offset: int | None) -> None:
        message = ""
        if self.work > self.limits.work:
            message = f"template does too much work (more than {self.limits.work:,} operations)"
        elif self._elapsed_seconds + time.monotonic() - self._started_at > self.limits.seconds:
            message = f"template takes too long (more than {self.limits.seconds:g} seconds)"
        if message:
            raise OperationError(message) if offset is None else LocatedError(message, offset)
        self._next_check = min(self.work + WORK_BETWEEN_CHECKS, self.limits.work + 1)

    def charge_iterations(self, iterations: int, iteration_cost: int, offset: int) -> None:
        """Charge a loop before its `iterations` iterations, each of which costs `iteration_cost`."""
        self.iterations += iterations
        if self.iterations > self.limits.iterations:
            raise LocatedError(f"too many loop iterations (more than {self.limits.iterations:,})", offset)
        self.charge(iterations * iteration_cost, offset)

    def enter_call(self, offset: int) -> None:
        """Enter a call of a macro or `template()`. Raises LocatedError if calls are nested too deeply."""
        self.call_depth += 1
        if self.call_depth > self.limits.call_depth:
            raise LocatedError(
                f"calls of macros and template() are nested too deeply (more than {self.limits.call_depth})", offset
            )

    def leave_call(self) -> None:
        """Leave the call entered last."""
        self.call_depth -= 1

    def get_datastore_value(self, key: str) -> object:
        """Return the datastore's value for `key`. Raises the datastore's KeyError or LookupError."""
        if key in self._datastore_errors:
            error_type, message = self._datastore_errors[key]
            raise error_type(message)
        if key not in self._datastore_values:
            try:
                self._datastore_values[key] = self._datastore(key)
            except LookupError as error:
                message = str(error.args[0]) if error.args else f"datastore item '{key}' cannot be read"
                error_type = KeyError if isinstance(error, KeyError) else LookupError
                self._datastore_errors[key] = (error_type, message)
                raise error_type(message) from None
        value = self._datastore_values[key]
        if isinstance(value, Secret):
            self.taint.add(value)
            return value.value
        return value

    def taint_from_context(self, name: str | int | None) -> None:
        """Record that a template reads the context's value of this name, or (None) all of it."""
        if name is None:
            for secret in self.context_secrets.values():
                self.taint.add(secret)
        elif isinstance(name, str) and name in self.context_secrets:
            self.taint.add(self.context_secrets[name])

    def track_read(self, source: str, value: object) -> None:
        """Record a lookup of a template with read tracking; the first ones are kept.

        After the template has read a secret, values are redacted: any may contain some of it.
        """
        if len(self.tracked_reads) < MAX_TRACKED_READS:
            self.tracked_reads.setdefault(source, REDACTED if self.taint.is_tainted else value)

    @property
    def collects_warnings(self) -> bool:
        """Return whether `warn` records anything; check it before an expensive message."""
        return self.collected_warnings is not None

    def warn(self, message: str) -> None:
        """Warn about a probable mistake in the operation that is being evaluated; the caller of it adds the position.

        After the template has read a secret, the message is hidden: any may contain some of it.
        """
        if self.collected_warnings is not None:
            self.unlocated_warnings.append(HIDDEN_WARNING if self.taint.is_tainted else message)

    def locate_warnings(self, offset: int) -> None:
        """Add the position in the template to the last warnings."""
        for message in self.unlocated_warnings:
            if len(self.located_warnings) < MAX_COLLECTED_WARNINGS:
                self.located_warnings.setdefault((message, offset))
        self.unlocated_warnings.clear()

    def take_warnings(self) -> list[tuple[str, int]]:
        """Return the located warnings, each with its offset, and forget them."""
        self.unlocated_warnings.clear()
        warnings = list(self.located_warnings)
        self.located_warnings.clear()
        return warnings

    def move_nested_warnings(self, outer_warnings: list[tuple[str, int]], offset: int, prefix: str) -> None:
        """Move the warnings of a nested template to `offset` in the outer one, behind the warnings of that one."""
        nested_warnings = self.take_warnings()
        self.located_warnings.update(dict.fromkeys(outer_warnings))
        self.unlocated_warnings += [prefix + message for message, _ in nested_warnings]
        self.locate_warnings(offset)

    def collect_warnings(self, source: str, path: str) -> None:
        """Add the warnings of the template at this path, which has this source, to the collected ones."""
        if self.collected_warnings is not None:
            self.collected_warnings += [
                TemplateWarning(message, *get_line_and_column(source, offset), path)
                for message, offset in self.take_warnings()
            ]

    def get_event_record(self) -> object:
        """Return the variable `Event` as a record."""
        event = self.variables.get("Event")
        if event is not self._event or self._event_record is None:
            self._event, self._event_record = event, to_record(event)
        return self._event_record


class Scope:
    """The names visible to a part of a template, and whether it escapes output.

    variables: the template variables. local_variables: names set by tags. tag_state: state of tags that remember
    (cycle, ifchanged), by tag; shared by one rendering.
    """

    __slots__ = ("autoescape", "local_variables", "render_context", "tag_state", "variables")

    def __init__(self, render_context: RenderContext, variables: dict[str, Any]) -> None:
        self.render_context = render_context
        self.variables = variables
        self.local_variables: dict[str, Any] = {}
        self.tag_state: dict[object, Any] = {}
        self.autoescape = False

    def make_child(self, offset: int) -> "Scope":
        """Return a scope that sees all of this one; names set in it end with it."""
        self.render_context.charge(1 + (len(self.local_variables) >> 2), offset)
        child = Scope.__new__(Scope)
        child.render_context = self.render_context
        child.variables = self.variables
        child.local_variables = self.local_variables.copy()
        child.tag_state = self.tag_state
        child.autoescape = self.autoescape
        return child

    def get_enclosing_loop(self) -> ForLoop | None:
        """Return the innermost enclosing loop."""
        loop = self.local_variables.get("forloop")
        return loop if isinstance(loop, ForLoop) else None
