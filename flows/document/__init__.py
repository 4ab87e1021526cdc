"""A flow document: what was posted, turned into typed values – or into every error in it, each with its path.

Nothing here looks at the database: whether packs and commands are registered is told elsewhere.
"""

from typing import Any

from flows.document.reader import Reader
from flows.document.types import (
    FALSE,
    TEXT_PLACES,
    TRUE,
    UNREAD,
    Command,
    EventDefinition,
    Finding,
    FlowDocument,
    FlowError,
    Step,
)

__all__ = [
    "FALSE",
    "TEXT_PLACES",
    "TRUE",
    "UNREAD",
    "Command",
    "EventDefinition",
    "Finding",
    "FlowDocument",
    "FlowError",
    "Step",
    "parse",
]


def parse(value: Any) -> FlowDocument:
    """The flow that a JSON value describes. Raises `FlowError` with every error at once."""
    reader = Reader()
    document = reader.flow(value)
    if reader.errors:
        raise FlowError(reader.errors, document)
    return document
