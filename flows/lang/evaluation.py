"""What the templates of one step share while they are rendered: variables, the datastore, and one budget."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from flows.lang.errors import RefusedError, SourceError, TemplateError
from flows.lang.limits import DEFAULT_LIMITS, Limits
from flows.lang.secrecy import Drawn, Secret
from flows.lang.values import ForLoop, as_record

# A text or list of less is not worth charging for.
CHEAP = 256
# Between two looks at the clock.
WORK_PER_LOOK = 2_000
MAX_SEEN = 20
# What stands for a value that was looked up after a secret.
HIDDEN = Secret(None, ())


class Evaluation:
    """One evaluation of a step: pass the same object to every template of the step.

    variables: what templates see by name; a plain dict that may be changed between renders. datastore: called at most
    once a key; gives a Secret where nobody may be shown the value, raises LookupError(message) where the key is missing
    or cannot be read. secrets: the context's values that are secret. drawn: what templates have read of secrets. seen:
    what watched templates looked up, and its value, or HIDDEN. errors: None, or a list that takes the errors of a
    value's texts, so that the others are rendered all the same.
    """

    __slots__ = (
        "_checkpoint", "_datastore", "_event", "_missing", "_record", "_seconds", "_started", "_stored",
        "calls", "drawn", "errors", "limits", "output", "secrets", "seen", "turns", "variables", "work",
    )  # fmt: skip

    def __init__(
        self, variables: dict[str, Any], datastore: Callable[[str], object], limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.variables = variables
        self.limits = limits
        self.work = self.turns = self.output = self.calls = 0
        self._datastore = datastore
        self._stored: dict[str, object] = {}
        self._missing: dict[str, str] = {}
        self._checkpoint = min(WORK_PER_LOOK, limits.work)
        self._seconds = 0.0
        self._started = 0.0
        self._event: object = None
        self._record: object = None
        self.seen: dict[str, object] = {}
        self.errors: list[TemplateError] | None = None
        self.drawn = Drawn()
        self.secrets: dict[str, Secret] = {}

    def see_context(self, context: Mapping[str, str | Secret]) -> None:
        """`Context` is this from now on."""
        self.secrets = {}
        self.variables["Context"] = dict(context)
        if Secret in map(type, context.values()):
            self.secrets = {name: value for name, value in context.items() if isinstance(value, Secret)}
            self.variables["Context"] |= {name: secret.value for name, secret in self.secrets.items()}

    def start(self) -> None:
        """The clock runs: a template is being rendered. The event may have been changed since the last one."""
        self._record = None
        self.drawn.any = False
        self._started = time.monotonic()

    def stop(self, printed: int) -> None:
        """The clock stands; `printed` characters were printed."""
        self._seconds += time.monotonic() - self._started
        self.output += printed

    def spend(self, units: int, offset: int | None = None) -> None:
        """Takes `units` of work from the budget.

        Raises SourceError at `offset` when it is used up; RefusedError where the caller does not know the place.
        """
        self.work += units
        if self.work >= self._checkpoint:
            self._look(offset)

    def _look(self, offset: int | None) -> None:
        message = ""
        if self.work > self.limits.work:
            message = f"the template does too much work (more than {self.limits.work:,} operations)"
        elif self._seconds + time.monotonic() - self._started > self.limits.seconds:
            message = f"the template takes too long (more than {self.limits.seconds:g} seconds)"
        if message:
            raise RefusedError(message) if offset is None else SourceError(message, offset)
        self._checkpoint = min(self.work + WORK_PER_LOOK, self.limits.work + 1)

    def take_turns(self, count: int, weight: int, offset: int) -> None:
        """A loop whose body costs `weight` is about to make `count` turns."""
        self.turns += count
        if self.turns > self.limits.turns:
            raise SourceError(f"too many turns of loops (more than {self.limits.turns:,})", offset)
        self.spend(count * weight, offset)

    def enter(self, offset: int) -> None:
        """A macro or `template()` is called. Raises SourceError when calls are nested too deep."""
        self.calls += 1
        if self.calls > self.limits.calls:
            raise SourceError(f"macros and template() call each other too deep (more than {self.limits.calls})", offset)

    def leave(self) -> None:
        """The call that was entered last is over."""
        self.calls -= 1

    def stored(self, key: str) -> object:
        """The datastore's value for `key`. Raises LookupError as the datastore did."""
        if key in self._missing:
            raise LookupError(self._missing[key])
        if key not in self._stored:
            try:
                self._stored[key] = self._datastore(key)
            except LookupError as error:
                self._missing[key] = str(error.args[0]) if error.args else f"datastore item '{key}' cannot be read"
                raise LookupError(self._missing[key]) from None
        found = self._stored[key]
        if isinstance(found, Secret):
            self.drawn.note(found)
            return found.value
        return found

    def draw_context(self, name: str | int | None) -> None:
        """A template reads the context's value of this name, or all of it."""
        if name is None:
            for secret in self.secrets.values():
                self.drawn.note(secret)
        elif isinstance(name, str) and name in self.secrets:
            self.drawn.note(self.secrets[name])

    def saw(self, source: str, value: object) -> None:
        """A watched template looked something up; what it looks up first is kept.

        Once it has read a secret, whatever it looks up may have some of it.
        """
        if len(self.seen) < MAX_SEEN:
            self.seen.setdefault(source, HIDDEN if self.drawn.any else value)

    def event(self) -> object:
        """The variable `Event` as a record."""
        event = self.variables.get("Event")
        if event is not self._event or self._record is None:
            self._event, self._record = event, as_record(event)
        return self._record


class Scope:
    """Where a template is: the names it sees and whether it escapes.

    public: the variables it was given. private: what its tags set. state: what tags that remember (cycle, ifchanged)
    know, by tag; one for a whole rendering.
    """

    __slots__ = ("autoescape", "evaluation", "private", "public", "state")

    def __init__(self, evaluation: Evaluation, public: dict[str, Any]) -> None:
        self.evaluation = evaluation
        self.public = public
        self.private: dict[str, Any] = {}
        self.state: dict[object, Any] = {}
        self.autoescape = False

    def child(self, offset: int) -> "Scope":
        """A scope that sees all of this one and whose own names end with it."""
        self.evaluation.spend(1 + (len(self.private) >> 2), offset)
        child = Scope.__new__(Scope)
        child.evaluation = self.evaluation
        child.public = self.public
        child.private = self.private.copy()
        child.state = self.state
        child.autoescape = self.autoescape
        return child

    def loop(self) -> ForLoop | None:
        """The loop around this place."""
        loop = self.private.get("forloop")
        return loop if isinstance(loop, ForLoop) else None
