"""A fake identity provider on loopback: discovery, keys that tests can change, and counts of its requests."""

import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

DISCOVERY, KEYS = "/dex/.well-known/openid-configuration", "/dex/keys"
AUDIENCE = "example-app"


@cache
def private_key(kind: str, number: int = 0) -> Any:
    """Generate a key of this kind, or return the earlier one of the same kind and number."""
    if kind.startswith("RSA"):
        return rsa.generate_private_key(65537, int(kind[3:] or 2048))
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    curves: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
    return ec.generate_private_key(curves[kind])


KIND_OF = {"RS": "RSA", "PS": "RSA", "Ed": "Ed25519", "ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


def kind_for(algorithm: str) -> str:
    """Return the kind of the keys of an algorithm."""
    return KIND_OF.get(algorithm) or KIND_OF[algorithm[:2]]


def public_jwk(key: Any, kid: str | None, **more: Any) -> dict[str, Any]:
    """Return the public key as a JWK, as a provider publishes it."""
    maker: Any = jwt.algorithms.RSAAlgorithm
    if isinstance(key, ed25519.Ed25519PrivateKey):
        maker = jwt.algorithms.OKPAlgorithm
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        maker = jwt.algorithms.ECAlgorithm
    jwk: dict[str, Any] = maker.to_jwk(key.public_key(), as_dict=True)
    return {**jwk, "use": "sig", **({"kid": kid} if kid is not None else {}), **more}


def public_pem(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem


def unsigned(claims: Mapping[str, Any], algorithm: str = "none", signature: bytes = b"", **header: Any) -> str:
    """Build a token with any header and signature."""
    parts = [json.dumps({"alg": algorithm, "typ": "JWT", **header}).encode(), json.dumps(dict(claims)).encode()]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in [*parts, signature])


@dataclass
class Provider:
    """The state of a provider: its published keys, and the status and the delay (in seconds) of its responses."""

    issuer: str = ""
    keys: list[dict[str, Any]] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    status: int = 200
    delay: float = 0.0
    discovery: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Responses at other paths; `sent` has the forms that were posted there."""
    sent: dict[str, dict[str, str]] = field(default_factory=dict)
    signs_on: bool = False

    def publish(self, kid: str | None = "k1", kind: str = "RSA", number: int = 0, **more: Any) -> None:
        """Publish another key."""
        self.keys.append(public_jwk(private_key(kind, number), kid, **more))

    def claims(self, **claims: Any) -> dict[str, Any]:
        """Return claims that are valid for an hour, without those that are None."""
        now = int(time.time())
        all_claims = {"iss": self.issuer, "aud": AUDIENCE, "sub": "s", "iat": now, "exp": now + 3600, **claims}
        return {name: value for name, value in all_claims.items() if value is not None}

    def token(self, kid: str | None = "k1", algorithm: str = "RS256", number: int = 0, **claims: Any) -> str:
        """Sign a token."""
        headers = {"kid": kid} if kid is not None else {}
        key = private_key(kind_for(algorithm), number)
        return jwt.encode(self.claims(**claims), key, algorithm=algorithm, headers=headers)

    def _endpoints(self) -> dict[str, str]:
        names = ("authorization", "token", "userinfo") if self.signs_on else ()
        return {f"{name}_endpoint": f"{self.issuer}/{name}" for name in names}

    def answer(self, path: str) -> tuple[int, bytes]:
        self.requests[path] += 1
        time.sleep(self.delay)
        if self.status != 200:
            return self.status, b""
        if path == DISCOVERY:
            document = {"issuer": self.issuer, "jwks_uri": self.issuer + "/keys", **self._endpoints(), **self.discovery}
            return 200, json.dumps(document).encode()
        if path == KEYS:
            return 200, self.body or json.dumps({"keys": self.keys}).encode()
        more = self.answers.get(path)
        return (404, b"") if more is None else (int(more.get("status", 200)), json.dumps(more).encode())


@contextmanager
def running_provider(port: int = 0, provider: Provider | None = None) -> Iterator[Provider]:
    """Run a provider during the block."""
    served = provider or Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            sent = {name: values[0] for name, values in form.items()}
            served.sent[self.path] = {**sent, "authorization": self.headers.get("Authorization", "")}
            self.do_GET()

        def do_GET(self) -> None:
            status, body = served.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # the caller closed the connection

    server = Server(("127.0.0.1", port), Handler)
    served.issuer = f"http://127.0.0.1:{server.server_port}/dex"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
