"""Errors and warnings of flow documents, by path."""

from typing import Any

import pytest

from flows.definition import FlowValidationError, parse_flow
from tests.flows import builders as b


def errors(value: Any) -> dict[str, str]:
    with pytest.raises(FlowValidationError) as caught:
        parse_flow(value)
    return {error.path: error.message for error in caught.value.errors}


def warnings(value: Any) -> dict[str, str]:
    return {warning.path: warning.message for warning in parse_flow(value).warnings}


def one_step(**changes: Any) -> dict[str, Any]:
    return b.document(b.step(**changes))
