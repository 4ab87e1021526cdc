"""Keys for tests, and secret items."""

from datastore import service
from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR

FIRST, SECOND, THIRD = (f"{letter * 43}=" for letter in "ABC")


def put_secret(key: str, value: str, content_type: str = "text/plain") -> None:
    """Store a secret item; the test has to set encryption keys."""
    service.put_item(COMMAND_LINE_ACTOR, key, service.ItemUpdate(value.encode(), content_type, secret=True))
