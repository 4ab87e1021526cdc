"""Templates, and JSON values whose strings are templates, such as a step's input: compiled once, rendered often."""

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

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

JSONValue = Any
"""None, bool, int, float, str, or a list or dict of these, with string keys."""

ResolveFunc = Callable[[RenderContext], JSONValue]

MAX_VALUE_DEPTH = 100
MAX_ERRORS = 100
"""After so many errors, the other strings of a value are not compiled."""

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
        try:
            result = self._render_checked(render_context)
            output_length = len(result)
        except TemplateError as error:
            if not render_context.taint.is_tainted:
                raise
            raise error.redact_message() from None
        finally:
            render_context.call_depth = 0
            render_context.end_template(output_length)
        return result

    def _render_checked(self, render_context: RenderContext, scope: Scope | None = None) -> str:
        try:
            scope = scope or render_context.start_template()
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
        return self._render_checked(scope.render_context, scope)


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


class CompiledValue:
    """A JSON value with compiled strings. Keys are not templates. templates: the compiled strings by path."""

    __slots__ = ("_render", "templates")

    def __init__(self, render: ResolveFunc, templates: tuple[tuple[str, Template], ...]) -> None:
        self._render = render
        self.templates = templates

    def iter_warnings(self) -> Iterator[TemplateWarning]:
        """Yield the probable mistakes, each with its path. Each template is examined when its turn comes."""
        return (warning.with_path(path) for path, template in self.templates for warning in template.warnings)

    def render(self, render_context: RenderContext) -> JSONValue:
        """Return the value with its strings rendered; a string stays a string, null stays null. Raises TemplateError.

        A string that has read a secret becomes a `Secret`. If the render context collects errors, they are appended to
        its list and the failed strings become null. If it collects warnings, they are appended to its list.
        """
        return self._render(render_context)


def compile_value(value: JSONValue, path: str, errors: list[TemplateError]) -> CompiledValue:
    """Compile every string of `value`, which is at `path` of its document.

    Errors are appended to `errors`, each with its path, at most MAX_ERRORS; a value with an error resolves to itself.
    """
    compiler = _ValueCompiler(errors)
    render = compiler.compile(value, path, 0)
    return CompiledValue(render, tuple(compiler.templates))


class _ValueCompiler:
    """A single walk over a value."""

    def __init__(self, errors: list[TemplateError]) -> None:
        self.errors = errors
        self.templates: list[tuple[str, Template]] = []

    def compile(self, value: JSONValue, path: str, depth: int) -> ResolveFunc:
        """Return the function that resolves the value at `path`."""
        if depth > MAX_VALUE_DEPTH:
            return self._add_error(
                TemplateError(f"nested too deeply (more than {MAX_VALUE_DEPTH} levels)"), value, path
            )
        if isinstance(value, str):
            return self._compile_string(value, path)
        if isinstance(value, dict):
            field_renderers = [
                (key, self.compile(item, join_path(path, key), depth + 1)) for key, item in value.items()
            ]
            return lambda render_context: {key: render(render_context) for key, render in field_renderers}
        if isinstance(value, list):
            item_renderers = [self.compile(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
            return lambda render_context: [render(render_context) for render in item_renderers]
        return lambda render_context: value

    def _compile_string(self, source: str, path: str) -> ResolveFunc:
        if len(self.errors) >= MAX_ERRORS:
            return lambda render_context: source
        try:
            template = compile_template(source)
        except TemplateError as error:
            return self._add_error(error, source, path)
        self.templates.append((path, template))
        return _make_renderer(template, path)

    def _add_error(self, error: TemplateError, value: JSONValue, path: str) -> ResolveFunc:
        error.path = path
        self.errors.append(error)
        return lambda render_context: value


def _make_renderer(template: Template, path: str) -> ResolveFunc:
    def render(render_context: RenderContext) -> JSONValue:
        try:
            text = template.render(render_context)
            return render_context.taint.wrap(text) if render_context.taint.is_tainted else text
        except TemplateError as error:
            error.path = path
            if render_context.collected_errors is None:
                raise
            render_context.collected_errors.append(error)
            return None
        finally:
            if render_context.collected_warnings is not None:
                render_context.collect_warnings(template.source, path)

    return render


def join_path(path: str, key: str) -> str:
    """Append a key to a path: `context.Room`, or `input["a b"]`."""
    if isinstance(key, str) and key.isidentifier() and key.isascii():
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(key, ensure_ascii=False, default=str)}]"
