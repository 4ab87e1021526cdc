"""The identity provider's endpoints, from its discovery document, with a cache."""

import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog

from flyte_site.auth.oidc.jwks import CACHE_SECONDS, MIN_REFETCH_SECONDS, ProviderUnavailableError
from flyte_site.auth.oidc.provider_client import PROVIDER_ERRORS, ProviderClient
from flyte_site.core.runtime import process_wide

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ProviderMetadata:
    """The provider's endpoints; `userinfo_endpoint` may be ''.

    `supports_basic_auth`: the client's secret is sent by HTTP Basic authentication, otherwise in the request body.
    """

    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str
    supports_basic_auth: bool


class MetadataCache:
    """The endpoints of one issuer, shared by the threads of a process. After a failure it waits before the next try."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._lock = threading.Lock()
        self._metadata: ProviderMetadata | None = None
        self._fetched_at = self._tried_at = float("-inf")

    def get_metadata(self) -> ProviderMetadata:
        """Return the endpoints, fetched if they are stale. Raises `ProviderUnavailableError`."""
        with self._lock:
            now = time.monotonic()
            if now - self._fetched_at >= CACHE_SECONDS and now - self._tried_at >= MIN_REFETCH_SECONDS:
                self._tried_at = now
                self._fetch()
            if self._metadata is None:
                raise ProviderUnavailableError(self.issuer)
            return self._metadata

    def _fetch(self) -> None:
        try:
            with ProviderClient() as client:
                self._metadata = parse_metadata(client.fetch_discovery_document(self.issuer), self.issuer)
            self._fetched_at = time.monotonic()
        except PROVIDER_ERRORS as error:
            log.error("endpoints_not_fetched", issuer=self.issuer, error=f"{type(error).__name__}: {error}"[:300])


def parse_metadata(document: dict[str, Any], issuer: str) -> ProviderMetadata:
    """Parse the endpoints of a discovery document. Raises `ValueError`, also if one uses http and the issuer https."""
    schemes = ("https", urlsplit(issuer).scheme)

    def get_url(name: str) -> str:
        url = document.get(name)
        if not isinstance(url, str) or urlsplit(url).scheme not in schemes:
            raise ValueError(
                f"discovery document: {name} must be a URL with scheme {' or '.join(dict.fromkeys(schemes))}"
            )
        return url

    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return ProviderMetadata(
        authorization_endpoint=get_url("authorization_endpoint"),
        token_endpoint=get_url("token_endpoint"),
        userinfo_endpoint=get_url("userinfo_endpoint") if document.get("userinfo_endpoint") else "",
        supports_basic_auth=not isinstance(methods, list) or "client_secret_basic" in methods,
    )


@process_wide
def get_metadata_cache(issuer: str) -> MetadataCache:
    """Return the metadata cache of this issuer in this process."""
    return MetadataCache(issuer)
