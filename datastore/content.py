"""What kinds of values there are, and how one is handed out as it was put."""

import re

from django.http import HttpResponse

from datastore.models import Item

# Types that a browser runs or renders as a page: offered for download, so that a stored value can't act as this site.
PASSIVE = re.compile(
    r"(application/(json|octet-stream|x-yaml|yaml)|text/(plain|csv|yaml|json)|image/(png|jpeg|gif|webp))"
)
_CONTENT_TYPE = re.compile(
    r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(\s*;\s*[\w!#$&^.+-]+=(\"[^\"\\\x00-\x1f]*\"|[\w!#$&^.+-]*))*", re.ASCII
)
MAX_CONTENT_TYPE = 255


def is_content_type(text: str) -> bool:
    """Whether a text is a content type, parameters and all."""
    return len(text) <= MAX_CONTENT_TYPE and _CONTENT_TYPE.fullmatch(text) is not None


def media_type_of(item: Item) -> str:
    """The content type without its parameters, in small letters."""
    return item.content_type.partition(";")[0].strip().lower()


def as_stored(item: Item, *, download: bool = False) -> HttpResponse:
    """The value of an item that is not secret, byte for byte, with the content type it was put with.

    What a browser would run comes as a download.
    """
    response = HttpResponse(bytes(item.value), content_type=item.content_type)
    if download or not PASSIVE.fullmatch(media_type_of(item)):
        response["Content-Disposition"] = "attachment"
    return response
