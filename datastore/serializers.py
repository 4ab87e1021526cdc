"""Datastore items on the wire."""

from typing import Any

from rest_framework import serializers

from datastore.models import Item
from flyte_site.http.fields import LinkSerializer
from flyte_site.http.links import LinkBuilder


class ItemInput(serializers.Serializer[Any]):
    """A value as multipart form data: the part `value` is a file of any bytes."""

    value = serializers.FileField()
    description = serializers.CharField(required=False)
    secret = serializers.BooleanField(
        required=False, help_text="Whether it is kept secret; left out, an item stays what it was."
    )


class ItemSummary(serializers.Serializer[Any]):
    """An item as the list shows it."""

    key = serializers.CharField()
    contentType = serializers.CharField()  # noqa: N815
    description = serializers.CharField(required=False)
    secret = serializers.BooleanField(required=False, help_text="Only there, and true, where the item is secret.")
    links = LinkSerializer(many=True)


class ItemList(serializers.Serializer[Any]):
    """A page of items; a `next` link where there are more."""

    datastore = ItemSummary(many=True)
    links = LinkSerializer(many=True)


def serialize_summary(item: Item, links: LinkBuilder) -> dict[str, Any]:
    """`ItemSummary` of an item."""
    data: dict[str, Any] = {"key": item.key, "contentType": item.content_type}
    if item.description:
        data["description"] = item.description
    if item.secret:
        data["secret"] = True
    return data | {"links": [links.to("self", "v1", "datastore", item.key)]}
