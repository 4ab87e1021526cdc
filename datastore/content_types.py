"""What kinds of values there are, and how one is handed out as it was put."""

import re

from django.http import HttpResponse

from datastore.models import Item

# Types that a browser runs or renders as a page: offered for download, so that a stored value can't act as this site.
INLINE_SAFE_TYPES = re.compile(
    r"(application/(json|octet-stream|x-yaml|yaml)|text/(plain|csv|yaml|json)|image/(png|jpeg|gif|webp))"
)
_CONTENT_TYPE_PATTERN = re.compile(
    r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(\s*;\s*[\w!#$&^.+-]+=(\"[^\"\\\x00-\x1f]*\"|[\w!#$&^.+-]*))*", re.ASCII
)
MAX_CONTENT_TYPE_LENGTH = 255


def is_valid_content_type(text: str) -> bool:
    """Whether a text is a content type, parameters and all."""
    return len(text) <= MAX_CONTENT_TYPE_LENGTH and _CONTENT_TYPE_PATTERN.fullmatch(text) is not None


def get_media_type(item: Item) -> str:
    """The content type without its parameters, in small letters."""
    return item.content_type.partition(";")[0].strip().lower()


def make_value_response(item: Item, *, as_attachment: bool = False) -> HttpResponse:
    """The value of an item that is not secret, byte for byte, with the content type it was put with.

    What a browser would run comes as a download.
    """
    response = HttpResponse(bytes(item.value), content_type=item.content_type)
    if as_attachment or not INLINE_SAFE_TYPES.fullmatch(get_media_type(item)):
        response["Content-Disposition"] = "attachment"
    return response
