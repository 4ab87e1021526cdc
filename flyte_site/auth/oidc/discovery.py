"""Where the identity provider signs people on: found by discovery, kept for a while."""

import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import structlog

from flyte_site.auth.oidc.jwks import CACHE_SECONDS, MIN_REFETCH_SECONDS, ProviderUnavailableError
from flyte_site.auth.oidc.provider_client import PROVIDER_ERRORS, ProviderClient

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ProviderMetadata:
    """The provider's addresses; `userinfo` is '' where it has none. `takes_basic`: how it wants the client's secret."""

    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str
    supports_basic_auth: bool


class MetadataCache:
    """The endpoints of one issuer. Shared by the threads of a process; one that has just failed is let alone."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._lock = threading.Lock()
        self._metadata: ProviderMetadata | None = None
        self._fetched_at = self._tried_at = float("-inf")

    def get_metadata(self) -> ProviderMetadata:
        """Where to send people, and what they bring back. Raises `ProviderAwayError`."""
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
    """The endpoints that a discovery document names, each at least as safe as the issuer's own. Raises `ValueError`."""
    schemes = ("https", urlsplit(issuer).scheme)

    def get_url(name: str) -> str:
        url = document.get(name)
        if not isinstance(url, str) or urlsplit(url).scheme not in schemes:
            raise ValueError(f"the provider names no {name} that is as safe as its own address")
        return url

    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return ProviderMetadata(
        authorization_endpoint=get_url("authorization_endpoint"),
        token_endpoint=get_url("token_endpoint"),
        userinfo_endpoint=get_url("userinfo_endpoint") if document.get("userinfo_endpoint") else "",
        supports_basic_auth=not isinstance(methods, list) or "client_secret_basic" in methods,
    )


@lru_cache(maxsize=4)
def get_metadata_cache(issuer: str) -> MetadataCache:
    """The one discovery of this issuer in this process."""
    return MetadataCache(issuer)
