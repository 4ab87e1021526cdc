"""Keys for tests, and secret items."""

from datastore import saving
from flyte_site.changes import COMMAND_LINE

FIRST, SECOND, THIRD = (f"{letter * 43}=" for letter in "ABC")


def put_secret(key: str, value: str, content_type: str = "text/plain") -> None:
    """A secret item; the test has keys."""
    saving.put_item(COMMAND_LINE, key, saving.ItemUpdate(value.encode(), content_type, secret=True))
