"""Verification of requests by a shared secret: signatures (HMAC) and tokens.

All comparisons of secrets and signatures take constant time. The reasons of `VerificationError` contain neither.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from flyte_time.times import parse_time

# Recommended by Slack, Stripe and Standard Webhooks.
DEFAULT_TOLERANCE_SECONDS = 300
# A sender that replaces its secret signs with several, each of them in the list of one header.
MAX_SIGNATURES = 10
ALGORITHMS = ("sha256", "sha1", "sha384", "sha512")
ENCODINGS: Mapping[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "base64": lambda digest: base64.b64encode(digest).decode(),
    "base64url": lambda digest: base64.urlsafe_b64encode(digest).decode(),
}
PLACEHOLDER = re.compile(r"\{([A-Za-z0-9-]+)\}")


class VerificationError(Exception):
    """A request without a valid secret or signature; `status` is the response's, 503 if the check itself failed."""

    def __init__(self, reason: str, *, status: int = 401) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class SignedRequest:
    """The parts of a request that prove its sender; headers have names in lower case. `now` is in epoch seconds."""

    headers: Mapping[str, str]
    body: bytes
    now: float
    query: Mapping[str, Any] = field(default_factory=dict)

    def get_header(self, name: str) -> str:
        """Return the header's value. Raises `VerificationError` without one."""
        value = self.headers.get(name.lower(), "")
        if not value:
            raise VerificationError(f"missing header {name}")
        return value


class Check(Protocol):
    """Verification of one kind of proof; `names` are the headers that contain it."""

    @property
    def names(self) -> Sequence[str]: ...

    def verify(self, secret: str, request: SignedRequest) -> None:
        """Raise `VerificationError` if the request does not prove the secret."""


@dataclass(frozen=True)
class HmacCheck:
    """An HMAC in `header`, of `content`, with `prefix` before its encoded form.

    The header can contain several signatures, separated by commas, semicolons or spaces; one has to be valid. `content`
    has the placeholders `{body}`, `{timestamp}`, `{url}` and `{Header-Name}`. `timestamp` names the header of the time,
    or is the prefix of the time in `header`, such as `t=`.
    """

    header: str
    prefix: str = ""
    algorithm: str = "sha256"
    encoding: str = "hex"
    timestamp: str = ""
    content: str = "{body}"
    tolerance: float = DEFAULT_TOLERANCE_SECONDS
    url: str = ""
    decode_secret: Callable[[str], bytes] = str.encode

    @property
    def names(self) -> Sequence[str]:
        return (self.header,)

    def verify(self, secret: str, request: SignedRequest) -> None:
        signatures = list(_find_values(request.get_header(self.header), self.prefix))
        if not signatures:
            with_prefix = f" with the prefix {self.prefix!r}" if self.prefix else ""
            raise VerificationError(f"no signature{with_prefix} in header {self.header}")
        timestamp = self._verify_time(request) if self.timestamp else ""
        digest = hmac.digest(self.decode_secret(secret), self._build_content(request, timestamp), self.algorithm)
        expected = _normalize(ENCODINGS[self.encoding](digest), self.encoding)
        if not any(hmac.compare_digest(expected, _normalize(signature, self.encoding)) for signature in signatures):
            raise VerificationError(f"wrong signature in header {self.header}")

    def _verify_time(self, request: SignedRequest) -> str:
        if self.timestamp.endswith("="):
            values = list(_find_values(request.get_header(self.header), self.timestamp))
            text = values[0] if values else ""
        else:
            text = request.get_header(self.timestamp)
        try:
            seconds = parse_time(text).timestamp()
        except ValueError:
            raise VerificationError(f"invalid time {text[:40]!r} in {self.timestamp}") from None
        if abs(request.now - seconds) > self.tolerance:
            distance = f"{abs(request.now - seconds):.0f} seconds {'ago' if seconds < request.now else 'in the future'}"
            raise VerificationError(f"the request was signed {distance}, at most {self.tolerance:g} are allowed")
        return text

    def _build_content(self, request: SignedRequest, timestamp: str) -> bytes:
        values = {"body": request.body, "timestamp": timestamp.encode(), "url": self.url.encode()}
        content = b""
        for index, part in enumerate(PLACEHOLDER.split(self.content)):
            is_placeholder = index % 2 == 1
            if is_placeholder and part not in values:
                content += _encode_header(request.get_header(part))
            else:
                content += values[part] if is_placeholder else part.encode()
        return content


