"""Database fields that the apps share."""

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from django.db import models

if TYPE_CHECKING:
    AnyTextField: TypeAlias = models.TextField[Any, Any]
else:
    AnyTextField = models.TextField

encode_json = json.JSONEncoder(separators=(",", ":")).encode
"""The compact JSON text of a value, as `TextJSONField` stores it."""


class TextJSONField(AnyTextField):
    """A JSON value, stored as text.

    Django's JSONField is `jsonb` on PostgreSQL, which rejects `\\u0000`, loses the order of keys, and turns `1e21` into
    an integer. Values of packs must be returned exactly as they were sent, on both databases. No query reads inside.
    """

    description = "JSON, as text"
    if TYPE_CHECKING:
        # For django-stubs: any JSON value can be set and read.
        _pyi_private_set_type: Any
        _pyi_private_get_type: Any

    def from_db_value(self, value: str | None, *_: Any) -> Any:
        return None if value is None else json.loads(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else encode_json(value)
