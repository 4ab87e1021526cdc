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
    """A JSON value kept as its text.

    Django's own JSONField is `jsonb` on PostgreSQL, which refuses `\\u0000`, forgets the order of keys and turns `1e21`
    into an integer. What packs send must come back as it was sent, on both databases, so the text is kept; no query
    looks inside.
    """

    description = "JSON, as text"
    if TYPE_CHECKING:
        # What django-stubs reads: any JSON value goes in and comes out.
        _pyi_private_set_type: Any
        _pyi_private_get_type: Any

    def from_db_value(self, value: str | None, *_: Any) -> Any:
        return None if value is None else json.loads(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else encode_json(value)
