"""Datastore items in the REST API."""

from typing import Any

from rest_framework import serializers

from datastore.models import Item
from flyte_site.http.fields import LinkSerializer
from flyte_site.http.links import LinkBuilder


class ItemInput(serializers.Serializer[Any]):
    """A value as multipart form data: the part `value` is a file with any content."""

    value = serializers.FileField()
    description = serializers.CharField(required=False)
    secret = serializers.BooleanField(
        required=False, help_text="True to store the value as a secret; by default an existing item keeps its setting."
    )


class ItemSummary(serializers.Serializer[Any]):
    """An item of the list."""

    key = serializers.CharField()
    contentType = serializers.CharField()  # noqa: N815
    description = serializers.CharField(required=False)
    secret = serializers.BooleanField(required=False, help_text="True for secret items, otherwise omitted.")
    links = LinkSerializer(many=True)


class ItemList(serializers.Serializer[Any]):
    """A page of items, with a `next` link if there are more."""

    datastore = ItemSummary(many=True)
    links = LinkSerializer(many=True)


def serialize_summary(item: Item, links: LinkBuilder) -> dict[str, Any]:
    """Return `ItemSummary` data."""
    data: dict[str, Any] = {"key": item.key, "contentType": item.content_type}
    if item.description:
        data["description"] = item.description
    if item.secret:
        data["secret"] = True
    return data | {"links": [links.to("self", "v1", "datastore", item.key)]}
