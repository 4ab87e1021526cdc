"""Signatures with values computed from the senders' documentation."""

import hashlib
import hmac

import pytest

from flyte_client.packs.webhook.signatures import SIGNATURE_CHECKS, SignedRequest

pytestmark = pytest.mark.unit

# The example in GitHub's documentation of its signatures.
GITHUB_SECRET = "It's a Secret to Everybody"
GITHUB_BODY = b"Hello, World!"
GITHUB_SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

STAMP = 1531420618


def slack(body: bytes, stamp: object = STAMP, secret: str = "s") -> dict[str, str]:
    signature = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": str(stamp), "x-slack-signature": f"v0={signature}"}


def holds(sender: str, secret: str, headers: dict[str, str], body: bytes = b"", now: float = STAMP) -> bool:
    return SIGNATURE_CHECKS[sender](secret, SignedRequest(headers, body, now))


def test_githubs_own_example_holds() -> None:
    assert holds("github", GITHUB_SECRET, {"x-hub-signature-256": GITHUB_SIGNATURE}, GITHUB_BODY)


@pytest.mark.parametrize(
    ("headers", "body", "secret"),
    [
        ({}, GITHUB_BODY, GITHUB_SECRET),
        ({"x-hub-signature-256": ""}, GITHUB_BODY, GITHUB_SECRET),
        ({"x-hub-signature-256": GITHUB_SIGNATURE}, GITHUB_BODY + b" ", GITHUB_SECRET),
        ({"x-hub-signature-256": GITHUB_SIGNATURE}, GITHUB_BODY, "other"),
        ({"x-hub-signature-256": GITHUB_SIGNATURE.removeprefix("sha256=")}, GITHUB_BODY, GITHUB_SECRET),
        ({"x-hub-signature-256": "sha256=\xe9\udce9"}, GITHUB_BODY, GITHUB_SECRET),
        ({"x-hub-signature": GITHUB_SIGNATURE}, GITHUB_BODY, GITHUB_SECRET),
    ],
)
def test_a_missing_or_wrong_signature_is_invalid(headers: dict[str, str], body: bytes, secret: str) -> None:
    assert not holds("github", secret, headers, body)


@pytest.mark.parametrize(("token", "fine"), [("s3cret", True), ("", False), ("s3cre", False), ("S3CRET", False)])
def test_gitlab_sends_the_secret_itself(token: str, fine: bool) -> None:
    assert holds("gitlab", "s3cret", {"x-gitlab-token": token}) is fine
    assert not holds("gitlab", "s3cret", {})


@pytest.mark.parametrize(("now", "fine"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_slacks_signature_holds_for_five_minutes(now: int, fine: bool) -> None:
    assert holds("slack", "s", slack(b"body"), b"body", STAMP + now) is fine


def test_slacks_signature_is_over_time_and_body() -> None:
    assert not holds("slack", "s", slack(b"body"), b"other")
    assert not holds("slack", "s", slack(b"body") | {"x-slack-request-timestamp": str(STAMP + 1)}, b"body")
    assert not holds("slack", "other", slack(b"body"), b"body")
    assert not holds("slack", "s", {})


@pytest.mark.parametrize("stamp", ["", "-1", "nan", "1e9", "²", "9" * 40])
def test_a_timestamp_that_is_not_a_number_is_invalid(stamp: str) -> None:
    assert not holds("slack", "s", slack(b"", stamp))
