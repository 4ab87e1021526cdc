"""Whether a request comes from who knows the secret, as each kind of sender proves it.

GitHub: HMAC-SHA256 of the body in `X-Hub-Signature-256`. GitLab: the secret itself in `X-Gitlab-Token`. Slack,
version 0: HMAC-SHA256 of the version, `X-Slack-Request-Timestamp` and the body in `X-Slack-Signature`.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SLACK_WINDOW = 300.0  # seconds, as Slack says


@dataclass(frozen=True)
class Signed:
    """A request as far as signatures go; `now` is in seconds since 1970. Names of headers are in lower case."""

    headers: Mapping[str, str]
    body: bytes
    now: float


Check = Callable[[str, Signed], bool]
"""Called with the secret; true where the request was made by who knows it."""


def _github(secret: str, request: Signed) -> bool:
    return _same(f"sha256={_hmac(secret, request.body)}", request.headers.get("x-hub-signature-256", ""))


def _gitlab(secret: str, request: Signed) -> bool:
    return _same(secret, request.headers.get("x-gitlab-token", ""))


def _slack(secret: str, request: Signed) -> bool:
    stamp = request.headers.get("x-slack-request-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
        return False
    if abs(request.now - int(stamp)) > SLACK_WINDOW:
        return False
    signed = b"v0:" + stamp.encode() + b":" + request.body
    return _same(f"v0={_hmac(secret, signed)}", request.headers.get("x-slack-signature", ""))


CHECKS: Mapping[str, Check] = {"github": _github, "gitlab": _gitlab, "slack": _slack}


def _hmac(secret: str, content: bytes) -> str:
    return hmac.digest(secret.encode(), content, "sha256").hex()


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogateescape"))
