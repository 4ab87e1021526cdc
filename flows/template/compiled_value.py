"""JSON values whose strings are templates: a step's context, labels, criteria and input."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from flows.template.compiler import Template, compile_template
from flows.template.errors import TemplateError, TemplateWarning
from flows.template.runtime.render_context import RenderContext

JSONValue = Any
"""None, bool, int, float, str, or a list or dict of these, with string keys."""

ResolveFunc = Callable[[RenderContext], JSONValue]

MAX_VALUE_DEPTH = 100
MAX_ERRORS = 100
"""After so many errors, the other strings of a value are not compiled."""


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
