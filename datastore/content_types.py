"""Content types of items, and responses with their values."""

import re

from django.http import HttpResponse

from datastore.models import Item

# All other types are sent as a download: a browser might run them as a page of this site.
INLINE_SAFE_TYPES = re.compile(
    r"(application/(json|octet-stream|x-yaml|yaml)|text/(plain|csv|yaml|json)|image/(png|jpeg|gif|webp))"
)
_CONTENT_TYPE_PATTERN = re.compile(
    r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(\s*;\s*[\w!#$&^.+-]+=(\"[^\"\\\x00-\x1f]*\"|[\w!#$&^.+-]*))*", re.ASCII
)
MAX_CONTENT_TYPE_LENGTH = 255


def is_valid_content_type(text: str) -> bool:
    """Return True for a valid content type with its parameters."""
    return len(text) <= MAX_CONTENT_TYPE_LENGTH and _CONTENT_TYPE_PATTERN.fullmatch(text) is not None


def get_media_type(item: Item) -> str:
    """Return the content type in lower case, without its parameters."""
    return item.content_type.partition(";")[0].strip().lower()


def make_value_response(item: Item, *, as_attachment: bool = False) -> HttpResponse:
    """Return the value of a non-secret item unchanged, with its content type.

    Types that a browser would run are sent as a download.
    """
    response = HttpResponse(bytes(item.value), content_type=item.content_type)
    if as_attachment or not INLINE_SAFE_TYPES.fullmatch(get_media_type(item)):
        response["Content-Disposition"] = "attachment"
    return response
