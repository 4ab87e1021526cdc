"""Templates: compiled once, rendered often."""

from functools import lru_cache

from flows.lang.compiling import Compiling, Write
from flows.lang.errors import REFUSALS, SourceError, TemplateError, located, placed
from flows.lang.evaluation import Evaluation, Scope
from flows.lang.functions import FUNCTIONS, Function, context_of
from flows.lang.limits import MAX_SOURCE
from flows.lang.parsing import DocumentParser
from flows.lang.tags_control import CONTROL_TAGS
from flows.lang.tags_text import TEXT_TAGS
from flows.lang.values import text

TAGS = {**CONTROL_TAGS, **TEXT_TAGS}

CACHED_TEMPLATES = 512
# A longer source is compiled each time, so that the cache stays small.
CACHED_SOURCE = 8_192

# What a mistake of ours may raise on a strange value; never what the datastore raises about itself.
_UNFORESEEN = (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, TypeError, ValueError)


class Template:
    """A compiled template.

    source: what it was compiled from. warnings: what in it is probably not meant. printed: where it prints what it
    reads as it came; reads: all that it reads, as in `Printed`; declared: names that its own tags give.
    context_names: the context's names that it reads, each with line and column, from 1.
    """

    __slots__ = (
        "_constant",
        "_weight",
        "_write",
        "context_names",
        "declared",
        "printed",
        "reads",
        "source",
        "warnings",
    )

    def __init__(self, source: str, write: Write, weight: int, compiling: Compiling) -> None:
        self.source = source
        self.warnings = compiling.warnings()
        self.printed = tuple(compiling.printed)
        self.reads = frozenset(compiling.reads)
        self.declared = frozenset(compiling.declared)
        self.context_names = compiling.context_names()
        self._write = write
        self._weight = weight
        self._constant = "{" not in source

    def render(self, evaluation: Evaluation) -> str:
        """The text for the evaluation's variables. Raises TemplateError.

        `evaluation.drawn.any` then says whether it has read a secret.
        """
        if self._constant:
            evaluation.drawn.any = False
            return self.source
        evaluation.start()
        printed = 0
        try:
            result = self._write_in(Scope(evaluation, evaluation.variables))
            printed = len(result)
        except TemplateError as error:
            if not evaluation.drawn.any:
                raise
            raise error.without_values() from None
        finally:
            evaluation.calls = 0
            evaluation.stop(printed)
        return result

    def _write_in(self, scope: Scope) -> str:
        evaluation = scope.evaluation
        try:
            evaluation.spend(self._weight, 0)
            result = self._write(scope)
            if len(result) > CACHED_SOURCE:
                _check_size(len(result), evaluation)
        except SourceError as fault:
            raise located(fault, self.source) from None
        except REFUSALS as refusal:
            raise located(placed(refusal, 0), self.source) from None
        except _UNFORESEEN as error:
            raise located(SourceError(f"cannot be evaluated ({type(error).__name__})"), self.source) from error
        return result

    def watched(self) -> "Template":
        """The same template, noting in `Evaluation.seen` what it looks up. Slower: for telling, not for running."""
        return _compile_watched(self.source)

    def render_in(self, scope: Scope) -> str:
        """As `render`, called from another template, with the variables of `scope`."""
        return self._write_in(scope)


def _check_size(printed: int, evaluation: Evaluation) -> None:
    limits = evaluation.limits
    if printed > limits.text:
        raise SourceError(f"the text gets too long (more than {limits.text:,} characters)")
    if evaluation.output + printed > limits.output:
        raise SourceError(f"the templates print too much (more than {limits.output:,} characters)")


def _template(scope: Scope, source: object, context: object) -> str:
    evaluation = scope.evaluation
    given = context_of(context)
    template = compile_template(text(source))
    evaluation.spend(20 + (len(template.source) >> 2))
    printed = template.render_in(Scope(evaluation, given))
    evaluation.spend(len(printed) >> 6)
    return printed


_INNER = "in template(): "


def _told_once(error: TemplateError) -> str:
    if error.message.startswith(_INNER):
        return error.message
    return f"{_INNER}{error.message} (line {error.line}, column {error.column})"


class _TemplateFunction(Function):
    """template(source, context): renders a template with only the context's values and the functions."""

    __slots__ = ()

    def apply(self, scope: Scope, arguments: list[object], offset: int) -> object:
        scope.evaluation.enter(offset)
        try:
            return super().apply(scope, arguments, offset)
        except TemplateError as error:
            raise SourceError(_told_once(error), offset, error.suggestion) from None
        finally:
            scope.evaluation.leave()


ALL_FUNCTIONS = {**FUNCTIONS, "template": _TemplateFunction("template", 2, _template)}


def compile_template(source: str) -> Template:
    """The template, compiled; the last ones are kept. Raises TemplateError."""
    return _compile(source) if len(source) > CACHED_SOURCE else _compile_and_keep(source)


def _compile(source: str, watching: bool = False) -> Template:
    try:
        if len(source) > MAX_SOURCE:
            raise SourceError(f"the template is too long (more than {MAX_SOURCE:,} characters)")
        compiling = Compiling(source, ALL_FUNCTIONS, watching)
        block = DocumentParser(compiling, TAGS).document()
    except SourceError as fault:
        raise located(fault, source) from None
    except REFUSALS as refusal:
        raise located(placed(refusal, 0), source) from None
    except _UNFORESEEN as error:
        raise located(SourceError(f"cannot be compiled ({type(error).__name__})"), source) from error
    return Template(source, block.write, block.weight, compiling)


_compile_and_keep = lru_cache(maxsize=CACHED_TEMPLATES)(_compile)


@lru_cache(maxsize=CACHED_TEMPLATES)
def _compile_watched_and_keep(source: str) -> Template:
    return _compile(source, watching=True)


def _compile_watched(source: str) -> Template:
    return _compile(source, watching=True) if len(source) > CACHED_SOURCE else _compile_watched_and_keep(source)
