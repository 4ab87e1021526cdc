"""Verification of requests by a shared secret, for each kind of sender.

GitHub: HMAC-SHA256 of the body in `X-Hub-Signature-256`. GitLab: the secret itself in `X-Gitlab-Token`. Slack,
version 0: HMAC-SHA256 of the version, `X-Slack-Request-Timestamp` and the body in `X-Slack-Signature`.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SLACK_MAX_AGE_SECONDS = 300.0  # Slack's recommendation


@dataclass(frozen=True)
class SignedRequest:
    """The signed parts of a request; `now` is in seconds since 1970. Names of headers are in lower case."""

    headers: Mapping[str, str]
    body: bytes
    now: float


SignatureCheck = Callable[[str, SignedRequest], bool]
"""Function that takes the secret and a request, and returns True for a valid signature."""


def _check_github(secret: str, request: SignedRequest) -> bool:
    return _is_equal(f"sha256={_compute_hmac(secret, request.body)}", request.headers.get("x-hub-signature-256", ""))


def _check_gitlab(secret: str, request: SignedRequest) -> bool:
    return _is_equal(secret, request.headers.get("x-gitlab-token", ""))


def _check_slack(secret: str, request: SignedRequest) -> bool:
    timestamp = request.headers.get("x-slack-request-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        return False
    if abs(request.now - int(timestamp)) > SLACK_MAX_AGE_SECONDS:
        return False
    signed_content = b"v0:" + timestamp.encode() + b":" + request.body
    return _is_equal(f"v0={_compute_hmac(secret, signed_content)}", request.headers.get("x-slack-signature", ""))


SIGNATURE_CHECKS: Mapping[str, SignatureCheck] = {
    "github": _check_github,
    "gitlab": _check_gitlab,
    "slack": _check_slack,
}


def _compute_hmac(secret: str, content: bytes) -> str:
    return hmac.digest(secret.encode(), content, "sha256").hex()


def _is_equal(expected: str, actual: str) -> bool:
    return hmac.compare_digest(expected.encode(), actual.encode("utf-8", "surrogateescape"))
