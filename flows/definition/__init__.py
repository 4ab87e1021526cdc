"""Flow documents: parsed to typed values, or to every error with its path.

Nothing here reads the database except `editor_report`, `plan`, `registry_checks` and `store`.
"""

from typing import Any

from flows.definition.document import FLOW_TEXT_FIELDS
from flows.definition.outline import FlowOutline, PartOutline, StepOutline, read_outline
from flows.definition.parser import FlowParser
from flows.definition.types import (
    FALSE_VALUES,
    MAX_ISSUES,
    TRUE_VALUES,
    UNPARSED_NAME,
    CommandDefinition,
    EventDefinition,
    FlowDefinition,
    FlowIssue,
    FlowValidationError,
    StepDefinition,
)

__all__ = [
    "FALSE_VALUES",
    "FLOW_TEXT_FIELDS",
    "MAX_ISSUES",
    "TRUE_VALUES",
    "UNPARSED_NAME",
    "CommandDefinition",
    "EventDefinition",
    "FlowDefinition",
    "FlowIssue",
    "FlowOutline",
    "FlowValidationError",
    "PartOutline",
    "StepDefinition",
    "StepOutline",
    "parse_flow",
    "read_outline",
]


def parse_flow(value: Any, *, is_stored: bool = False) -> FlowDefinition:
    """Parse the flow that a JSON value describes. Raises `FlowValidationError` with the first MAX_ISSUES errors.

    A flow that `is_stored` keeps names that an earlier release allowed.
    """
    parser = FlowParser(is_stored=is_stored)
    definition = parser.parse_flow(value)
    if len(parser.errors) > MAX_ISSUES:
        parser.errors[MAX_ISSUES:] = [FlowIssue("", f"more errors follow; the first {MAX_ISSUES} are reported")]
    if parser.errors:
        raise FlowValidationError(parser.errors, definition)
    return definition
