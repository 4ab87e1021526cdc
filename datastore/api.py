"""The datastore's REST API: values of any bytes and content type."""

from collections.abc import Iterable
from io import BytesIO
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from multipart import MultipartError, MultipartParser, MultipartPart  # type: ignore[import-untyped]
from rest_framework.request import Request
from rest_framework.response import Response

from datastore import serializers, service
from datastore.content_types import is_valid_content_type, make_value_response
from datastore.models import Item
from datastore.value_checks import find_value_warnings
from flyte_site.auth.activity_log import actor_of_caller
from flyte_site.core.environment import FALSE_WORDS, TRUE_WORDS
from flyte_site.core.secrets.encryption import NoEncryptionKeysError
from flyte_site.http.content_types import empty_response
from flyte_site.http.input.body import parse_content_type, read_body
from flyte_site.http.input.fields import problem_responses
from flyte_site.http.output.warning_header import format_warning_header
from flyte_site.http.problems import Problem, invalid_input, not_found
from flyte_site.http.views import APIView, get_integer_parameter, integer_parameter, name_page

log = structlog.get_logger(__name__)

DEFAULT_CONTENT_TYPE = "text/plain; charset=us-ascii"
MULTIPART_REQUIRED = (
    "must be a file part of multipart form data: curl -X PUT -F 'value=@FILE;type=application/json' ..."
)
# The size of a body is limited before it is parsed, so its parts may stay in memory.
MULTIPART_LIMITS: dict[str, Any] = {
    "part_limit": 100,
    "spool_limit": 2**31,
    "memory_limit": 2**31,
    "headersize_limit": 16384,
}
MAX_ID = 2**53


class ItemListView(APIView):
    """All items."""

    @extend_schema(
        operation_id="listDatastoreItems",
        summary="List datastore items",
        tags=["datastore"],
        parameters=[integer_parameter("after", "Start after this item; use the `next` link.")],
        responses=serializers.ItemList,
    )
    def get(self, request: Request) -> Response:
        """List the items without their values, in the order of creation."""
        after = get_integer_parameter(request, "after", 0, maximum=MAX_ID)
        items = Item.objects.defer("value").filter(id__gt=after).order_by("id")
        page, links = name_page(items, "id", self.links, "datastore", "#/datastore")
        return self.respond(serializers.ItemList, {"links": links, "datastore": page})


class ItemView(APIView):
    """One item."""

    @extend_schema(
        operation_id="getDatastoreItem",
        summary="Get a datastore item's value",
        tags=["datastore"],
        responses={(200, "*/*"): OpenApiTypes.ANY, **problem_responses(403, 404)},
    )
    def get(self, request: Request, key: str) -> HttpResponse:
        """Return the value unchanged, with its content type. Secret values are never returned: 403."""
        item = Item.objects.filter(key=key).first()
        if item is None:
            raise not_found(f"datastore item {key!r}")
        if item.secret:
            raise Problem(403, f"datastore item {key!r} is secret; only templates can read it")
        return make_value_response(item)

    @extend_schema(
        operation_id="putDatastoreItem",
        summary="Create or replace a datastore item",
        tags=["datastore"],
        request={"multipart/form-data": serializers.ItemInput},
        parameters=[
            OpenApiParameter(
                "secret", OpenApiTypes.BOOL, description="Same as the form field; the form field takes precedence."
            )
        ],
        responses={201: None, 204: None, **problem_responses(400)},
    )
    def put(self, request: Request, key: str) -> Any:
        """Create or replace the value of a key: 201 for a new item, 204 for an existing one.

        With `secret=true` the value is encrypted, and only templates can read it. A value that is not valid for its
        content type, or JSON of another type, is stored with a warning in the header `X-Flyte-Warning`.
        """
        if key_error := service.get_key_error(key):
            raise invalid_input({"path": "key", "message": key_error})
        update = _parse_upload(request)
        try:
            created = service.put_item(actor_of_caller(request._request), key, update)
        except NoEncryptionKeysError as error:
            raise invalid_input({"path": "secret", "message": f"a secret item {error}"}) from None
        except service.SecretTooLargeError as error:
            raise Problem(413, str(error)) from None
        log.info("datastore_item_put", key=key, created=created)
        return empty_response(201 if created else 204, _build_warning_header(key, update))

    @extend_schema(
        operation_id="deleteDatastoreItem",
        summary="Delete a datastore item",
        tags=["datastore"],
        responses={204: None, **problem_responses(404)},
    )
    def delete(self, request: Request, key: str) -> Any:
        """Delete the item."""
        if not service.delete_item(actor_of_caller(request._request), key):
            raise not_found(f"datastore item {key!r}")
        log.info("datastore_item_deleted", key=key)
        return empty_response(204)


