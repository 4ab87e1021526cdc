"""Imports of optional packages, which only single packs require."""

from collections.abc import Iterator
from contextlib import contextmanager

from flyte_client.errors import SettingsError


@contextmanager
def require_extra(extra: str) -> Iterator[None]:
    """Convert a failing import in the block to a `SettingsError` that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise SettingsError(f"{error.name} is not installed: run pip install 'flyte-client[{extra}]'") from None