@dataclass(frozen=True)
class TokenCheck:
    """The secret itself in a header, after `prefix`, which is compared without regard to case."""

    header: str
    prefix: str = ""

    @property
    def names(self) -> Sequence[str]:
        return (self.header,)

    def verify(self, secret: str, request: SignedRequest) -> None:
        value = request.get_header(self.header)
        if value[: len(self.prefix)].lower() != self.prefix.lower():
            raise VerificationError(f"header {self.header} does not begin with {self.prefix.strip()!r}")
        if not hmac.compare_digest(secret.encode(), _encode_header(value[len(self.prefix) :].strip())):
            raise VerificationError(f"wrong token in header {self.header}")


@dataclass(frozen=True)
class BasicCheck:
    """A user and the secret as the password in `Authorization` (RFC 7617)."""

    user: str
    names: Sequence[str] = ("Authorization",)

    def verify(self, secret: str, request: SignedRequest) -> None:
        scheme, _, credentials = request.get_header("Authorization").partition(" ")
        if scheme.lower() != "basic":
            raise VerificationError("header Authorization does not begin with 'Basic'")
        try:
            decoded = base64.b64decode(credentials.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise VerificationError("invalid base64 in header Authorization") from None
        if not hmac.compare_digest(f"{self.user}:{secret}".encode(), decoded):
            raise VerificationError("wrong user or password in header Authorization")


@dataclass(frozen=True)
class QueryCheck:
    """The secret itself in a parameter of the URL."""

    parameter: str
    names: Sequence[str] = ()

    def verify(self, secret: str, request: SignedRequest) -> None:
        value = request.query.get(self.parameter)
        if not value:
            raise VerificationError(f"missing query parameter {self.parameter}")
        if not hmac.compare_digest(secret.encode(), str(value).encode("utf-8", "replace")):
            raise VerificationError(f"wrong token in query parameter {self.parameter}")


@dataclass(frozen=True)
class AnyCheck:
    """Alternatives: the first one whose header the request has is used."""

    checks: Sequence[Check]
    names: Sequence[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(name for check in self.checks for name in check.names))

    def verify(self, secret: str, request: SignedRequest) -> None:
        for check in self.checks:
            if all(name.lower() in request.headers for name in check.names):
                check.verify(secret, request)
                return
        raise VerificationError(f"missing header {' or '.join(dict.fromkeys(self.names))}")


class NoCheck:
    """No verification: anyone can send requests."""

    names: Sequence[str] = ()

    def verify(self, secret: str, request: SignedRequest) -> None:
        """Accept the request."""


def verify_client_state(secret: str, content: Any) -> Any:
    """Verify the `clientState` of each notification of Microsoft Graph; return the content without it.

    The state is the hook's secret, so it must not be in the event. Raises `VerificationError`.
    """
    notifications = content.get("value") if isinstance(content, dict) else None
    is_list = isinstance(notifications, list) and all(isinstance(item, dict) for item in notifications)
    if not is_list or not notifications:
        raise VerificationError("no list `value` of notifications in the body")
    for notification in notifications:
        state = notification.get("clientState")
        if not isinstance(state, str) or not hmac.compare_digest(secret.encode(), state.encode("utf-8", "replace")):
            raise VerificationError("missing or wrong clientState in a notification")
    remaining = [{name: item[name] for name in item if name != "clientState"} for item in notifications]
    return content | {"value": remaining}


def _find_values(header: str, prefix: str) -> Iterator[str]:
    """Find the texts after `prefix` in a list that is separated by commas, semicolons or spaces."""
    pattern = rf"(?:^|[,;\s]){re.escape(prefix)}\s?([A-Za-z0-9+/=_:.-]+)(?=$|[,;\s])"
    for number, match in enumerate(re.finditer(pattern, header)):
        if number == MAX_SIGNATURES:
            return
        yield match[1]


def decode_standard_secret(secret: str) -> bytes:
    """Return the key of a secret of Standard Webhooks: base64, after the prefix `whsec_`."""
    try:
        return base64.b64decode(secret.removeprefix("whsec_"))
    except (binascii.Error, ValueError):
        raise VerificationError("the secret of the hook is not valid base64") from None


def _normalize(signature: str, encoding: str) -> str:
    return signature.lower() if encoding == "hex" else signature.rstrip("=")


def _encode_header(value: str) -> bytes:
    """Return the bytes of a header, which WSGI decodes as Latin-1."""
    return value.encode("latin-1", "replace")
