"""HTTP client of the identity provider with limits of time and response size."""

import json
import time
from typing import Any

import httpx

# The limit for all requests of one client, and the limit for one wait for the network.
TOTAL_TIMEOUT_SECONDS = 5.0
NETWORK_TIMEOUT_SECONDS = 3.0
MAX_RESPONSE_BYTES = 512 * 1024
PROVIDER_ERRORS = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RecursionError)


class ProviderStatusError(ValueError):
    """A response of the provider with a status other than 200."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"{url}: unexpected status {status}")
        self.status = status


class ProviderClient:
    """A sequence of requests to a provider with one deadline for all. Follows no redirects."""

    def __init__(self) -> None:
        self._deadline = time.monotonic() + TOTAL_TIMEOUT_SECONDS
        self._client = httpx.Client(timeout=NETWORK_TIMEOUT_SECONDS, follow_redirects=False)

    def __enter__(self) -> "ProviderClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def request_json(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        """Send a request; return the JSON object of the response. Raises one of `PROVIDER_ERRORS`."""
        content = b""
        headers = {"Accept": "application/json", **options.pop("headers", {})}
        with self._client.stream(method, url, headers=headers, **options) as response:
            if response.status_code != 200:
                raise ProviderStatusError(url, response.status_code)
            for chunk in response.iter_bytes(16_384):
                content += chunk
                if len(content) > MAX_RESPONSE_BYTES:
                    raise ValueError(f"{url}: response exceeds the limit of {MAX_RESPONSE_BYTES} bytes")
                if time.monotonic() > self._deadline:
                    raise ValueError(f"{url}: response takes longer than {TOTAL_TIMEOUT_SECONDS} seconds")
        value = json.loads(content)
        if not isinstance(value, dict):
            raise ValueError(f"{url}: response must be a JSON object")
        return value

    def fetch_discovery_document(self, issuer: str) -> dict[str, Any]:
        """Fetch the issuer's metadata (OpenID Connect Discovery 1.0, 4). Raises one of `PROVIDER_ERRORS`."""
        document = self.request_json("GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise ValueError(
                f"discovery document: issuer is {str(document.get('issuer'))[:100]!r}, expected {issuer!r}"
            )
        return document
