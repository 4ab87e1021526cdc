"""Packages that only one pack needs: the library itself comes without them."""

from collections.abc import Iterator
from contextlib import contextmanager

from flyte_client.errors import SettingsError


@contextmanager
def require_extra(extra: str) -> Iterator[None]:
    """Around an import: where that fails, `SettingsError` names the extra that brings what is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise SettingsError(f"{error.name} is missing; flyte-client's extra {extra!r} brings it") from None
