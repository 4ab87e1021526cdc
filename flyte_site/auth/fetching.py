"""What the identity provider answers, in bounded time and of bounded size."""

import json
import time
from typing import Any

import httpx

# One errand, of a request or two, lasts no longer than this; one wait for the network no longer than that.
ERRAND_SECONDS = 5.0
NETWORK_SECONDS = 3.0
MAX_ANSWER_BYTES = 512 * 1024
FAILURES = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RecursionError)


class StatusError(ValueError):
    """The provider answered, but not with 200."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"{url} answers {status}")
        self.status = status


class Errand:
    """Some requests to a provider, one after the other, with one deadline for all. Follows no redirections."""

    def __init__(self) -> None:
        self._deadline = time.monotonic() + ERRAND_SECONDS
        self._client = httpx.Client(timeout=NETWORK_SECONDS, follow_redirects=False)

    def __enter__(self) -> "Errand":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def json_object(self, method: str, url: str, **request: Any) -> dict[str, Any]:
        """The JSON object that the provider answers with. Raises one of `FAILURES`."""
        content = b""
        headers = {"Accept": "application/json", **request.pop("headers", {})}
        with self._client.stream(method, url, headers=headers, **request) as response:
            if response.status_code != 200:
                raise StatusError(url, response.status_code)
            for chunk in response.iter_bytes(16_384):
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise ValueError(f"{url} has more than {MAX_ANSWER_BYTES} bytes")
                if time.monotonic() > self._deadline:
                    raise ValueError(f"{url} takes more than {ERRAND_SECONDS} seconds")
        value = json.loads(content)
        if not isinstance(value, dict):
            raise ValueError(f"{url} is no JSON object")
        return value

    def discovered(self, issuer: str) -> dict[str, Any]:
        """What the issuer says about itself (OpenID Connect Discovery 1.0, 4). Raises one of `FAILURES`."""
        document = self.json_object("GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise ValueError(f"the provider calls itself {str(document.get('issuer'))[:100]!r}")
        return document
