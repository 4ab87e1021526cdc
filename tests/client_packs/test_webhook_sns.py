"""Messages of Amazon SNS, with signatures and certificates like those of AWS."""

import base64
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from flyte_client.packs.webhook.http_messages import WebhookRequest
from flyte_client.packs.webhook.receiver import WebhookReceiver
from flyte_client.packs.webhook.settings import Hook, read_settings
from flyte_client.packs.webhook.sns import SnsVerifier

pytestmark = pytest.mark.unit

TOPIC = "arn:aws:sns:eu-west-1:123456789012:alerts"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"
SUBSCRIBE_URL = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
KEY = rsa.generate_private_key(65537, 2048)
SIGNED = ("Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type")


def certificate(key: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def message(version: str = "1", **fields: Any) -> dict[str, Any]:
    document = {
        "Type": "Notification",
        "MessageId": "m-1",
        "TopicArn": TOPIC,
        "Message": '{"AlarmName": "é\\n"}',
        "Timestamp": "2026-11-29T09:00:00.000Z",
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE_URL,
    } | fields
    text = "".join(f"{name}\n{document[name]}\n" for name in SIGNED if name in document)
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()  # noqa: S303 - version 1 of AWS
    return document | {"Signature": base64.b64encode(KEY.sign(text.encode(), PKCS1v15(), algorithm)).decode()}


def confirmation(**fields: Any) -> dict[str, Any]:
    return message(Type="SubscriptionConfirmation", Token="t", SubscribeURL=SUBSCRIBE_URL, **fields)


class Aws:
    """The addresses of AWS, with the calls to them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.content: dict[str, bytes] = {CERTIFICATE_URL: certificate(KEY), SUBSCRIBE_URL: b"<ok/>"}

    def fetch(self, url: str) -> bytes:
        self.calls.append(url)
        if url not in self.content:
            raise httpx.ConnectError("connection refused")
        return self.content[url]


class Pack:
    """A pack with one hook for the topic; `sent` has the payloads and keys of events."""

    def __init__(self, *, confirm: bool = False) -> None:
        self.aws = Aws()
        self.sent: list[tuple[Any, str | None]] = []
        document = {"hooks": [{"name": "aws", "sender": "sns", "topic": TOPIC, "confirm": confirm}]}
        self.hooks: tuple[Hook, ...] = read_settings({"FLYTE_WEBHOOK_CONFIG": json.dumps(document)}).hooks
        self._receiver = WebhookReceiver(self.hooks, self._send, 100_000, SnsVerifier(self.aws.fetch))

    def _send(self, name: str, payload: Any, key: str | None) -> bool:
        self.sent.append((payload, key))
        return True

    def post(self, document: Any) -> tuple[int, str]:
        headers = {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-id": "m-1"}
        body = json.dumps(document).encode()
        response = self._receiver.receive(WebhookRequest("POST", "/hooks/aws", "", headers, body))
        return response.status, response.text


@pytest.mark.parametrize("document", [message(), message("2"), message(Subject="Alarm")])
def test_a_signed_message_is_an_event(document: dict[str, Any]) -> None:
    pack = Pack()
    assert pack.post(document) == (202, "accepted")
    ((payload, key),) = pack.sent
    assert (payload["body"], key) == (document, "webhook/aws/m-1")


def test_the_certificate_is_fetched_once() -> None:
    pack = Pack()
    assert [pack.post(message())[0] for _ in range(3)] == [202] * 3
    assert pack.aws.calls == [CERTIFICATE_URL]


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (message() | {"Message": "other"}, "wrong Signature"),
        (message() | {"SignatureVersion": "2"}, "wrong Signature"),
        (message(TopicArn=TOPIC + "2"), "the message is from a different topic"),
        (message() | {"SignatureVersion": "3"}, "unknown SignatureVersion"),
        (message() | {"Signature": "%"}, "invalid base64 in Signature"),
        (message() | {"Signature": ""}, "wrong Signature"),
        (message(Type="Other"), "the body is not an SNS message"),
        ([], "the body is not an SNS message"),
        *(
            (message(SigningCertURL=url), "SigningCertURL is not an SNS address")
            for url in (
                "",
                "http://sns.eu-west-1.amazonaws.com/a.pem",
                "https://sns.eu-west-1.amazonaws.com.example.com/a.pem",
                "https://example.com/sns.eu-west-1.amazonaws.com/a.pem",
                "https://user@sns.eu-west-1.amazonaws.com/a.pem",
                "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
                "https://sns.eu-west-1.amazonaws.com/a.pem/../b",
                "https://sns.eu-west-1.amazonaws.com:x/a.pem",
                "https://[sns/a.pem",
                "https://s3.eu-west-1.amazonaws.com/a.pem",
            )
        ),
    ],
)
def test_a_message_that_is_not_from_the_topic_is_refused(document: Any, text: str) -> None:
    pack = Pack(confirm=True)
    status, answer = pack.post(document)
    assert (status, text in answer) == (401, True), answer
    assert pack.sent == []


def test_a_certificate_that_cannot_be_read_is_refused_now_or_for_good() -> None:
    pack = Pack()
    pack.aws.content[CERTIFICATE_URL] = b"-----"
    assert pack.post(message()) == (401, "invalid certificate at SigningCertURL")
    pack.aws.content[CERTIFICATE_URL] = certificate(ec.generate_private_key(ec.SECP256R1()))
    assert pack.post(message()) == (401, "the certificate at SigningCertURL has no RSA key")
    del pack.aws.content[CERTIFICATE_URL]
    assert pack.post(message())[0] == 503


def test_a_subscription_is_confirmed_only_if_the_hook_allows_it(caplog: pytest.LogCaptureFixture) -> None:
    pack = Pack()
    assert pack.post(confirmation()) == (200, "not confirmed")
    assert pack.aws.calls == [CERTIFICATE_URL]
    assert f"sns_subscription hook=aws type=SubscriptionConfirmation url={SUBSCRIBE_URL}" in caplog.text
    caplog.set_level(logging.INFO)
    pack = Pack(confirm=True)
    assert pack.post(confirmation()) == (200, "confirmed")
    assert pack.aws.calls == [CERTIFICATE_URL, SUBSCRIBE_URL]
    assert f"sns_confirmed hook=aws topic={TOPIC}" in caplog.text
    assert pack.post(message(Type="UnsubscribeConfirmation", Token="t", SubscribeURL=SUBSCRIBE_URL))[0] == 200
    assert pack.aws.calls == [CERTIFICATE_URL, SUBSCRIBE_URL]
    assert pack.sent == []


def test_a_confirmation_that_fails_is_retried_by_sns() -> None:
    pack = Pack(confirm=True)
    del pack.aws.content[SUBSCRIBE_URL]
    assert pack.post(confirmation()) == (503, "the confirmation failed, retry later")
    assert pack.post(confirmation() | {"SubscribeURL": "http://169.254.169.254/"})[0] == 401
