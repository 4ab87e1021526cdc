"""Verification of senders: values computed from the senders' documentation."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

import pytest

from flyte_client.errors import SettingsError
from flyte_client.packs.common.configuration import ConfigSection
from flyte_client.packs.webhook.checks import build_check
from flyte_client.packs.webhook.senders import SENDERS
from flyte_client.packs.webhook.settings import HOOK_KEYS
from flyte_client.packs.webhook.verification import SignedRequest, VerificationError

pytestmark = pytest.mark.unit

# The example in GitHub's documentation of its signatures.
GITHUB_SECRET = "It's a Secret to Everybody"
GITHUB_BODY = b"Hello, World!"
GITHUB_SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

STAMP = 1531420618
BODY = b'{"a": "\xc3\xa9"}'


def slack(body: bytes, stamp: object = STAMP, secret: str = "s") -> dict[str, str]:
    signature = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": str(stamp), "x-slack-signature": f"v0={signature}"}


def sign(content: bytes, secret: str = "s", algorithm: str = "sha256") -> bytes:
    return hmac.digest(secret.encode(), content, algorithm)


def refusal(
    sender: str,
    headers: dict[str, str],
    body: bytes = BODY,
    *,
    secret: str = "s",
    now: float = STAMP,
    query: dict[str, Any] | None = None,
    **keys: Any,
) -> str:
    """Return the reason why the request is refused, '' if it is not."""
    section = ConfigSection("hooks[0]", {"name": "h", "sender": sender} | keys, HOOK_KEYS)
    check = SENDERS[sender].check or build_check(section, sender)
    try:
        check.verify(secret, SignedRequest(headers, body, now, query or {}))
    except VerificationError as error:
        return str(error)
    return ""


def holds(sender: str, secret: str, headers: dict[str, str], body: bytes = b"", now: float = STAMP) -> bool:
    return not refusal(sender, headers, body, secret=secret, now=now)


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


HEX = sign(BODY).hex()
STANDARD_KEY = bytes(range(32))
STANDARD_SECRET = f"whsec_{base64.b64encode(STANDARD_KEY).decode()}"
STANDARD_SIGNATURE = base64.b64encode(
    hmac.digest(STANDARD_KEY, b"msg_1." + str(STAMP).encode() + b"." + BODY, "sha256")
).decode()
STANDARD = {"webhook-id": "msg_1", "webhook-timestamp": str(STAMP), "webhook-signature": f"v1,{STANDARD_SIGNATURE}"}
STRIPE = sign(f"{STAMP}.".encode() + BODY).hex()
GRAFANA = "x-grafana-alerting-signature"
TRELLO_URL = "https://hooks.example.com/hooks/trello"
BASIC = "Basic " + base64.b64encode("flyte:pässword".encode()).decode()


@pytest.mark.parametrize(
    ("sender", "headers", "keys"),
    [
        ("gitlab", {"x-gitlab-token": "s"}, {}),
        ("gitlab", STANDARD, {"secret": STANDARD_SECRET}),
        ("standard", STANDARD, {"secret": STANDARD_SECRET}),
        (
            "standard",
            STANDARD | {"webhook-signature": f"v1,AAAA v1,{STANDARD_SIGNATURE} v1a,x"},
            {"secret": STANDARD_SECRET},
        ),
        ("gitea", {"x-gitea-signature": HEX}, {}),
        ("gitea", {"x-hub-signature-256": f"sha256={HEX}"}, {}),
        ("bitbucket", {"x-hub-signature": f"sha256={HEX}"}, {}),
        ("jira", {"x-hub-signature": f"sha256={HEX}"}, {}),
        ("pagerduty", {"x-pagerduty-signature": f"v1={HEX}"}, {}),
        ("pagerduty", {"x-pagerduty-signature": f"v1={'0' * 64},v1={HEX}"}, {}),
        ("stripe", {"stripe-signature": f"t={STAMP},v1={STRIPE},v0=1"}, {}),
        ("stripe", {"stripe-signature": f"t={STAMP}, v1={'0' * 64}, v1={STRIPE}"}, {}),
        ("meta", {"x-hub-signature-256": f"sha256={HEX}"}, {}),
        (
            "trello",
            {"x-trello-webhook": base64.b64encode(sign(BODY + TRELLO_URL.encode(), algorithm="sha1")).decode()},
            {"url": TRELLO_URL},
        ),
        ("alertmanager", {"authorization": "Bearer s"}, {}),
        ("alertmanager", {"authorization": "bearer s"}, {}),
        ("alertmanager", {"authorization": BASIC}, {"user": "flyte", "secret": "pässword"}),
        ("grafana", {"authorization": "Bearer s"}, {}),
        ("grafana", {"authorization": BASIC}, {"user": "flyte", "secret": "pässword"}),
        ("grafana", {GRAFANA: HEX}, {}),
        (
            "grafana",
            {GRAFANA: sign(f"{STAMP}:".encode() + BODY).hex(), "x-time": str(STAMP)},
            {"timestamp": "X-Time"},
        ),
        ("bearer", {"authorization": "Bearer s"}, {}),
        ("basic", {"authorization": BASIC}, {"user": "flyte", "secret": "pässword"}),
        ("token", {"x-api-key": "s"}, {"header": "X-Api-Key"}),
        ("token", {"authorization": "GenieKey s"}, {"header": "Authorization", "prefix": "GenieKey"}),
        ("token", {"x-key": "sécret".encode().decode("latin-1")}, {"header": "X-Key", "secret": "sécret"}),
        ("query", {}, {"query": {"token": "s"}}),
        ("query", {}, {"query": {"key": "s"}, "parameter": "key"}),
        ("hmac", {"sentry-hook-signature": HEX}, {"header": "Sentry-Hook-Signature"}),
        ("hmac", {"x-s": HEX.upper()}, {"header": "X-S"}),
        ("hmac", {"circleci-signature": f"v1={HEX}"}, {"header": "circleci-signature", "prefix": "v1="}),
        (
            "hmac",
            {"x-shopify-hmac-sha256": base64.b64encode(sign(BODY)).decode()},
            {"header": "X-Shopify-Hmac-Sha256", "encoding": "base64"},
        ),
        (
            "hmac",
            {"x-s": base64.urlsafe_b64encode(sign(BODY, algorithm="sha512")).decode().rstrip("=")},
            {"header": "X-S", "encoding": "base64url", "algorithm": "sha512"},
        ),
        (
            "hmac",
            {
                "x-zm-signature": f"v0={sign(f'v0:{STAMP}:'.encode() + BODY).hex()}",
                "x-zm-request-timestamp": str(STAMP),
            },
            {
                "header": "X-Zm-Signature",
                "prefix": "v0=",
                "timestamp": "X-Zm-Request-Timestamp",
                "signed": "v0:{timestamp}:{body}",
            },
        ),
        (
            "hmac",
            {"calendly-webhook-signature": f"t={STAMP},v1={STRIPE}"},
            {"header": "Calendly-Webhook-Signature", "prefix": "v1=", "timestamp": "t="},
        ),
        (
            "hmac",
            {"x-s": sign(b"n1|" + BODY).hex(), "x-nonce": "n1"},
            {"header": "X-S", "signed": "{X-Nonce}|{body}"},
        ),
    ],
)
def test_a_valid_proof_is_accepted_and_a_changed_one_is_not(sender: str, headers: dict[str, str], keys: Any) -> None:
    assert refusal(sender, headers, **keys) == ""
    wrong = refusal(sender, headers, **(keys | {"secret": "0th3r"}))
    assert wrong
    assert "0th3r" not in wrong
    assert refusal(sender, {}, **(keys | {"query": {}})).startswith("missing ")
    if "signature" in "".join(headers) or sender in ("hmac", "trello"):
        assert "wrong signature" in refusal(sender, headers, BODY + b" ", **keys)


@pytest.mark.parametrize(
    "time",
    [
        str(STAMP),
        f"{STAMP}123",
        datetime.fromtimestamp(STAMP, UTC).isoformat(),
        datetime.fromtimestamp(STAMP, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        datetime.fromtimestamp(STAMP, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
    ],
)
def test_a_signature_holds_for_the_tolerance(time: str) -> None:
    keys: Any = {"header": "X-S", "timestamp": "X-Time", "signed": "{timestamp}{body}", "tolerance": "10m"}
    headers = {"x-s": sign(time.encode() + BODY).hex(), "x-time": time}
    assert refusal("hmac", headers, now=STAMP + 599, **keys) == ""
    assert "seconds ago, at most 600 are allowed" in refusal("hmac", headers, now=STAMP + 602, **keys)
    assert "signed 602 seconds in the future, at most 600" in refusal("hmac", headers, now=STAMP - 602, **keys)
    assert "wrong signature" in refusal("hmac", headers | {"x-time": str(STAMP + 5)}, **keys)
    assert "invalid time 'soon' in X-Time" in refusal("hmac", headers | {"x-time": "soon"}, **keys)
    assert refusal("hmac", {"x-s": headers["x-s"]}, **keys) == "missing header X-Time"


@pytest.mark.parametrize(
    ("sender", "headers", "keys", "reason"),
    [
        (
            "github",
            {"x-hub-signature-256": HEX},
            {},
            "no signature with the prefix 'sha256=' in header X-Hub-Signature-256",
        ),
        ("gitea", {"x-gitea-signature": "é"}, {}, "no signature in header X-Gitea-Signature"),
        ("stripe", {"stripe-signature": f"v1={STRIPE}"}, {}, "invalid time '' in t="),
        ("stripe", {"stripe-signature": f"t={STAMP - 301},v1={STRIPE}"}, {}, "the request was signed 301 seconds ago"),
        ("grafana", {}, {}, "missing header X-Grafana-Alerting-Signature or Authorization"),
        ("grafana", {GRAFANA: "0", "authorization": "Bearer s"}, {}, "wrong signature in header X-Grafana"),
        ("bearer", {"authorization": "Token s"}, {}, "header Authorization does not begin with 'Bearer'"),
        ("bearer", {"authorization": "Bearer t"}, {}, "wrong token in header Authorization"),
        ("basic", {"authorization": "Bearer s"}, {"user": "u"}, "header Authorization does not begin with 'Basic'"),
        ("basic", {"authorization": "Basic %"}, {"user": "u"}, "invalid base64 in header Authorization"),
        ("basic", {"authorization": BASIC}, {"user": "u"}, "wrong user or password in header Authorization"),
        ("query", {}, {"query": {"token": ["s", "s"]}}, "wrong token in query parameter token"),
        ("standard", STANDARD, {"secret": "whsec_x"}, "the secret of the hook is not valid base64"),
        ("pagerduty", {"x-pagerduty-signature": ",".join(["v1=00"] * 10 + [f"v1={HEX}"])}, {}, "wrong signature"),
    ],
)
def test_the_reason_of_a_refusal_is_named(sender: str, headers: dict[str, str], keys: Any, reason: str) -> None:
    assert refusal(sender, headers, **keys).startswith(reason)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "header: required"),
        ({"header": "X S"}, "header: invalid value 'X S', must be a header name"),
        ({"header": "X-S", "algorithm": "md5"}, "algorithm: invalid value 'md5', must be one of sha256, sha1"),
        ({"header": "X-S", "encoding": "base32"}, "encoding: invalid value 'base32', must be one of hex, base64"),
        ({"header": "X-S", "timestamp": "a b"}, "timestamp: invalid value 'a b', must be a header name"),
        ({"header": "X-S", "signed": "{timestamp}{body}"}, "signed: {timestamp} requires the key timestamp"),
        ({"header": "X-S", "timestamp": "X-T", "signed": "{body}"}, "signed: must contain {timestamp}"),
        ({"header": "X-S", "signed": "{X-Nonce}"}, "signed: must contain {body}"),
        ({"header": "X-S", "url": "example.com"}, "url: invalid value 'example.com', must be the hook's URL"),
        ({"header": "X-S", "tolerance": "soon"}, "tolerance: invalid duration 'soon'; use a value such as 500ms"),
    ],
)
def test_invalid_keys_are_reported(keys: Any, words: str) -> None:
    with pytest.raises(SettingsError) as error:
        refusal("hmac", {}, **keys)
    assert words in str(error.value)
