"""What the identity provider answers, in bounded time and of bounded size."""

import json
import time
from typing import Any

import httpx

# One errand, of a request or two, lasts no longer than this; one wait for the network no longer than that.
TOTAL_TIMEOUT_SECONDS = 5.0
NETWORK_TIMEOUT_SECONDS = 3.0
MAX_RESPONSE_BYTES = 512 * 1024
PROVIDER_ERRORS = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RecursionError)


class ProviderStatusError(ValueError):
    """The provider answered, but not with 200."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"{url} answers {status}")
        self.status = status


class ProviderClient:
    """Some requests to a provider, one after the other, with one deadline for all. Follows no redirections."""

    def __init__(self) -> None:
        self._deadline = time.monotonic() + TOTAL_TIMEOUT_SECONDS
        self._client = httpx.Client(timeout=NETWORK_TIMEOUT_SECONDS, follow_redirects=False)

    def __enter__(self) -> "ProviderClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def request_json(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        """The JSON object that the provider answers with. Raises one of `FAILURES`."""
        content = b""
        headers = {"Accept": "application/json", **options.pop("headers", {})}
        with self._client.stream(method, url, headers=headers, **options) as response:
            if response.status_code != 200:
                raise ProviderStatusError(url, response.status_code)
            for chunk in response.iter_bytes(16_384):
                content += chunk
                if len(content) > MAX_RESPONSE_BYTES:
                    raise ValueError(f"{url} has more than {MAX_RESPONSE_BYTES} bytes")
                if time.monotonic() > self._deadline:
                    raise ValueError(f"{url} takes more than {TOTAL_TIMEOUT_SECONDS} seconds")
        value = json.loads(content)
        if not isinstance(value, dict):
            raise ValueError(f"{url} is no JSON object")
        return value

    def fetch_discovery_document(self, issuer: str) -> dict[str, Any]:
        """What the issuer says about itself (OpenID Connect Discovery 1.0, 4). Raises one of `FAILURES`."""
        document = self.request_json("GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise ValueError(f"the provider calls itself {str(document.get('issuer'))[:100]!r}")
        return document
