"""Packages that only one pack needs: the library itself comes without them."""

from collections.abc import Iterator
from contextlib import contextmanager

from flyte_client.errors import SettingsError


@contextmanager
def needed(extra: str) -> Iterator[None]:
    """Around an import: where that fails, `SettingsError` names the extra that brings what is missing."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise SettingsError(f"{missing.name} is missing; flyte-client's extra {extra!r} brings it") from None
