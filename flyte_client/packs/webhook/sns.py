"""Amazon SNS: verification of its signed messages, and confirmation of a subscription.

See https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html. The signature proves only that SNS
has sent the message, for any customer, so that the topic is compared too.
"""

import base64
import binascii
import logging
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from flyte_client.packs.common.optional_import import require_extra
from flyte_client.packs.webhook.http_messages import WebhookResponse
from flyte_client.packs.webhook.settings import Hook
from flyte_client.packs.webhook.verification import VerificationError

AWS_HOST = re.compile(r"sns\.[a-z0-9-]{3,40}\.amazonaws\.com(\.cn)?\Z")
CERTIFICATE_PATH = re.compile(r"/[A-Za-z0-9_.-]{1,200}\.pem\Z")
HASHES: Mapping[str, str] = {"1": "SHA1", "2": "SHA256"}
SIGNED_FIELDS = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
SIGNED_CONFIRMATION_FIELDS = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
CONFIRMATION = "SubscriptionConfirmation"
TYPES = ("Notification", CONFIRMATION, "UnsubscribeConfirmation")
FETCH_TIMEOUT = 5.0
MAX_RESPONSE_BYTES = 64 * 1024
MAX_CERTIFICATES = 10

logger = logging.getLogger(__name__)

Fetch = Callable[[str], bytes]
"""Function that gets the content of a URL. Raises `httpx.HTTPError`."""


def fetch_from_aws(url: str) -> bytes:
    """Get a URL of SNS, without redirects."""
    with httpx.stream("GET", url, timeout=FETCH_TIMEOUT, follow_redirects=False) as response:
        response.raise_for_status()
        content = b""
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > MAX_RESPONSE_BYTES:
                raise httpx.DecodingError("the response is too large", request=response.request)
        return content


class SnsVerifier:
    """Verification of messages, with a cache of certificates. Thread-safe."""

    def __init__(self, fetch: Fetch = fetch_from_aws) -> None:
        self._fetch = fetch
        self._keys: dict[str, Any] = {}
        self._lock = threading.Lock()

    def verify(self, topic: str, content: Any) -> None:
        """Raise `VerificationError` unless SNS has signed the message, and `topic` has sent it."""
        if not isinstance(content, dict) or content.get("Type") not in TYPES:
            raise VerificationError("the body is not an SNS message")
        if content.get("TopicArn") != topic:
            raise VerificationError("the message is from a different topic")
        hash_name = HASHES.get(str(content.get("SignatureVersion")))
        if hash_name is None:
            raise VerificationError("unknown SignatureVersion, must be 1 or 2")
        try:
            signature = base64.b64decode(str(content.get("Signature", "")), validate=True)
        except (binascii.Error, ValueError):
            raise VerificationError("invalid base64 in Signature") from None
        key = self._get_key(str(content.get("SigningCertURL", "")))
        _verify_signature(key, signature, _build_signed_text(content), hash_name)

    def confirm(self, hook: Hook, content: Mapping[str, Any]) -> WebhookResponse | None:
        """Confirm the subscription if the message requests it and the hook allows it; return None for notifications."""
        if content["Type"] == "Notification":
            return None
        url = str(content.get("SubscribeURL", ""))
        if content["Type"] != CONFIRMATION or not hook.confirms_topic:
            logger.warning("sns_subscription hook=%s type=%s url=%s", hook.name, content["Type"], url)
            return WebhookResponse(200, "not confirmed")
        if not _is_aws_url(url):
            return WebhookResponse(400, "SubscribeURL is not an SNS address")
        try:
            self._fetch(url)
        except httpx.HTTPError as error:
            return WebhookResponse(503, "the confirmation failed, retry later", reason=f"SubscribeURL: {error}")
        logger.info("sns_confirmed hook=%s topic=%s", hook.name, hook.topic)
        return WebhookResponse(200, "confirmed")

    def _get_key(self, url: str) -> Any:
        if not _is_aws_url(url) or not CERTIFICATE_PATH.match(urlsplit(url).path):
            raise VerificationError("SigningCertURL is not an SNS address")
        with self._lock:
            if key := self._keys.get(url):
                return key
        with require_extra("webhook"):
            from cryptography import x509  # noqa: PLC0415
            from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415
        try:
            key = x509.load_pem_x509_certificate(self._fetch(url)).public_key()
        except httpx.HTTPError as error:
            raise VerificationError(f"can't get the certificate at SigningCertURL ({error})", status=503) from None
        except ValueError:
            raise VerificationError("invalid certificate at SigningCertURL") from None
        if not isinstance(key, RSAPublicKey):
            raise VerificationError("the certificate at SigningCertURL has no RSA key")
        with self._lock:
            if len(self._keys) < MAX_CERTIFICATES:
                self._keys[url] = key
        return key


def _verify_signature(key: Any, signature: bytes, text: bytes, hash_name: str) -> None:
    with require_extra("webhook"):
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    try:
        key.verify(signature, text, PKCS1v15(), getattr(hashes, hash_name)())
    except InvalidSignature:
        raise VerificationError("wrong Signature") from None


def _build_signed_text(content: Mapping[str, Any]) -> bytes:
    names = SIGNED_FIELDS if content["Type"] == "Notification" else SIGNED_CONFIRMATION_FIELDS
    lines = [f"{name}\n{content[name]}\n" for name in names if content.get(name) is not None]
    return "".join(lines).encode("utf-8", "replace")


def _is_aws_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme == "https"
        and port in (None, 443)
        and "@" not in parts.netloc
        and AWS_HOST.match(parts.hostname or "") is not None
    )
