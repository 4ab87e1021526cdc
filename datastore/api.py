"""The datastore over REST: values of any bytes and content type."""

import re
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from datastore import serializers
from datastore.models import Item
from flyte_site.rest.bodies import media_type
from flyte_site.rest.fields import ProblemSerializer
from flyte_site.rest.media import empty
from flyte_site.rest.problems import Problem, bad_input, not_found
from flyte_site.rest.views import APIView, listing, whole_number

log = structlog.get_logger(__name__)

DEFAULT_CONTENT_TYPE = "text/plain; charset=us-ascii"
MAX_KEY = 512
MAX_ID = 2**53
# Types that a browser runs or renders as a page: offered for download, so that a stored value can't act as this site.
PASSIVE = re.compile(
    r"(application/(json|octet-stream|x-yaml|yaml)|text/(plain|csv|yaml|json)|image/(png|jpeg|gif|webp))"
)
_MEDIA_TYPE = re.compile(
    r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(\s*;\s*[\w!#$&^.+-]+=(\"[^\"\\\x00-\x1f]*\"|[\w!#$&^.+-]*))*", re.ASCII
)


class DatastoreView(APIView):
    """All items."""

    @extend_schema(
        operation_id="listDatastoreItems",
        tags=["datastore"],
        parameters=[OpenApiParameter("after", OpenApiTypes.INT)],
        responses=serializers.ItemList,
    )
    def get(self, request: Request) -> Response:
        """The items, without their values, in the order in which they were first put."""
        after = whole_number(request, "after", 0, most=MAX_ID)
        items = Item.objects.defer("value").filter(id__gt=after).order_by("id")
        page, links = listing(items, "id", self.links, "datastore", "#/datastore")
        return Response({"links": links, "datastore": [serializers.summary(item, self.links) for item in page]})


class ItemView(APIView):
    """One item."""

    @extend_schema(
        operation_id="getDatastoreItem",
        tags=["datastore"],
        responses={(200, "*/*"): OpenApiTypes.BINARY, 404: ProblemSerializer},
    )
    def get(self, request: Request, key: str) -> HttpResponse:
        """The value, byte for byte, with the content type it was put with."""
        item = Item.objects.filter(key=key).first()
        if item is None:
            raise not_found(f"datastore item {key!r}")
        response = HttpResponse(bytes(item.value), content_type=item.content_type)
        if not PASSIVE.fullmatch(item.content_type.partition(";")[0].strip().lower()):
            response["Content-Disposition"] = "attachment"
        return response

    @extend_schema(
        operation_id="putDatastoreItem",
        tags=["datastore"],
        request={"multipart/form-data": serializers.ItemInput},
        responses={201: None, 204: None, 400: ProblemSerializer},
    )
    def put(self, request: Request, key: str) -> Any:
        """Put a value under the key: 201 for a new item, 204 for one that was there."""
        if len(key) > MAX_KEY or any(ord(character) < 32 for character in key):
            raise bad_input({"path": "key", "message": f"has more than {MAX_KEY} or control characters"})
        value, description = _uploaded(request)
        _, created = Item.objects.update_or_create(
            key=key,
            defaults={"value": value.read(), "content_type": content_type(value), "description": description},
        )
        log.info("datastore_item_put", key=key, created=created)
        return empty(201 if created else 204)

    @extend_schema(
        operation_id="deleteDatastoreItem", tags=["datastore"], responses={204: None, 404: ProblemSerializer}
    )
    def delete(self, request: Request, key: str) -> Any:
        """Delete the item."""
        deleted, _ = Item.objects.filter(key=key).delete()
        if not deleted:
            raise not_found(f"datastore item {key!r}")
        log.info("datastore_item_deleted", key=key)
        return empty(204)


def _uploaded(request: Request) -> "tuple[UploadedFile[bytes], str]":
    """The `value` file of a multipart body, and the description from the body or the query."""
    if media_type(request)[0] != "multipart/form-data":
        raise Problem(400, "send multipart form data with a file part named value")
    inner = request._request
    try:
        fields, files = MultiPartParser(inner.META, inner, inner.upload_handlers).parse()
    except (MultiPartParserError, SuspiciousOperation) as error:
        raise Problem(400, f"the multipart body can't be read: {error}") from None
    values = files.getlist("value")
    if not values or not values[0].size:
        raise bad_input({"path": "value", "message": "must be a file part with a file name, and not empty"})
    if values[0].size > settings.FLYTE_MAX_DATASTORE_VALUE_BYTES:
        raise Problem(
            413, f"the value has {values[0].size} bytes; {settings.FLYTE_MAX_DATASTORE_VALUE_BYTES} are taken"
        )
    description = str(fields.get("description") or request.query_params.get("description", ""))
    return values[0], description.replace("\x00", "")


def content_type(value: "UploadedFile[bytes]") -> str:
    """The content type of an uploaded part, parameters and all. Raises `Problem` 400 for what is none."""
    if not value.content_type:
        return DEFAULT_CONTENT_TYPE
    extra = (value.content_type_extra or {}).items()
    parameters = "".join(f"; {name}={text.decode() if isinstance(text, bytes) else text}" for name, text in extra)
    whole = value.content_type + parameters
    if len(whole) > 255 or not _MEDIA_TYPE.fullmatch(whole):
        raise bad_input({"path": "value", "message": f"has no usable content type: {whole[:80]!r}"})
    return whole
