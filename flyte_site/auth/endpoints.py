"""Where the identity provider signs people on: found by discovery, kept for a while."""

import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import structlog

from flyte_site.auth.fetching import FAILURES, Errand
from flyte_site.auth.keys import COOL_DOWN_SECONDS, FRESH_SECONDS, ProviderAwayError

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Endpoints:
    """The provider's addresses; `userinfo` is '' where it has none. `takes_basic`: how it wants the client's secret."""

    authorization: str
    token: str
    userinfo: str
    takes_basic: bool


class Discovery:
    """The endpoints of one issuer. Shared by the threads of a process; one that has just failed is let alone."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._lock = threading.Lock()
        self._found: Endpoints | None = None
        self._fetched_at = self._tried_at = float("-inf")

    def endpoints(self) -> Endpoints:
        """Where to send people, and what they bring back. Raises `ProviderAwayError`."""
        with self._lock:
            now = time.monotonic()
            if now - self._fetched_at >= FRESH_SECONDS and now - self._tried_at >= COOL_DOWN_SECONDS:
                self._tried_at = now
                self._fetch()
            if self._found is None:
                raise ProviderAwayError(self.issuer)
            return self._found

    def _fetch(self) -> None:
        try:
            with Errand() as errand:
                self._found = read_endpoints(errand.discovered(self.issuer), self.issuer)
            self._fetched_at = time.monotonic()
        except FAILURES as error:
            log.error("endpoints_not_fetched", issuer=self.issuer, error=f"{type(error).__name__}: {error}"[:300])


def read_endpoints(document: dict[str, Any], issuer: str) -> Endpoints:
    """The endpoints that a discovery document names, each at least as safe as the issuer's own. Raises `ValueError`."""
    schemes = ("https", urlsplit(issuer).scheme)

    def address(name: str) -> str:
        url = document.get(name)
        if not isinstance(url, str) or urlsplit(url).scheme not in schemes:
            raise ValueError(f"the provider names no {name} that is as safe as its own address")
        return url

    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Endpoints(
        authorization=address("authorization_endpoint"),
        token=address("token_endpoint"),
        userinfo=address("userinfo_endpoint") if document.get("userinfo_endpoint") else "",
        takes_basic=not isinstance(methods, list) or "client_secret_basic" in methods,
    )


@lru_cache(maxsize=4)
def discovery_of(issuer: str) -> Discovery:
    """The one discovery of this issuer in this process."""
    return Discovery(issuer)
