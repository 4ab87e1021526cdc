"""JSON values whose strings are templates: a step's context, labels, criteria and input."""

import json
from collections.abc import Callable
from typing import Any

from flows.lang.errors import TemplateError, TemplateWarning
from flows.lang.evaluation import Evaluation
from flows.lang.templates import Template, compile_template

Json = Any
"""None, bool, int, float, str, list or dict of such, with text as keys."""

Resolve = Callable[[Evaluation], Json]

MAX_NESTING = 100


class CompiledValue:
    """A JSON value, its strings compiled. Keys are not templates. texts: the strings that compile, by their paths."""

    __slots__ = ("_resolve", "texts", "warnings")

    def __init__(
        self, resolve: Resolve, warnings: tuple[TemplateWarning, ...], texts: tuple[tuple[str, Template], ...]
    ) -> None:
        self._resolve = resolve
        self.warnings = warnings
        self.texts = texts

    def resolve(self, evaluation: Evaluation) -> Json:
        """The value with its strings rendered; a string stays a string, null stays null. Raises TemplateError.

        A string that has read a secret is a `Secret`.

        Where the evaluation has a list for `errors`, they go there, and what has one is null.
        """
        return self._resolve(evaluation)


def compile_value(value: Json, path: str, problems: list[TemplateError]) -> CompiledValue:
    """Compiles every string of `value`, which stands at `path` of its document.

    Errors are appended to `problems`, each with its path; what has one resolves to itself.
    """
    compiler = _Compiler(problems)
    resolve = compiler.value(value, path, 0)
    return CompiledValue(resolve, tuple(compiler.warnings), tuple(compiler.texts))


class _Compiler:
    """Walks a value once."""

    def __init__(self, problems: list[TemplateError]) -> None:
        self.problems = problems
        self.warnings: list[TemplateWarning] = []
        self.texts: list[tuple[str, Template]] = []

    def value(self, value: Json, path: str, depth: int) -> Resolve:
        """What resolves the value at `path`."""
        if depth > MAX_NESTING:
            return self._problem(TemplateError(f"nested too deep (more than {MAX_NESTING} levels)"), value, path)
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, dict):
            fields = [(key, self.value(each, under(path, key), depth + 1)) for key, each in value.items()]
            return lambda evaluation: {key: resolve(evaluation) for key, resolve in fields}
        if isinstance(value, list):
            items = [self.value(each, f"{path}[{place}]", depth + 1) for place, each in enumerate(value)]
            return lambda evaluation: [resolve(evaluation) for resolve in items]
        return lambda evaluation: value

    def _text(self, source: str, path: str) -> Resolve:
        try:
            template = compile_template(source)
        except TemplateError as error:
            return self._problem(error, source, path)
        self.warnings.extend(warning.at(path) for warning in template.warnings)
        self.texts.append((path, template))
        return _rendered(template, path)

    def _problem(self, error: TemplateError, value: Json, path: str) -> Resolve:
        error.path = path
        self.problems.append(error)
        return lambda evaluation: value


def _rendered(template: Template, path: str) -> Resolve:
    def resolve(evaluation: Evaluation) -> Json:
        try:
            return evaluation.drawn.kept(template.render(evaluation))
        except TemplateError as error:
            error.path = path
            if evaluation.errors is None:
                raise
            evaluation.errors.append(error)
            return None

    return resolve


def under(path: str, key: str) -> str:
    """The path of a key: `context.Room`, or `input["a b"]`."""
    if isinstance(key, str) and key.isidentifier() and key.isascii():
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(key, ensure_ascii=False, default=str)}]"
