"""Errors raised while reading, writing or synchronizing flow files."""

from collections.abc import Sequence

from flyte_formats.decoding import describe_decode_error

MAX_LISTED_NAMES = 20


class FlowFilesError(Exception):
    """A file or folder of flows that can't be used; the message is one line and names it."""


def describe_read_error(error: OSError | ValueError) -> str:
    """Describe why a text file can't be read: `file not found`."""
    if isinstance(error, FileNotFoundError):
        return "file not found"
    if isinstance(error, IsADirectoryError):
        return "is a folder, not a file"
    if isinstance(error, UnicodeDecodeError):
        return describe_decode_error(error)
    return str(getattr(error, "strerror", None) or error)


class FlowStoreError(Exception):
    """An operation that the store of flows refused, or a flow that changed in the meantime."""


def format_names(names: Sequence[str]) -> str:
    """Format names for an error message: at most 20, or `none`."""
    more = f" and {len(names) - MAX_LISTED_NAMES} more" if len(names) > MAX_LISTED_NAMES else ""
    return (", ".join(names[:MAX_LISTED_NAMES]) or "none") + more