def _build_warning_header(key: str, update: service.ItemUpdate) -> dict[str, str]:
    """Build the header with the warnings about a stored value, if there are any."""
    warnings = find_value_warnings(update.value, update.content_type, is_secret=True)
    if warnings and not Item.objects.filter(key=key, secret=True).exists():
        warnings = find_value_warnings(update.value, update.content_type)
    return format_warning_header(warnings)


def _parse_upload(request: Request) -> service.ItemUpdate:
    """Parse the `value` file of a multipart body, with its content type and the fields of the body or the query."""
    body_type, parameters = parse_content_type(request)
    if body_type != "multipart/form-data":
        raise invalid_input(
            {
                "path": "value",
                "message": MULTIPART_REQUIRED,
            }
        )
    try:
        parts = MultipartParser(BytesIO(read_body(request)), parameters.get("boundary", ""), **MULTIPART_LIMITS).parts()
    except MultipartError as error:
        raise invalid_input({"path": "value", "message": f"invalid multipart body: {error}"}) from None
    value_part = next((part for part in parts if part.name == "value" and part.filename), None)
    if value_part is None or not value_part.size:
        raise invalid_input({"path": "value", "message": _explain_missing_value(parts)})
    if value_part.size > settings.FLYTE_MAX_DATASTORE_VALUE_BYTES:
        max_bytes = settings.FLYTE_MAX_DATASTORE_VALUE_BYTES
        raise Problem(413, f"value of {value_part.size} bytes exceeds the limit of {max_bytes} bytes")
    description = _get_field("description", parts, request).replace("\x00", "")
    return service.ItemUpdate(
        value_part.raw, get_part_content_type(value_part), description, _parse_flag("secret", parts, request)
    )


def _explain_missing_value(parts: Iterable[MultipartPart]) -> str:
    """Explain why the form has no usable `value`: no such part, no file name, or no content."""
    value_parts = [part for part in parts if part.name == "value"]
    if not value_parts:
        names = ", ".join(dict.fromkeys(str(part.name)[:40] for part in parts)) or "no parts"
        return f"the form has no part named 'value' (found: {names[:200]})"
    if not any(part.filename for part in value_parts):
        return "part 'value' has no file name: add ;filename=NAME"
    return "part 'value' is empty"


def _get_field(name: str, parts: Iterable[MultipartPart], request: Request) -> str:
    """Return a field of the body, or else the query parameter."""
    fields = [part.raw.decode("utf-8", "replace") for part in parts if part.name == name]
    return next(filter(None, fields), "") or request.query_params.get(name, "")


def _parse_flag(name: str, parts: Iterable[MultipartPart], request: Request) -> bool | None:
    """Parse a boolean field of the body or the query; None if it is missing. Raise `Problem` 400 if it is invalid."""
    text = _get_field(name, parts, request).strip().lower()
    if text and text not in TRUE_WORDS | FALSE_WORDS:
        raise invalid_input({"path": name, "message": f"must be true or false, not {text[:40]!r}"})
    return text in TRUE_WORDS if text else None


def get_part_content_type(value: MultipartPart) -> str:
    """Return the content type of an uploaded part with its parameters. Raise `Problem` 400 if it is invalid."""
    part_type = value.headers.get("Content-Type") or DEFAULT_CONTENT_TYPE
    if not is_valid_content_type(part_type):
        raise invalid_input({"path": "value", "message": f"invalid content type {part_type[:80]!r}"})
    return part_type
