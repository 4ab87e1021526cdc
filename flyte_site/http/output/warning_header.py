"""The header `X-Flyte-Warning`: possible mistakes in a request that is answered nevertheless."""

import json
from collections.abc import Sequence
from typing import Protocol

WARNING_HEADER = "X-Flyte-Warning"
# A reverse proxy may accept only 4 KiB for all headers of a response.
MAX_WARNING_LENGTH = 1500


class RequestWarning(Protocol):
    """A possible mistake in the part of a request at `path`."""

    @property
    def path(self) -> str: ...

    @property
    def message(self) -> str: ...


def format_warning_header(warnings: Sequence[RequestWarning]) -> dict[str, str]:
    """Format the warnings as one header in ASCII, e.g. `steps[0].event.packName: no pack 'Slack' is registered; …`."""
    if not warnings:
        return {}
    parts: list[str] = []
    for warning in warnings:
        text = json.dumps(f"{warning.path}: {warning.message}")[1:-1].replace('\\"', '"')[:MAX_WARNING_LENGTH]
        if parts and len("; ".join([*parts, text])) > MAX_WARNING_LENGTH:
            return {WARNING_HEADER: "; ".join([*parts, f"and {len(warnings) - len(parts)} more"])}
        parts.append(text)
    return {WARNING_HEADER: "; ".join(parts)}
