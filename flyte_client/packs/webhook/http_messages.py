"""Requests to the pack, and its responses."""

from collections.abc import Mapping
from dataclasses import dataclass, field


class RequestBodyError(Exception):
    """A body that does not match its media type, or whose media type is not supported; `status` is the response's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class WebhookRequest:
    """A received request. Names of headers are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class WebhookResponse:
    """The response to the sender. `reason` is for the log if it says more than `text`."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
