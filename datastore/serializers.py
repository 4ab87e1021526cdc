"""Datastore items in the REST API."""

from typing import Any

from rest_framework import serializers

from datastore.models import Item
from flyte_site.http.input.fields import LinkSerializer
from flyte_site.http.output.links import Link
from flyte_site.http.output.serializers import FlagField, LinksField, OutputContext, OutputSerializer


class ItemInput(serializers.Serializer[Any]):
    """A value as multipart form data: the part `value` is a file with any content."""

    value = serializers.FileField()
    description = serializers.CharField(required=False)
    secret = serializers.BooleanField(
        required=False, help_text="True to store the value as a secret; by default an existing item keeps its setting."
    )


class ItemSummary(OutputSerializer):
    """An item of the list."""

    key = serializers.CharField()
    contentType = serializers.CharField(source="content_type")  # noqa: N815
    description = serializers.CharField(required=False)
    secret = FlagField(help_text="True for secret items, otherwise omitted.")
    links = LinksField()

    def get_links(self, item: Item, context: OutputContext) -> list[Link]:
        return [context.links.to("self", "v1", "datastore", item.key)]


class ItemList(OutputSerializer):
    """A page of items, with a `next` link if there are more."""

    links = LinkSerializer(many=True)
    datastore = ItemSummary(many=True)
