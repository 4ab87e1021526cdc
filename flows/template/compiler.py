"""Templates: compiled once, rendered often."""

from functools import lru_cache

from flows.template.compilation import CompilationState
from flows.template.errors import (
    OPERATION_ERRORS,
    LocatedError,
    TemplateError,
    TemplateWarning,
    locate_error,
    make_template_error,
)
from flows.template.filters import FILTERS
from flows.template.functions import FUNCTIONS, Function, check_template_context
from flows.template.limits import MAX_SOURCE_LENGTH
from flows.template.parser import Block, TemplateParser
from flows.template.runtime.render_context import RenderContext, Scope
from flows.template.runtime.values import CollectedList, to_text
from flows.template.tags.collect import COLLECT_TAGS
from flows.template.tags.control import CONTROL_TAGS
from flows.template.tags.text import TEXT_TAGS

TAGS = {**CONTROL_TAGS, **COLLECT_TAGS, **TEXT_TAGS}

MAX_CACHED_TEMPLATES = 512
# Longer sources are compiled each time, to keep the cache small.
MAX_CACHED_SOURCE_LENGTH = 8_192

# Exceptions that a defect in this language may raise for an unusual value; none of them reports a datastore failure.
_UNEXPECTED_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, TypeError, ValueError)


class Template:
    """A compiled template.

    source: the text it was compiled from. raw_outputs: outputs that may print text unchanged; references: all variables
    that it reads, as in `RawOutput`; declared_names: names set by its own tags. shape: the shape of its output.
    """

    __slots__ = (
        "_collected_names",
        "_compilation",
        "_cost",
        "_is_constant",
        "_render",
        "declared_names",
        "raw_outputs",
        "references",
        "shape",
        "source",
    )

    def __init__(self, source: str, block: Block, compilation: CompilationState) -> None:
        self.source = source
        self._compilation = compilation
        self.shape = block.shape
        self.raw_outputs = tuple(compilation.raw_outputs)
        self.references = frozenset(compilation.references)
        self.declared_names = frozenset(compilation.declared_names)
        self._collected_names = frozenset(compilation.collected_names)
        self._render = block.render
        self._cost = block.cost
        self._is_constant = "{" not in source

    @property
    def warnings(self) -> tuple[TemplateWarning, ...]:
        """The probable mistakes. Found when they are asked for: it takes far longer than compilation."""
        return self._compilation.get_warnings()

    @property
    def context_names(self) -> tuple[tuple[str, int, int], ...]:
        """The context names that the template reads, each with line and column, from 1."""
        return self._compilation.get_context_names()

    def render(self, render_context: RenderContext) -> str:
        """Render the template with the context's variables. Raises TemplateError.

        Afterwards `render_context.taint.is_tainted` says whether it has read a secret.
        """
        if self._is_constant:
            render_context.taint.is_tainted = False
            return self.source
        output_length = 0
        scope = render_context.start_template()
        try:
            result = self._render_checked(scope)
            output_length = len(result)
        except TemplateError as error:
            if not render_context.taint.is_tainted:
                raise
            raise error.redact_message() from None
        finally:
            render_context.call_depth = 0
            render_context.end_template(output_length)
        return result

    def _render_checked(self, scope: Scope) -> str:
        render_context = scope.render_context
        try:
            render_context.charge(self._cost, 0)
            for name in self._collected_names:
                scope.local_variables[name] = CollectedList()
            result = self._render(scope)
            if len(result) > MAX_CACHED_SOURCE_LENGTH:
                _check_output_length(len(result), render_context)
        except LocatedError as located_error:
            raise make_template_error(located_error, self.source) from None
        except OPERATION_ERRORS as operation_error:
            raise make_template_error(locate_error(operation_error, 0), self.source) from None
        except _UNEXPECTED_ERRORS as error:
            raise make_template_error(
                LocatedError(f"cannot be evaluated ({type(error).__name__})"), self.source
            ) from error
        return result

    def with_read_tracking(self) -> "Template":
        """Return the same template, recording its lookups in the render context. Slower: for explanations, not for
        runs.
        """
        return _compile_tracking_reads(self.source)

    def render_in_scope(self, scope: Scope) -> str:
        """Render the template for `template()`, with the variables of `scope`."""
        return self._render_checked(scope)


def _check_output_length(output_length: int, render_context: RenderContext) -> None:
    limits = render_context.limits
    if output_length > limits.text_length:
        raise LocatedError(f"text is too long (more than {limits.text_length:,} characters)")
    if render_context.output_length + output_length > limits.output_length:
        raise LocatedError(f"template output is too long (more than {limits.output_length:,} characters)")


def _render_template_function(scope: Scope, source: object, context: object) -> str:
    render_context = scope.render_context
    variables = check_template_context(context)
    template = compile_template(to_text(source))
    render_context.charge(20 + (len(template.source) >> 2))
    output = template.render_in_scope(Scope(render_context, variables))
    render_context.charge(len(output) >> 6)
    return output


_NESTED_ERROR_PREFIX = "in template(): "


def _format_nested_error(error: TemplateError) -> str:
    if error.message.startswith(_NESTED_ERROR_PREFIX):
        return error.message
    return f"{_NESTED_ERROR_PREFIX}{error.message} (line {error.line}, column {error.column})"


class _TemplateFunction(Function):
    """The function template(source, context): renders a template with only the context's values and the functions."""

    __slots__ = ()

    def apply(self, scope: Scope, arguments: list[object], offset: int) -> object:
        render_context = scope.render_context
        render_context.enter_call(offset)
        outer_warnings = render_context.take_warnings()
        try:
            return super().apply(scope, arguments, offset)
        except TemplateError as error:
            raise LocatedError(_format_nested_error(error), offset, error.suggestion) from None
        finally:
            render_context.move_nested_warnings(outer_warnings, offset, _NESTED_ERROR_PREFIX)
            render_context.leave_call()


ALL_FUNCTIONS = {**FUNCTIONS, "template": _TemplateFunction("template", 2, _render_template_function)}


def compile_template(source: str) -> Template:
    """Compile a template, or return it from the cache. Raises TemplateError."""
    return _compile(source) if len(source) > MAX_CACHED_SOURCE_LENGTH else _compile_cached(source)


def _compile(source: str, tracks_reads: bool = False) -> Template:
    try:
        if len(source) > MAX_SOURCE_LENGTH:
            raise LocatedError(f"template is too long (more than {MAX_SOURCE_LENGTH:,} characters)")
        compilation = CompilationState(source, ALL_FUNCTIONS, FILTERS, tracks_reads)
        block = TemplateParser(compilation, TAGS).parse_template()
    except LocatedError as located_error:
        raise make_template_error(located_error, source) from None
    except OPERATION_ERRORS as operation_error:
        raise make_template_error(locate_error(operation_error, 0), source) from None
    except _UNEXPECTED_ERRORS as error:
        raise make_template_error(LocatedError(f"cannot be compiled ({type(error).__name__})"), source) from error
    return Template(source, block, compilation)


_compile_cached = lru_cache(maxsize=MAX_CACHED_TEMPLATES)(_compile)


@lru_cache(maxsize=MAX_CACHED_TEMPLATES)
def _compile_tracking_reads_cached(source: str) -> Template:
    return _compile(source, tracks_reads=True)


def _compile_tracking_reads(source: str) -> Template:
    return (
        _compile(source, tracks_reads=True)
        if len(source) > MAX_CACHED_SOURCE_LENGTH
        else _compile_tracking_reads_cached(source)
    )
