"""Packages that only one pack needs: the library itself comes without them."""

from collections.abc import Iterator
from contextlib import contextmanager

from flyte_client.errors import SettingsError


@contextmanager
def needed(package: str) -> Iterator[None]:
    """Around an import: where that fails, `SettingsError` says what to install."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise SettingsError(f"{missing.name} is missing, which this pack needs: pip install {package}") from None
