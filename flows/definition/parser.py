"""Parser of flow documents: parses and validates them, to typed values and every error with its path.

The rules for keys, steps and dependencies are in `validation`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from flows.definition.document import (
    DEPENDS_ON_MODES,
    MAX_BACKOFF_SECONDS,
    MAX_NAME_LENGTH,
    MAX_RETRIES,
    drop_empty,
    normalize_step,
)
from flows.definition.types import (
    MAX_ISSUES,
    TRUE_VALUES,
    UNPARSED_NAME,
    CommandDefinition,
    EventDefinition,
    FlowDefinition,
    FlowIssue,
    StepDefinition,
    make_default_step_id,
)
from flows.definition.validation import (
    COMMAND_KEYS,
    EVENT_KEYS,
    FLOW_KEYS,
    LEGACY_KEYS,
    STEP_KEYS,
    find_closest_key,
    find_unknown_keys,
    validate_steps,
)
from flows.template import (
    CompiledValue,
    Template,
    TemplateError,
    TemplateWarning,
    can_equal_any,
    compile_template,
    compile_value,
    iter_literals,
)
from flyte_formats.characters import has_control_characters
from flyte_site.core.dot_segments import get_dot_segment_error
from flyte_site.core.json_numbers import to_json_numbers
from flyte_time.durations import parse_whole_seconds

MAX_DURATION_SECONDS = 366 * 86_400
_RELATION_PATH = re.compile(r"steps\[\d+\](\.(id|context|dependsOn(\[\d+\])?))?")
"""Paths of errors after which the relations between steps are unknown."""


@dataclass
class FlowParser:
    """A parser of one document, which collects all errors; an invalid part becomes an empty value."""

    is_stored: bool = False
    errors: list[FlowIssue] = field(default_factory=list)
    warnings: list[FlowIssue] = field(default_factory=list)

    def add_error(self, path: str, message: str) -> None:
        self.errors.append(FlowIssue(path, message))

    def add_warning(self, path: str, message: str) -> None:
        self.warnings.append(FlowIssue(path, message))

    def parse_flow(self, value: Any) -> FlowDefinition:
        data = self.parse_mapping(self.remove_links(value), "", FLOW_KEYS)
        name = self.parse_path_name(data, "name", "name")
        description = self.parse_text(data, "description", "description")
        labels = self.parse_labels(data.get("labels"), "labels")
        enabled = data.get("enabled")
        if enabled is not None and not isinstance(enabled, bool):
            self.add_error("enabled", f"must be true or false, not {_format_value(enabled)}")
        raw_steps = data.get("steps")
        if not isinstance(raw_steps, list):
            missing, actual = _describe_missing(data, "steps"), _describe_actual(data, "steps")
            self.add_error("steps", f"{missing}must be a list of steps{actual}")
            raw_steps = []
        elif raw_steps == [] and isinstance(value, Mapping):
            self.add_warning("steps", "empty list: the flow does nothing")
        steps = tuple(self.parse_steps(raw_steps))
        if len(steps) == len(raw_steps):
            has_valid_relations = not any(_RELATION_PATH.fullmatch(error.path) for error in self.errors)
            errors, warnings = validate_steps(steps, has_valid_relations=has_valid_relations)
            self.errors += errors
            self.warnings += warnings
        document = drop_empty(
            {
                "name": name,
                "description": description,
                "labels": labels,
                "steps": [normalize_step(raw_step) for raw_step in raw_steps],
            }
        )
        return FlowDefinition(
            name,
            description,
            labels,
            enabled,
            steps,
            document,
            tuple(sorted(self.warnings, key=lambda warning: warning.path)[:MAX_ISSUES]),
        )

    def parse_steps(self, raw_steps: list[Any]) -> Iterator[StepDefinition]:
        """Parse the steps, until there are MAX_ISSUES errors."""
        for index, raw_step in enumerate(raw_steps):
            if len(self.errors) >= MAX_ISSUES:
                return
            yield self.parse_step(raw_step, index)

    def remove_links(self, value: Any) -> Any:
        """Remove the links that the server adds to a flow: they are not part of it."""
        if not isinstance(value, Mapping) or "links" not in value:
            return value
        self.add_warning("links", "ignored: links are set by the server")
        return {key: item for key, item in value.items() if key != "links"}

    def parse_step(self, value: Any, index: int) -> StepDefinition:
        path = f"steps[{index}]"
        data = self.parse_mapping(value, path, STEP_KEYS)
        depends_on = self.parse_step_ids(data.get("dependsOn"), f"{path}.dependsOn")
        depends_on_mode = self.parse_text(data, "dependsOnMode", f"{path}.dependsOnMode") or "any"
        if depends_on_mode not in DEPENDS_ON_MODES:
            self.add_error(f"{path}.dependsOnMode", f"must be any or all, not {depends_on_mode!r}")
        return StepDefinition(
            id=self.parse_step_id(data, path) or make_default_step_id(index),
            path=path,
            event=self.parse_event(data, path),
            context=self.parse_template_mapping(data.get("context"), f"{path}.context"),
            context_names=_get_context_names(data.get("context")),
            criteria=self.parse_criteria(data, path),
            command=self.parse_command(data, path),
            depends_on=depends_on,
            depends_on_mode="all" if depends_on_mode == "all" else "any",
        )

    def parse_step_id(self, data: Mapping[str, Any], path: str) -> str:
        """Parse the id; return '' if it is missing or not text."""
        if data.get("id") in (None, ""):
            return ""
        step_id = self.parse_path_name(data, "id", f"{path}.id")
        return step_id if isinstance(data["id"], str) else ""

    def parse_event(self, raw_step: Mapping[str, Any], step_path: str) -> EventDefinition:
        path = f"{step_path}.event"
        data = self.parse_step_part(raw_step, "event", path, EVENT_KEYS)
        return EventDefinition(
            pack_name=self.parse_name(data, "packName", f"{path}.packName"),
            name=self.parse_name(data, "name", f"{path}.name"),
            pack_labels=self.parse_template_mapping(data.get("packLabels"), f"{path}.packLabels"),
        )

    def parse_command(self, raw_step: Mapping[str, Any], step_path: str) -> CommandDefinition:
        path = f"{step_path}.command"
        data = self.parse_step_part(raw_step, "command", path, COMMAND_KEYS)
        return CommandDefinition(
            pack_name=self.parse_name(data, "packName", f"{path}.packName"),
            name=self.parse_name(data, "name", f"{path}.name"),
            pack_labels=self.parse_template_mapping(data.get("packLabels"), f"{path}.packLabels"),
            # An earlier release stored `3.0` as it was written or imported.
            input=self.compile_templates(to_json_numbers(data.get("input")), f"{path}.input"),
            timeout=self.parse_duration(data.get("timeout"), f"{path}.timeout"),
            retries=int(
                self.parse_number(data.get("retries"), f"{path}.retries", is_integer=True, maximum=MAX_RETRIES)
            ),
            backoff=self.parse_number(
                data.get("backoff"), f"{path}.backoff", is_integer=False, maximum=MAX_BACKOFF_SECONDS
            ),
        )

    def parse_criteria(self, raw_step: Mapping[str, Any], step_path: str) -> Template | None:
        path = f"{step_path}.criteria"
        text = self.parse_text(raw_step, "criteria", path)
        if not text:
            return None
        try:
            template = _compile_criteria(text)
        except TemplateError as error:
            self.add_template_errors([error], path)
            return None
        lines = text.splitlines()
        self.warnings += [
            FlowIssue(path, warning.message, *_locate_in_lines(lines, warning.column)) for warning in template.warnings
        ]
        if "{{" not in text and "{%" not in text and text.strip("\r\n") not in TRUE_VALUES:
            self.add_warning(path, "contains no {{ ... }} and is always false")
        elif not can_equal_any(template.shape, TRUE_VALUES):
            self.add_warning(path, _explain_never_true(template))
        return template

    def parse_template_mapping(self, value: Any, path: str) -> CompiledValue:
        """Parse a mapping of names to templates: context, pack labels."""
        return self.compile_templates(self.parse_labels(value, path), path)

    def compile_templates(self, value: Any, path: str) -> CompiledValue:
        errors: list[TemplateError] = []
        compiled_value = compile_value(value, path, errors)
        self.add_template_errors(errors, path)
        self.add_template_warnings(compiled_value.iter_warnings(), path)
        return compiled_value

    def add_template_warnings(self, warnings: Iterable[TemplateWarning], path: str) -> None:
        self.warnings += [
            FlowIssue(warning.path or path, warning.message, warning.line, warning.column)
            for warning in islice(warnings, max(0, MAX_ISSUES - len(self.warnings)))
        ]

    def add_template_errors(self, errors: list[TemplateError], path: str) -> None:
        self.errors += [
            FlowIssue(error.path or path, _format_template_error(error), error.line, error.column) for error in errors
        ]

    def parse_step_part(
        self, raw_step: Mapping[str, Any], key: str, path: str, known_keys: tuple[str, ...]
    ) -> dict[str, Any]:
        """Parse the `event` or `command` of a step; `labels` in it means `packLabels`, as in the original's
        examples.
        """
        if not isinstance(raw_step.get(key), Mapping):
            missing, actual = _describe_missing(raw_step, key), _describe_actual(raw_step, key)
            self.add_error(path, f"{missing}must be a mapping with a name and a packName{actual}")
            return {"name": UNPARSED_NAME, "packName": UNPARSED_NAME}
        data = dict(raw_step[key])
        if "labels" in data:
            self.add_warning(f"{path}.labels", "is read as packLabels; rename it")
            if "packLabels" in data:
                self.add_error(f"{path}.labels", "duplicate of packLabels; keep one of them")
            data.setdefault("packLabels", data.pop("labels"))
        return self.parse_mapping(data, path, known_keys)

    def parse_mapping(self, value: Any, path: str, known_keys: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            subject = "" if path else "the document "
            self.add_error(path, f"{subject}must be a mapping, not {_format_value(value)}")
            part = {"name": UNPARSED_NAME, "packName": UNPARSED_NAME}
            return {**part, "steps": [], "event": part, "command": part}
        self.errors += find_unknown_keys(value, path, known_keys)
        # An old spelling is one error; it does not also count as a missing key.
        legacy = {LEGACY_KEYS[key]: value[key] for key in value if LEGACY_KEYS.get(key) in known_keys}
        # The same for a misspelt key: the first error, which the editor shows, is then the actual mistake.
        unknown_keys = islice((key for key in value if key not in known_keys), MAX_ISSUES)
        closest_keys = {key: find_closest_key(key, known_keys) for key in unknown_keys}
        corrected = {closest: value[key] for key, closest in closest_keys.items() if closest}
        return corrected | legacy | {key: value[key] for key in value if key in known_keys}

    def parse_name(self, data: Mapping[str, Any], key: str, path: str) -> str:
        value = data.get(key)
        if not isinstance(value, str) or not value:
            self.add_error(path, f"{_describe_missing(data, key)}must be non-empty text{_describe_actual(data, key)}")
            return UNPARSED_NAME
        if len(value) > MAX_NAME_LENGTH or (has_control_characters(value) and not self.is_stored):
            self.add_error(path, f"must have at most {MAX_NAME_LENGTH} characters and no control characters")
        return value

    def parse_path_name(self, data: Mapping[str, Any], key: str, path: str) -> str:
        """Parse a name that occurs in paths of the API."""
        name = self.parse_name(data, key, path)
        if not self.is_stored and (error := get_dot_segment_error(name)):
            self.add_error(path, error)
        return name

    def parse_text(self, data: Mapping[str, Any], key: str, path: str) -> str:
        value = data.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.add_error(path, f"must be text, not {_format_value(value)}{_suggest_quotes(value)}")
            return ""
        if "\x00" in value:
            self.add_error(path, "must not contain NUL characters")
        return value

    def parse_step_ids(self, value: Any, path: str) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            self.add_error(path, f"must be a list of step ids, not {_format_value(value)}")
            return ()
        for index, item in enumerate(value):
            if not isinstance(item, str):
                self.add_error(f"{path}[{index}]", f"must be text, not {_format_value(item)}{_suggest_quotes(item)}")
        return tuple(item for item in value if isinstance(item, str))

    def parse_labels(self, value: Any, path: str) -> dict[str, str]:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.add_error(path, f"must be a mapping of names to text, not {_format_value(value)}")
            return {}
        for key, item in value.items():
            if item is not None and not isinstance(item, str):
                self.add_error(f"{path}.{key}", f"must be text, not {_format_value(item)}{_suggest_quotes(item)}")
        return {key: item or "" for key, item in value.items() if item is None or isinstance(item, str)}

    def parse_duration(self, value: Any, path: str) -> int | None:
        if value is None:
            return None
        try:
            return parse_whole_seconds(value, MAX_DURATION_SECONDS)
        except ValueError as error:
            self.add_error(path, str(error))
            return None

    def parse_number(self, value: Any, path: str, *, is_integer: bool, maximum: int) -> float:
        if value is None:
            return 0
        has_valid_type = isinstance(value, int) if is_integer else isinstance(value, int | float)
        if isinstance(value, bool) or not has_valid_type or not 0 <= value <= maximum:
            self.add_error(
                path,
                f"must be a {'whole ' if is_integer else ''}number from 0 to {maximum}, not {_format_value(value)}",
            )
            return 0
        return float(value)


def _compile_criteria(text: str) -> Template:
    """Compile criteria of one or more lines: the language itself allows no line breaks inside `{{ … }}`."""
    lines = text.splitlines()
    try:
        return compile_template(" ".join(lines))
    except TemplateError as error:
        error.line, error.column = _locate_in_lines(lines, error.column)
        raise


def _explain_never_true(template: Template) -> str:
    """Explain why the criteria are never true: of a text that they contain, or because they print nothing."""
    literals = [text for text in iter_literals(template.shape) if not any(text in value for value in TRUE_VALUES)]
    if not literals:
        return "is never true: it prints neither true nor a value"
    text = literals[0].strip()
    if any(text in value for value in TRUE_VALUES):
        return "is never true: white space is part of the result; remove it, or write {{- ... -}} or {%- ... -%}"
    return f"is never true: {text[:40]!r} is part of the result; put the whole condition into one {{{{ ... }}}}"


def _locate_in_lines(lines: list[str], column: int) -> tuple[int, int]:
    """Return line and column, from 1, of a column in the joined lines."""
    for line_number, line in enumerate(lines, start=1):
        if column <= len(line) + 1:
            return line_number, column
        column -= len(line) + 1
    return len(lines), column


def _format_template_error(error: TemplateError) -> str:
    return f"{error.message}; did you mean {error.suggestion}?" if error.suggestion else error.message


def _format_value(value: Any) -> str:
    """Format a wrong value as it is in the document: `'maybe'`, `200`; a list or a mapping as its type."""
    if isinstance(value, str):
        return repr(value[:40])
    if isinstance(value, bool | int | float):
        return str(value).lower()[:40]
    return {type(None): "null", list: "a list", dict: "a mapping"}.get(type(value), type(value).__name__)


def _get_context_names(value: Any) -> frozenset[str]:
    return frozenset(map(str, value)) if isinstance(value, Mapping) else frozenset()


def _describe_actual(data: Mapping[str, Any], key: str) -> str:
    return f", not {_format_value(data[key])}" if key in data and data[key] != "" else ""


def _describe_missing(data: Mapping[str, Any], key: str) -> str:
    return "required; " if data.get(key) in (None, "") else ""


def _suggest_quotes(value: Any) -> str:
    return "; put it in quotes" if isinstance(value, bool | int | float) else ""
